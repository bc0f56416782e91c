//! What came of a batch: counted in the records of its series, and told where it is worth a line.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::client::State;
use super::pending::Batch;
use super::protocol::Outcome;
use super::status::Record;

/// Held samples are tried again after so long, and after twice as long each time that nothing came of it.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(15);

/// Whether a sample of that time is another one than the newest of the series.
pub(super) fn is_newer(record: &Record, time: f64) -> bool {
    let sample = |time| record.spec.floor(super::pending::whole_seconds(time));
    match record.status.last_time {
        // The usual case, without divisions: the client waits for this.
        Some(last) if time >= last + record.spec.interval.as_secs_f64() => true,
        Some(last) => sample(time) > sample(last),
        None => true,
    }
}

/// How many of the samples that look new were refused, by series: those of a file that holds newer ones already, such
/// as the first one after a restart. They are the series' oldest in the batch.
pub(super) fn refused_first(state: &State, batch: &Batch, outcomes: &[Outcome]) -> HashMap<u32, u64> {
    let told = outcomes.iter().filter(|outcome| outcome.late + outcome.repeated > 0);
    let mut refused: HashMap<u32, u64> =
        told.map(|outcome| (outcome.series, outcome.late + outcome.repeated)).collect();
    if refused.is_empty() {
        return refused;
    }
    let mut newest: HashMap<u32, i64> = HashMap::new();
    for (entry, _) in batch.samples() {
        let Some(record) = state.records.get(entry.series as usize) else { continue };
        let Some(count) = refused.get_mut(&entry.series) else { continue };
        let sample = |time| record.spec.floor(super::pending::whole_seconds(time));
        let last = newest.get(&entry.series).copied().or_else(|| record.status.last_time.map(sample));
        let time = sample(entry.time);
        if last.is_some_and(|last| time <= last) {
            // Known here to be no new one.
            *count = count.saturating_sub(1);
        } else {
            newest.insert(entry.series, time);
        }
    }
    refused
}

/// Warns of a file that was removed while it was written to: what it held is gone.
pub(super) fn tell_created(state: &State, outcome: &Outcome) {
    if let Some(record) = state.records.get(outcome.series as usize).filter(|record| record.has_file) {
        let path = record.spec.path.display();
        log::warn!("series {path}: the file was removed while samples were stored in it; it begins anew");
    }
}

/// Notes which series of a batch can be written again; true when they are the last that could not.
pub(super) fn recover(state: &mut State, batch: &Batch, failed: &HashSet<u32>) -> bool {
    if state.failing.is_empty() {
        return false;
    }
    for (entry, _) in batch.samples().filter(|(entry, _)| !failed.contains(&entry.series)) {
        if state.failing.remove(&entry.series).is_some()
            && let Some(record) = state.records.get_mut(entry.series as usize)
        {
            record.status.last_error = None;
            state.retry_after = Duration::ZERO;
        }
    }
    state.failing.is_empty() && failed.is_empty()
}

/// Holds the samples of series that can't be written. Returns what to tell: nothing for a reason that is known
/// already, so that a full disk is one warning, whatever the number of series.
pub(super) fn fail(state: &mut State, batch: &Batch, outcomes: &[Outcome], failed: &HashSet<u32>) -> Option<String> {
    if failed.is_empty() {
        return None;
    }
    state.pending.hold(failed, batch);
    if state.retry_at.is_none() {
        state.retry_after = state.retry_after.saturating_mul(2).clamp(RETRY, RETRY_MAX);
        state.retry_at = Some(Instant::now() + state.retry_after);
    }
    let mut known: HashSet<String> = state.failing.values().cloned().collect();
    let mut news = None;
    let mut others = 0;
    for outcome in outcomes {
        let Some(error) = &outcome.error else { continue };
        let reason = error.rsplit(": ").next().unwrap_or(error).to_owned();
        let is_known = !known.insert(reason.clone());
        state.failing.insert(outcome.series, reason);
        if let Some(record) = state.records.get_mut(outcome.series as usize) {
            record.status.last_error = Some(error.clone());
        }
        if is_known {
            others += 1;
        } else {
            news.get_or_insert_with(|| why(state, outcome.series).unwrap_or_else(|| Some(error.clone())));
        }
    }
    let others = if others > 0 { format!(" (and {others} more series)") } else { String::new() };
    news.flatten().map(|error| format!("{error}{others}; samples are kept and tried again"))
}

/// What to tell of a file that the system refuses, in words of ours: none when they are not better than the helper's,
/// and none within when they were told at the start already.
fn why(state: &State, series: u32) -> Option<Option<String>> {
    let spec = &state.records.get(series as usize)?.spec;
    let why = super::unwritable(&spec.path).filter(|_| spec.rrdcached.is_none())?;
    let is_told = state.announced.contains(&spec.path);
    Some((!is_told).then(|| format!("the series {} can't be stored: {why}", spec.path.display())))
}

/// Counts what was not stored, and warns of it once a file.
pub(super) fn tell(state: &mut State, outcome: &Outcome) {
    let unstored = outcome.late + outcome.repeated;
    state.totals.stored = state.totals.stored.saturating_sub(unstored);
    state.totals.late += outcome.late;
    state.totals.repeated += outcome.repeated;
    let Some(record) = state.records.get_mut(outcome.series as usize) else { return };
    record.status.stored = record.status.stored.saturating_sub(unstored);
    record.status.late += outcome.late;
    record.status.repeated += outcome.repeated;
    let (path, step) = (record.spec.path.display(), record.spec.step());
    if outcome.late > 0 && !std::mem::replace(&mut record.told.late, true) {
        log::warn!("series {path}: a sample is older than the newest one stored; it and others like it are dropped");
    }
    if outcome.repeated > 0 && !record.told.repeated {
        // One now and then is of a restart or a reload, and harmless.
        if record.status.repeated * 10 > record.status.stored + 10 {
            record.told.repeated = true;
            log::warn!("series {path}: two samples in one interval of {step} s; the first of each counts");
        } else {
            log::info!("series {path}: a second sample in one interval of {step} s is passed over");
        }
    }
    if outcome.rounded > 0 && !std::mem::replace(&mut record.told.rounded, true) {
        log::warn!(
            "series {path}: COUNTER and DERIVE hold whole numbers, fractions are rounded; use DCOUNTER or DDERIVE"
        );
    }
}

/// The published line: file, time, values.
pub(super) fn line(spec: &unidist::timeseries::SeriesSpec, time: f64, values: &[f64]) -> String {
    // Cut, not rounded: the interval it lies in is told by its whole seconds.
    let time = (time * 100.0).floor() / 100.0;
    let mut text = format!("Storing RRD occurrence: {}: {time:.2}: {{", spec.path.display());
    for (index, (field, value)) in spec.fields.iter().zip(values).enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let shown: &dyn std::fmt::Display = if value.is_finite() { value } else { &"unknown" };
        let _ = write!(text, "{comma}{}: {shown}", field.name);
    }
    text.push('}');
    text
}
