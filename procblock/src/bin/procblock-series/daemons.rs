//! The connections to rrdcached: one for each address, made when it is needed and dropped when it fails.

use std::collections::HashMap;
use std::path::Path;

use procblock::series::protocol::Outcome;
use unidist::timeseries::{CachedSeries, Rrdcached, SeriesError, SeriesSpec};

/// The most connections kept; with more addresses they are made anew each time.
const KEPT_MAX: usize = 64;

/// Connections by address.
#[derive(Default)]
pub(super) struct Daemons {
    connected: HashMap<String, Rrdcached>,
}

/// A series that goes through rrdcached, with its samples.
pub(super) struct CachedJob<'a> {
    pub(super) number: u32,
    pub(super) spec: &'a SeriesSpec,
    pub(super) open: &'a mut Option<CachedSeries>,
    /// Its samples were sent to a daemon that then failed: it may have them.
    pub(super) may_be_stored: &'a mut bool,
    pub(super) samples: Vec<(i64, &'a [f64])>,
}

impl Daemons {
    /// Makes the daemon write what it holds of a file.
    pub(super) fn flush(&mut self, address: &str, path: &Path) -> Result<(), SeriesError> {
        self.with(address, |daemon| daemon.flush(path))
    }

    /// Stores in one batch the samples of series that all go to `address`. Returns what is worth telling.
    pub(super) fn store(&mut self, address: &str, jobs: &mut [CachedJob<'_>], sent_before: bool) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = jobs.iter().map(|job| Outcome::of(job.number)).collect();
        let stored = self.with(address, |daemon| exchange(daemon, jobs, &mut outcomes));
        for (job, outcome) in jobs.iter_mut().zip(&mut outcomes) {
            match &stored {
                Ok(()) => {
                    if sent_before || std::mem::take(job.may_be_stored) {
                        (outcome.late, outcome.repeated) = (0, 0);
                    }
                }
                Err(error) => {
                    // Nothing is known of any of them.
                    *outcome = Outcome { error: Some(error.to_string()), ..Outcome::of(job.number) };
                    *job.may_be_stored = true;
                }
            }
            if outcome.error.is_some() {
                *job.open = None;
            }
        }
        outcomes.retain(|outcome| *outcome != Outcome::of(outcome.series));
        outcomes
    }

    fn with<T>(
        &mut self,
        address: &str,
        exchange: impl FnOnce(&mut Rrdcached) -> Result<T, SeriesError>,
    ) -> Result<T, SeriesError> {
        let mut daemon = match self.connected.remove(address) {
            Some(daemon) => daemon,
            None => Rrdcached::connect(address)?,
        };
        let done = exchange(&mut daemon)?;
        if self.connected.len() < KEPT_MAX {
            self.connected.insert(address.to_owned(), daemon);
        }
        Ok(done)
    }
}

/// An error ends the connection; what is wrong with one series only is in its outcome.
fn exchange(daemon: &mut Rrdcached, jobs: &mut [CachedJob<'_>], outcomes: &mut [Outcome]) -> Result<(), SeriesError> {
    for (job, outcome) in jobs.iter_mut().zip(outcomes.iter_mut()) {
        if job.open.is_some() {
            continue;
        }
        let first = job.samples.first().map_or(0, |(time, _)| *time);
        match daemon.open(job.spec, first) {
            Ok(series) => *job.open = Some(series),
            Err(error) if is_lost(&error, job.spec) => return Err(error),
            Err(error) => outcome.error = Some(error.to_string()),
        }
    }
    let mut batch = daemon.batch()?;
    for (index, (job, outcome)) in jobs.iter_mut().zip(outcomes.iter_mut()).enumerate() {
        let Some(series) = job.open.as_mut() else { continue };
        match batch.push(index, series, job.samples.iter().copied()) {
            Ok(stored) => {
                (outcome.late, outcome.repeated, outcome.rounded) = (stored.late, stored.repeated, stored.rounded);
            }
            Err(error @ SeriesError::System { .. }) => return Err(error),
            Err(error) => outcome.error = Some(error.to_string()),
        }
    }
    for (index, reason) in batch.finish()? {
        if let (Some(job), Some(outcome)) = (jobs.get(index), outcomes.get_mut(index)) {
            let error = format!("{}: rrdcached refuses: {reason}", job.spec.path.display());
            *outcome = Outcome { error: Some(error), ..Outcome::of(outcome.series) };
        }
    }
    Ok(())
}

/// Whether the daemon is gone; a file of ours that can't be changed is an error of its series only.
fn is_lost(error: &SeriesError, spec: &SeriesSpec) -> bool {
    matches!(error, SeriesError::System { path, .. } if Some(path.to_string_lossy().as_ref()) == spec.rrdcached.as_deref())
}
