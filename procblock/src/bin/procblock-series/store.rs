//! Batches of samples on their way to files: sorted by series, then stored file by file, large ones of
//! few files by several threads.
//!
//! librrd may update different files at the same time; one series is never worked on by two threads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use procblock::series::protocol::{BatchReader, Outcome};
use unidist::timeseries::{CachedSeries, SeriesError, SeriesFile, SeriesSpec, Stored, Undo};

use super::daemons::{CachedJob, Daemons};

/// The most series: as many as the client declares.
const SERIES_MAX: usize = 100_000;

/// The most threads that store a batch.
const THREADS_MAX: usize = 4;

/// Room for so many samples and values is kept for each series between batches.
const SAMPLES_KEPT_ROOM: usize = 64;

/// Samples for which another thread is worth being started …
const SAMPLES_A_THREAD: usize = 2_000;

/// … where each file gets so many: librrd maps a file into memory for each update, and threads that do little else wait
/// for each other at that. 1,000 files with 300 samples each take two threads a quarter longer than one.
const SAMPLES_A_FILE: usize = 1_000;

/// Every series that was declared, by number, and the notes by which a killed update is undone.
#[derive(Default)]
pub(super) struct Store {
    series: Vec<Option<Series>>,
    /// One for each thread; the first one's also enters folders.
    undo: Vec<Undo>,
    daemons: Daemons,
}

struct Series {
    spec: SeriesSpec,
    file: Option<SeriesFile>,
    /// Instead of the file, where samples go through rrdcached.
    cached: Option<CachedSeries>,
    /// See [`CachedJob`].
    may_be_stored: bool,
    /// The batch at hand: times, and for each as many values as there are fields.
    times: Vec<i64>,
    values: Vec<f64>,
}

/// A series with samples in the batch at hand.
type Job<'a> = (u32, &'a mut Series);

impl Store {
    /// Makes a series known; nothing is done to its file yet.
    pub(super) fn declare(&mut self, number: u32, spec: SeriesSpec) -> Result<(), String> {
        let index = number as usize;
        if index >= SERIES_MAX {
            return Err(format!("series {number} is beyond the {SERIES_MAX} that there may be"));
        }
        if self.series.len() <= index {
            self.series.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.series.get_mut(index) {
            *slot = Some(Series::new(spec));
        }
        Ok(())
    }

    /// Stores a batch. Returns what is worth telling, by series.
    ///
    /// # Errors
    /// The batch makes no sense; nothing of it is stored.
    pub(super) fn batch(&mut self, body: &[u8]) -> Result<Vec<Outcome>, String> {
        let (samples, sent_before) = self.sort(body)?;
        let threads = threads(samples, self.series.iter().flatten().filter(|series| !series.times.is_empty()).count());
        while self.undo.len() < threads {
            self.undo.push(Undo::new(self.undo.len()));
        }
        let mut outcomes = self.cached(sent_before);
        let jobs = ready(&mut self.series, &mut self.undo, &mut outcomes);
        let queue = Mutex::new(jobs.into_iter());
        let undo = self.undo.get_mut(..threads).unwrap_or_default();
        thread::scope(|scope| {
            let queue = &queue;
            let mut lanes = undo.iter_mut();
            let first = lanes.next();
            let others: Vec<_> = lanes.map(|undo| scope.spawn(|| work(queue, undo, sent_before))).collect();
            outcomes.extend(first.map(|undo| work(queue, undo, sent_before)).unwrap_or_default());
            // A panic goes on: what it left half done is undone by the next helper.
            others.into_iter().for_each(|other| match other.join() {
                Ok(told) => outcomes.extend(told),
                Err(panic) => std::panic::resume_unwind(panic),
            });
        });
        self.undo.iter_mut().for_each(Undo::clear);
        outcomes.sort_unstable_by_key(|outcome| outcome.series);
        Ok(outcomes)
    }

    /// Makes the rrdcached at `address` write what it holds of a file.
    pub(super) fn flush(&mut self, address: &str, path: &Path) -> Result<(), SeriesError> {
        self.daemons.flush(address, path)
    }

    /// Stores the samples of the batch that go through rrdcached, a batch of its own for each address.
    fn cached(&mut self, sent_before: bool) -> Vec<Outcome> {
        let mut by_address: BTreeMap<&str, Vec<CachedJob<'_>>> = BTreeMap::new();
        for (number, series) in (0..).zip(&mut self.series) {
            let Some(series) = series.as_mut().filter(|series| !series.times.is_empty()) else { continue };
            let Some(address) = &series.spec.rrdcached else { continue };
            by_address.entry(address).or_default().push(CachedJob {
                number,
                spec: &series.spec,
                open: &mut series.cached,
                may_be_stored: &mut series.may_be_stored,
                samples: rows(&series.times, &series.values, &series.spec).collect(),
            });
        }
        let mut outcomes = Vec::new();
        for (address, mut jobs) in by_address {
            outcomes.extend(self.daemons.store(address, &mut jobs, sent_before));
        }
        outcomes
    }

    /// Gives each series its samples, in their order. Returns how many there are, and whether they were sent before.
    fn sort(&mut self, body: &[u8]) -> Result<(usize, bool), String> {
        let mut reader = BatchReader::new(body).ok_or("a batch is empty")?;
        self.series.iter_mut().flatten().for_each(Series::forget);
        let mut samples = 0;
        while let Some(sample) = reader.next_sample()? {
            let series = self.series.get_mut(sample.series as usize).and_then(Option::as_mut);
            let series = series.ok_or("a sample names a series that was not declared")?;
            if sample.values().len() != series.spec.fields.len() {
                return Err(format!("a sample of {} has another number of values", series.spec.path.display()));
            }
            series.times.push(sample.time);
            series.values.extend(sample.values());
            samples += 1;
        }
        Ok((samples, reader.sent_before))
    }
}

/// How many threads store so many samples of so many series.
fn threads(samples: usize, series: usize) -> usize {
    if samples < series * SAMPLES_A_FILE {
        return 1;
    }
    let most = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    (samples / SAMPLES_A_THREAD).clamp(1, most)
}

/// Opens what is not open yet, one file after the other; what can't be opened is told.
fn ready<'a>(series: &'a mut [Option<Series>], undo: &mut [Undo], outcomes: &mut Vec<Outcome>) -> Vec<Job<'a>> {
    let Some(undo) = undo.first_mut() else { return Vec::new() };
    let mut jobs = Vec::new();
    for (number, series) in (0..).zip(series) {
        let is_wanted = |series: &&mut Series| !series.times.is_empty() && series.spec.rrdcached.is_none();
        let Some(series) = series.as_mut().filter(is_wanted) else { continue };
        match series.open(undo) {
            Ok(()) => jobs.push((number, series)),
            Err(error) => outcomes.push(Outcome { error: Some(error.to_string()), ..Outcome::of(number) }),
        }
    }
    jobs
}

/// Stores series after series until none is left.
fn work<'a>(queue: &Mutex<impl Iterator<Item = Job<'a>>>, undo: &mut Undo, sent_before: bool) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let next = || queue.lock().ok()?.next();
    while let Some((number, series)) = next() {
        let mut outcome = Outcome::of(number);
        match series.store(undo) {
            Ok(stored) => {
                outcome.rounded = stored.rounded;
                outcome.is_created = series.take_created();
                if !sent_before {
                    (outcome.late, outcome.repeated) = (stored.late, stored.repeated);
                }
            }
            Err(error) => outcome.error = Some(error.to_string()),
        }
        if outcome != Outcome::of(number) {
            outcomes.push(outcome);
        }
    }
    undo.settle();
    outcomes
}

/// The samples of a series with their values.
fn rows<'a>(times: &'a [i64], values: &'a [f64], spec: &SeriesSpec) -> impl Iterator<Item = (i64, &'a [f64])> {
    times.iter().copied().zip(values.chunks(spec.fields.len().max(1)))
}

impl Series {
    fn new(spec: SeriesSpec) -> Self {
        Series { spec, file: None, cached: None, may_be_stored: false, times: Vec::new(), values: Vec::new() }
    }

    /// Makes room for the next batch; what a much larger one than most needed is given back.
    fn forget(&mut self) {
        self.times.clear();
        self.values.clear();
        self.times.shrink_to(SAMPLES_KEPT_ROOM);
        self.values.shrink_to(SAMPLES_KEPT_ROOM);
    }

    /// Whether the file was created since this was asked last.
    fn take_created(&mut self) -> bool {
        self.file.as_mut().is_some_and(SeriesFile::take_created)
    }

    fn open(&mut self, undo: &mut Undo) -> Result<(), SeriesError> {
        if self.file.is_none() {
            undo.enter(&self.spec.path)?;
            let first = self.times.first().copied().unwrap_or(0);
            self.file = Some(SeriesFile::open(&self.spec, first)?);
        }
        Ok(())
    }

    fn store(&mut self, undo: &mut Undo) -> Result<Stored, SeriesError> {
        let Some(mut file) = self.file.take() else { return Ok(Stored::default()) };
        let samples = rows(&self.times, &self.values, &self.spec);
        let stored = match undo.note(&file) {
            Some(noted) => {
                let stored = file.update_noted(samples, &noted);
                undo.done(&file, noted);
                stored
            }
            None => file.update(samples),
        };
        // After an error the file is opened anew.
        let stored = stored?;
        self.file = Some(file);
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_get_many_samples_are_shared_among_threads() {
        let most = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        assert_eq!([threads(0, 0), threads(300_000, 1_000), threads(1_999, 1), threads(999_999, 1_000)], [1; 4]);
        assert_eq!(threads(1_000_000, 1_000), most);
        assert_eq!(threads(4_000, 2), most.min(2));
    }
}
