//! Samples that are not stored yet, oldest first, within a bound.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::protocol::BatchWriter;

/// The most numbers kept, each sample counted as its values and two more: 16 MiB.
const NUMBERS_MAX: usize = 2 << 20;

/// The most samples of one batch, and the most numbers, so that a frame stays below 32 MB.
const BATCH_SAMPLES_MAX: usize = 500_000;
const BATCH_NUMBERS_MAX: usize = 1_500_000;

/// When a sample came, for which series, and how many values it has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub(super) series: u32,
    pub(super) width: u32,
    pub(super) time: f64,
}

/// Samples of any series in the order they came; their values lie in one row.
#[derive(Debug, Default)]
struct Line {
    entries: VecDeque<Entry>,
    values: VecDeque<f64>,
}

/// Everything not stored yet but for the batch under way.
#[derive(Debug, Default)]
pub(super) struct Pending {
    line: Line,
    /// Series whose file can't be written for now: their samples wait here, so that none overtakes another.
    held: BTreeMap<u32, Line>,
    numbers: usize,
    added: u64,
    taken: u64,
}

/// Samples on their way to the helper; kept until it has confirmed them.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    values: Vec<f64>,
    /// A helper died with it: it may be stored already.
    pub(super) sent_before: bool,
    /// How many helpers died with it.
    pub(super) deaths: u32,
}

impl Pending {
    /// Adds a sample. Returns the series whose oldest samples had to go for it, one entry a sample.
    pub(super) fn push(&mut self, entry: Entry, values: &[f64]) -> Vec<u32> {
        let mut dropped = Vec::new();
        self.numbers += entry.numbers();
        while self.numbers > NUMBERS_MAX {
            let Some(series) = self.drop_oldest() else { break };
            dropped.push(series);
        }
        match self.held.get_mut(&entry.series) {
            Some(line) => line.push(entry, values),
            None => {
                self.line.push(entry, values);
                self.added += 1;
            }
        }
        dropped
    }

    /// Held samples are the oldest.
    fn drop_oldest(&mut self) -> Option<u32> {
        let mut held = self.held.values_mut();
        let line = match held.find(|line| !line.entries.is_empty()) {
            Some(line) => line,
            None => {
                self.taken += 1;
                &mut self.line
            }
        };
        let entry = line.pop(&mut Vec::new())?;
        self.numbers = self.numbers.saturating_sub(entry.numbers());
        Some(entry.series)
    }

    /// How many samples wait for the next batches; held ones are not among them.
    pub(super) fn len(&self) -> usize {
        self.line.entries.len()
    }

    /// How many samples are held.
    pub(super) fn held(&self) -> usize {
        self.held.values().map(|line| line.entries.len()).sum()
    }

    /// A mark behind everything that waits; see [`Pending::has_passed`].
    pub(super) fn mark(&self) -> u64 {
        self.added
    }

    /// Whether everything before the mark was taken.
    pub(super) fn has_passed(&self, mark: u64) -> bool {
        self.taken >= mark
    }

    /// The oldest samples, at most 500,000.
    pub(super) fn take(&mut self) -> Batch {
        let mut batch = Batch::default();
        let mut numbers = self.line.values.len() + 2 * self.len();
        if self.len() <= BATCH_SAMPLES_MAX && numbers <= BATCH_NUMBERS_MAX {
            // The usual case, without touching each of them.
            let Line { entries, values } = std::mem::take(&mut self.line);
            (batch.entries, batch.values) = (entries.into(), values.into());
            self.taken += batch.len() as u64;
            self.numbers = self.numbers.saturating_sub(numbers);
            return batch;
        }
        numbers = 0;
        while batch.len() < BATCH_SAMPLES_MAX && numbers < BATCH_NUMBERS_MAX {
            let Some(entry) = self.line.pop(&mut batch.values) else { break };
            numbers += entry.numbers();
            batch.entries.push(entry);
        }
        self.taken += batch.len() as u64;
        self.numbers = self.numbers.saturating_sub(numbers);
        batch
    }

    /// Puts the samples of these series in a batch aside until [`Pending::release`], and their later ones behind them.
    pub(super) fn hold(&mut self, series: &HashSet<u32>, batch: &Batch) {
        for (entry, values) in batch.samples().filter(|(entry, _)| series.contains(&entry.series)) {
            self.numbers += entry.numbers();
            self.held.entry(entry.series).or_default().push(entry, values);
        }
        if !self.line.entries.iter().any(|entry| series.contains(&entry.series)) {
            return;
        }
        let mut rest = std::mem::take(&mut self.line);
        let mut values = Vec::new();
        while let Some(entry) = rest.pop(&mut values) {
            if series.contains(&entry.series) {
                self.held.entry(entry.series).or_default().push(entry, &values);
                self.taken += 1;
            } else {
                self.line.push(entry, &values);
            }
            values.clear();
        }
    }

    /// Held samples wait for the next batches again.
    pub(super) fn release(&mut self) {
        for line in std::mem::take(&mut self.held).into_values() {
            self.added += line.entries.len() as u64;
            self.line.entries.extend(line.entries);
            self.line.values.extend(line.values);
        }
    }
}

impl Entry {
    fn numbers(&self) -> usize {
        self.width as usize + 2
    }
}

impl Line {
    fn push(&mut self, entry: Entry, values: &[f64]) {
        self.entries.push_back(entry);
        self.values.extend(values);
    }

    /// Takes the first sample; its values are appended.
    fn pop(&mut self, values: &mut Vec<f64>) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        values.extend(self.values.drain(..(entry.width as usize).min(self.values.len())));
        Some(entry)
    }
}

impl Batch {
    /// How many samples.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Each sample with its values, in the order they came.
    pub(super) fn samples(&self) -> impl Iterator<Item = (Entry, &[f64])> {
        let mut rest = self.values.as_slice();
        self.entries.iter().map(move |entry| {
            let (values, after) = rest.split_at_checked(entry.width as usize).unwrap_or_default();
            rest = after;
            (*entry, values)
        })
    }

    /// The body of its frame.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = BatchWriter::new(self.sent_before, self.len(), self.values.len());
        for (entry, values) in self.samples() {
            writer.push(entry.series, whole_seconds(entry.time), values.iter().copied());
        }
        writer.finish()
    }

    /// One batch for each series, for finding the one that a helper dies of.
    pub(super) fn split(&self) -> Vec<Batch> {
        let mut batches: BTreeMap<u32, Batch> = BTreeMap::new();
        for (entry, values) in self.samples() {
            let batch = batches.entry(entry.series).or_default();
            batch.sent_before = true;
            batch.entries.push(entry);
            batch.values.extend(values);
        }
        batches.into_values().collect()
    }

    /// How many series it has samples of.
    pub(super) fn series(&self) -> usize {
        self.entries.iter().map(|entry| entry.series).collect::<BTreeSet<_>>().len()
    }
}

/// The second that a moment lies in.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and times out of range are refused as late")]
pub(super) fn whole_seconds(time: f64) -> i64 {
    time.floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(series: u32, time: f64) -> Entry {
        Entry { series, width: 1, time }
    }

    fn times(batch: &Batch, series: u32) -> Vec<f64> {
        let of_series = batch.samples().filter(|(entry, values)| entry.series == series && **values == [entry.time]);
        of_series.map(|(entry, _)| entry.time).collect()
    }

    fn push(pending: &mut Pending, series: u32, time: u32) {
        let time = f64::from(time);
        assert!(pending.push(entry(series, time), &[time]).is_empty());
    }

    #[test]
    fn samples_of_a_held_series_never_overtake_each_other() {
        let mut pending = Pending::default();
        for time in 0..4 {
            push(&mut pending, time % 2, time);
        }
        let failed = pending.take();
        push(&mut pending, 0, 4);
        push(&mut pending, 1, 5);
        pending.hold(&HashSet::from([0]), &failed);
        push(&mut pending, 0, 6);
        let next = pending.take();
        assert_eq!((times(&next, 0), times(&next, 1)), (vec![], vec![5.0]));
        assert_eq!((pending.len(), pending.held()), (0, 4));
        pending.release();
        push(&mut pending, 0, 7);
        assert_eq!(times(&pending.take(), 0), [0.0, 2.0, 4.0, 6.0, 7.0]);
    }

    #[test]
    fn a_mark_is_passed_when_everything_before_it_was_taken() {
        let mut pending = Pending::default();
        push(&mut pending, 0, 1);
        let mark = pending.mark();
        push(&mut pending, 0, 2);
        assert!(!pending.has_passed(mark));
        pending.take();
        assert!(pending.has_passed(mark) && pending.has_passed(pending.mark()));
    }

    #[test]
    fn over_the_bound_the_oldest_go_and_are_told() {
        let mut pending = Pending::default();
        let fits = NUMBERS_MAX / 3;
        assert!((0..fits).all(|time| pending.push(entry(0, time as f64), &[1.0]).is_empty()));
        assert_eq!(pending.push(entry(1, 0.0), &[1.0]), [0]);
        assert_eq!(pending.len(), fits);
        assert_eq!(pending.take().entries[0].time, 1.0);
        assert_eq!(pending.len(), fits - BATCH_SAMPLES_MAX);
        let mark = pending.mark();
        while pending.len() > 0 {
            pending.take();
        }
        assert!(pending.has_passed(mark), "dropped ones count as taken");
        assert_eq!(pending.numbers, 0);
    }

    #[test]
    fn a_batch_splits_by_series() {
        let mut pending = Pending::default();
        for time in 0..9 {
            push(&mut pending, time % 3, time);
        }
        let parts = pending.take().split();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.len() == 3 && part.sent_before));
    }
}
