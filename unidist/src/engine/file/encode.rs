//! Changes as rows, and rows as what they were.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::row::{Cells, Key, Table};
use crate::engine::journal::{Change, KeptBody, KeptValue, LogHeader, MessageChange, QueueHeader, Standing, Until};
use crate::engine::request::RequestKey;
use crate::messagequeue::{QueueOptions, WhenFull};
use crate::sharedlog::{LogEntry, LogOptions};

/// The bucket of answers that are remembered: no name that anybody can give.
pub(super) const ANSWERS: &str = "\u{1}answers";

/// Before the name of a lock: the counter that keeps its fencing number. No name that anybody can give.
pub(super) const FENCES: &str = "\u{1}fence ";

/// For how long the store's next owner knows the answer to a request.
pub(super) const ANSWERS_KEPT: Duration = Duration::from_secs(3_600);

/// The key of a lane's newest answer.
pub(super) fn answer_key(request: &RequestKey) -> String {
    format!("{} {}", request.session, request.lane)
}

/// Where the largest fencing number of a lock is.
pub(super) fn fence_key(lock: &str) -> Key {
    Key::named(Table::Counters, &format!("{FENCES}{lock}"))
}

/// One step of a write: steps are done in order.
#[derive(Debug)]
pub(super) enum Step {
    /// Each row as it is afterwards; none: gone.
    Rows(BTreeMap<Key, Option<Cells>>),
    /// All rows of this name go.
    Clear(Table, String),
}

/// What a group of changes comes to.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) steps: Vec<Step>,
    /// The highest revision, or 0.
    pub(super) revision: u64,
    /// The highest number of a message in a queue that was deleted, or 0.
    pub(super) message_number: u64,
    /// Fencing numbers up to here may be given, or 0.
    pub(super) fence: u64,
}

impl Batch {
    /// The size of what it writes, about.
    pub(super) fn bytes(&self) -> u64 {
        let of_step = |step: &Step| match step {
            Step::Rows(rows) => rows.values().flatten().map(|cells| cells.value.len() as u64).sum(),
            Step::Clear(..) => 0,
        };
        self.steps.iter().map(of_step).sum()
    }

    fn put(&mut self, key: Key, cells: Option<Cells>) {
        if let Some(Step::Rows(rows)) = self.steps.last_mut() {
            rows.insert(key, cells);
        } else {
            self.steps.push(Step::Rows(BTreeMap::from([(key, cells)])));
        }
    }

    /// Adds a change. `dates` turns the store's time into dates.
    pub(super) fn add(&mut self, change: &Change, dates: Dates) {
        match change {
            Change::Counter { name, value } => {
                let value = value.map(|value| Cells { value: value.to_string().into_bytes(), ..Cells::default() });
                self.put(Key::named(Table::Counters, name), value);
            }
            Change::State { bucket, key, revision, kept } => {
                self.revision = self.revision.max(*revision);
                let cells = |kept: &KeptValue| Cells {
                    revision: kept.revision.cast_signed(),
                    time: kept.expires.map_or(0, |due| dates.date(due)),
                    value: json(&*kept.value),
                };
                self.put(Key::keyed(Table::State, bucket, key), kept.as_ref().map(cells));
            }
            Change::Queue { name, header } => {
                let value = json(&QueueRow::from(header));
                self.put(Key::named(Table::Queues, name), Some(Cells { value, ..Cells::default() }));
            }
            Change::QueueGone { name, last_number } => {
                self.message_number = self.message_number.max(*last_number);
                self.steps.push(Step::Clear(Table::Messages, name.as_ref().to_owned()));
                self.steps.push(Step::Clear(Table::Standings, name.as_ref().to_owned()));
                self.put(Key::named(Table::Queues, name), None);
            }
            Change::Message { queue, number, change } => self.add_message(queue, *number, change, dates),
            Change::Log { name, header } => {
                let value = json(&LogRow::from(header));
                self.put(Key::named(Table::Logs, name), Some(Cells { value, ..Cells::default() }));
            }
            Change::LogEntry { log, entry } => {
                let cells = Cells { revision: 0, time: nanoseconds(entry.time), value: json(&*entry.value) };
                self.put(Key::numbered(Table::Entries, log, entry.offset), Some(cells));
            }
            Change::Fence { lock, number } => {
                let cells = Cells { value: number.cast_signed().to_string().into_bytes(), ..Cells::default() };
                self.put(fence_key(lock), Some(cells));
            }
            Change::Answer { request, answer } => {
                let value = |answer: &Value| json(&(request.number, answer));
                let time = dates.after(ANSWERS_KEPT);
                let cells = |answer| Cells { revision: 0, time, value: value(answer) };
                self.put(Key::keyed(Table::State, ANSWERS, &answer_key(request)), answer.as_ref().map(cells));
            }
            Change::LogEntryGone { log, offset } => self.put(Key::numbered(Table::Entries, log, *offset), None),
            Change::LogEntriesGone { log } => self.steps.push(Step::Clear(Table::Entries, log.as_ref().to_owned())),
        }
    }

    fn add_message(&mut self, queue: &str, number: u64, change: &MessageChange, dates: Dates) {
        let body = Key::numbered(Table::Messages, queue, number);
        let standing = Key::numbered(Table::Standings, queue, number);
        match change {
            MessageChange::Added(kept) => {
                let value = json(&(kept.priority, kept.id.as_deref(), &*kept.message));
                self.put(body, Some(Cells { revision: 0, time: dates.date(kept.added), value }));
            }
            MessageChange::Moved(moved) => {
                let (is_claimed, time) = match moved.until {
                    Until::Ready => (false, 0),
                    Until::Delayed(due) => (false, dates.date(due)),
                    Until::Claimed(ends) => (true, dates.date(ends)),
                };
                let value = json(&(is_claimed, &moved.reasons));
                self.put(standing, Some(Cells { revision: i64::from(moved.attempts), time, value }));
            }
            MessageChange::Gone => {
                self.put(body, None);
                self.put(standing, None);
            }
        }
    }
}

/// Turns the times of an open store into dates, so that they hold in the next run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dates {
    now: Duration,
    date: Duration,
}

impl Dates {
    pub(super) fn new(now: Duration, date: Duration) -> Self {
        Dates { now, date }
    }

    /// The date after a time from now.
    fn after(self, time: Duration) -> i64 {
        self.date(self.now.saturating_add(time))
    }

    /// In nanoseconds since 1970; at least 1, as 0 stands for none.
    fn date(self, time: Duration) -> i64 {
        let date = if time >= self.now {
            self.date.saturating_add(time - self.now)
        } else {
            self.date.saturating_sub(self.now - time)
        };
        nanoseconds(date).max(1)
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn time_of(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Values, texts and numbers always have a JSON form; the checksum would tell if one ever had not.
    serde_json::to_vec(value).unwrap_or_default()
}

/// Reads JSON of any depth: what was written passed the limits.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    reader.disable_recursion_limit();
    let value = T::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

pub(super) fn counter(cells: &Cells) -> Result<i64, String> {
    parse(&cells.value)
}

/// A fencing number, which is kept as a counter is.
pub(super) fn fence(cells: &Cells) -> Result<u64, String> {
    counter(cells).map(i64::cast_unsigned)
}

pub(super) fn kept_value(cells: &Cells) -> Result<KeptValue, String> {
    let expires = (cells.time != 0).then(|| time_of(cells.time));
    let value: Value = parse(&cells.value)?;
    Ok(KeptValue { value: Arc::new(value), revision: cells.revision.cast_unsigned(), expires })
}

pub(super) fn queue_header(cells: &Cells) -> Result<QueueHeader, String> {
    Ok(parse::<QueueRow>(&cells.value)?.into())
}

pub(super) fn body(cells: &Cells) -> Result<KeptBody, String> {
    let (priority, id, message): (i32, Option<String>, Value) = parse(&cells.value)?;
    let added = time_of(cells.time);
    Ok(KeptBody { id: id.map(Arc::from), priority, added, message: Arc::new(message) })
}

pub(super) fn standing(cells: &Cells) -> Result<Standing, String> {
    let (is_claimed, reasons): (bool, Vec<String>) = parse(&cells.value)?;
    let until = match (is_claimed, cells.time) {
        (true, time) => Until::Claimed(time_of(time)),
        (false, 0) => Until::Ready,
        (false, time) => Until::Delayed(time_of(time)),
    };
    let attempts = u32::try_from(cells.revision).map_err(|_| "a number of attempts out of range".to_owned())?;
    Ok(Standing { attempts, reasons, until })
}

pub(super) fn log_header(cells: &Cells) -> Result<LogHeader, String> {
    Ok(parse::<LogRow>(&cells.value)?.into())
}

pub(super) fn log_entry(offset: u64, cells: &Cells) -> Result<LogEntry, String> {
    let value: Value = parse(&cells.value)?;
    Ok(LogEntry { offset, time: time_of(cells.time), value: Arc::new(value) })
}

/// A queue's settings and counts as they lie on disk.
#[derive(Serialize, Deserialize)]
struct QueueRow {
    length_max: usize,
    age_max: Option<Duration>,
    when_full: FullRow,
    attempts_max: Option<u32>,
    dead_letters: Option<String>,
    last_number: u64,
    added: u64,
    dropped: u64,
    dead: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FullRow {
    DropOldest,
    Reject,
    Wait,
}

impl From<&QueueHeader> for QueueRow {
    fn from(header: &QueueHeader) -> Self {
        let QueueHeader { options, last_number, added, dropped, dead } = header.clone();
        let QueueOptions { length_max, age_max, when_full, attempts_max, dead_letters } = options;
        let when_full = match when_full {
            WhenFull::DropOldest => FullRow::DropOldest,
            WhenFull::Reject => FullRow::Reject,
            WhenFull::Wait => FullRow::Wait,
        };
        QueueRow { length_max, age_max, when_full, attempts_max, dead_letters, last_number, added, dropped, dead }
    }
}

impl From<QueueRow> for QueueHeader {
    fn from(row: QueueRow) -> Self {
        let QueueRow { length_max, age_max, when_full, attempts_max, dead_letters, .. } = row;
        let when_full = match when_full {
            FullRow::DropOldest => WhenFull::DropOldest,
            FullRow::Reject => WhenFull::Reject,
            FullRow::Wait => WhenFull::Wait,
        };
        let options = QueueOptions { length_max, age_max, when_full, attempts_max, dead_letters };
        let QueueRow { last_number, added, dropped, dead, .. } = row;
        QueueHeader { options, last_number, added, dropped, dead }
    }
}

/// A log's settings as they lie on disk.
#[derive(Serialize, Deserialize)]
struct LogRow {
    entries_max: usize,
    bytes_max: usize,
    age_max: Option<Duration>,
    next: u64,
    is_deleted: bool,
}

impl From<&LogHeader> for LogRow {
    fn from(header: &LogHeader) -> Self {
        let LogOptions { entries_max, bytes_max, age_max } = header.options.clone();
        LogRow { entries_max, bytes_max, age_max, next: header.next, is_deleted: header.is_deleted }
    }
}

impl From<LogRow> for LogHeader {
    fn from(row: LogRow) -> Self {
        let LogRow { entries_max, bytes_max, age_max, next, is_deleted } = row;
        LogHeader { options: LogOptions { entries_max, bytes_max, age_max }, next, is_deleted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_and_the_deepest_value_come_back_as_they_were() {
        let deep = (0..crate::limits::VALUE_DEPTH_MAX).fold(Value::from(5e-324), |value, _| Value::Array(vec![value]));
        for value in [deep, Value::from(0.1 + 0.2), Value::from(123_456_789.012_345_67), Value::from(u64::MAX)] {
            assert_eq!(parse::<Value>(&json(&value)).unwrap(), value);
        }
    }

    #[test]
    fn times_keep_their_distance_from_now_as_dates() {
        let dates = Dates::new(Duration::from_secs(100), Duration::from_secs(1_000));
        assert_eq!(dates.date(Duration::from_secs(160)), 1_060_000_000_000);
        assert_eq!(dates.date(Duration::from_secs(40)), 940_000_000_000);
        assert_eq!(dates.date(Duration::MAX), i64::MAX);
        assert_eq!(time_of(dates.date(Duration::from_secs(160))), Duration::from_secs(1_060));
    }
}
