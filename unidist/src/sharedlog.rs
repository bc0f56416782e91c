//! Shared logs by name: entries in the order in which they were appended, read by offset and followed.
//!
//! Offsets count from 0 and are never used twice. A log keeps its newest entries within its caps; who reads from an
//! offset that is gone is told how many entries are missing, never given others in their place silently.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::Engine;
use crate::error::Error;
use crate::name;
use crate::stop::Stop;
use crate::wait::{Patience, Waited, block_on};

/// How much a log keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOptions {
    /// The most entries. Default: 10,000.
    pub entries_max: usize,
    /// Their values together, as JSON, in bytes, about; the newest entry always stays. Default: 16 MiB.
    pub bytes_max: usize,
    /// Entries older than this are dropped. Default: none.
    pub age_max: Option<Duration>,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { entries_max: 10_000, bytes_max: 16 * 1024 * 1024, age_max: None }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its place in the log.
    pub offset: u64,
    /// When it was appended, as time since 1970.
    pub time: Duration,
    /// What was appended, shared with the store.
    pub value: Arc<Value>,
}

/// A part of a log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogPage {
    /// In order of their offsets.
    pub entries: Vec<LogEntry>,
    /// Entries between the offset that was asked for and the first one here that the log no longer has.
    pub missing: u64,
    /// From where to read on.
    pub next: u64,
}

/// What a log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// The oldest entry's offset; equal to `next` when the log is empty.
    pub first: u64,
    /// The offset that the next entry will have.
    pub next: u64,
    /// The size of the values, in bytes, about.
    pub bytes: usize,
}

/// The logs of a store.
///
/// ```
/// use serde_json::json;
/// let shared = unidist::Unidist::open("memory:")?;
/// let logs = shared.sharedlog();
/// logs.append("events", json!("started"))?;
/// assert_eq!(logs.append("events", json!("stopped"))?, 1);
/// let page = logs.read("events", 0, 100)?;
/// assert_eq!((page.entries.len(), page.next), (2, 2));
/// # Ok::<(), unidist::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SharedLog<'a> {
    pub(crate) engine: &'a Arc<dyn Engine>,
}

impl SharedLog<'_> {
    /// Appends an entry and returns its offset; creates the log.
    ///
    /// # Errors
    /// A bad name; a value past the limits; too many logs.
    pub fn append(self, log: &str, value: Value) -> Result<u64, Error> {
        name::check("log", log)?;
        let bytes = self.engine.limits().check_value(|| format!("the log {log:?}"), &value)?;
        self.engine.logs().append(log, value, bytes)
    }

    /// Up to `limit` entries from `offset` on. An unknown log reads as an empty one.
    ///
    /// # Errors
    /// A bad name.
    pub fn read(self, log: &str, offset: u64, limit: usize) -> Result<LogPage, Error> {
        name::check("log", log)?;
        self.engine.logs().read(log, offset, limit)
    }

    /// Follows the log from `offset` on (none: from its end); creates it.
    ///
    /// # Errors
    /// A bad name; too many logs.
    pub fn follow(self, log: &str, offset: Option<u64>) -> Result<LogFollower, Error> {
        name::check("log", log)?;
        self.engine.logs().appended(log)?;
        let next = match offset {
            Some(offset) => offset,
            None => self.engine.logs().status(log)?.map_or(0, |status| status.next),
        };
        Ok(LogFollower { engine: self.engine.clone(), log: log.to_owned(), next })
    }

    /// Sets the log's caps; creates it.
    ///
    /// # Errors
    /// A bad name; a cap of zero entries.
    pub fn configure(self, log: &str, options: LogOptions) -> Result<(), Error> {
        name::check("log", log)?;
        if options.entries_max == 0 {
            let reason = "has an entries_max of 0: a log must have room for an entry".to_owned();
            return Err(Error::Setting { what: format!("the log {log:?}"), reason });
        }
        self.engine.logs().configure(log, options)
    }

    /// What it holds; none for an unknown log.
    ///
    /// # Errors
    /// A bad name.
    pub fn status(self, log: &str) -> Result<Option<LogStatus>, Error> {
        name::check("log", log)?;
        self.engine.logs().status(log)
    }

    /// Removes all entries and the caps; true when there was such a log. Offsets go on where they were.
    ///
    /// # Errors
    /// A bad name.
    pub fn delete(self, log: &str) -> Result<bool, Error> {
        name::check("log", log)?;
        self.engine.logs().delete(log)
    }

    /// The names of all logs, sorted.
    ///
    /// # Errors
    /// None under `memory:`.
    pub fn list(self) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = self.engine.logs().names()?.iter().map(|name| name.to_string()).collect();
        names.sort();
        Ok(names)
    }
}

/// Reads a log entry by entry and waits at its end.
pub struct LogFollower {
    engine: Arc<dyn Engine>,
    log: String,
    next: u64,
}

impl LogFollower {
    /// The offset of the entry that is read next.
    pub fn offset(&self) -> u64 {
        self.next
    }

    /// The next entry; none when `wait` is over (zero: at once, none: never). Blocks.
    ///
    /// # Errors
    /// `FellBehind` once, when entries were dropped before they were read; the call after it goes on with the oldest
    /// that is there. `Stopped`.
    pub fn next(&mut self, wait: Option<Duration>, stop: &Stop) -> Result<Option<LogEntry>, Error> {
        block_on(self.next_async(wait, stop))
    }

    /// `next` for tasks.
    ///
    /// # Errors
    /// As `next`.
    pub async fn next_async(&mut self, wait: Option<Duration>, stop: &Stop) -> Result<Option<LogEntry>, Error> {
        let engine = self.engine.clone();
        if let Some(result) = self.read_one() {
            return result.map(Some);
        }
        let event = engine.logs().appended(&self.log)?;
        let patience = Patience::new(engine.timers(), wait, stop);
        match patience.until(&event, || self.read_one()).await {
            Waited::Done(result) => result.map(Some),
            Waited::TimeOver => Ok(None),
            Waited::Stopped => Err(Error::Stopped { what: format!("an entry of the log {:?}", self.log) }),
        }
    }

    fn read_one(&mut self) -> Option<Result<LogEntry, Error>> {
        let page = match self.engine.logs().read(&self.log, self.next, 1) {
            Ok(page) => page,
            Err(error) => return Some(Err(error)),
        };
        if page.missing > 0 {
            let what = format!("the log {:?}", self.log);
            let reason = format!("{} entries from offset {} on are dropped", page.missing, self.next);
            self.next += page.missing;
            return Some(Err(Error::FellBehind { what, reason }));
        }
        let entry = page.entries.into_iter().next()?;
        self.next = entry.offset + 1;
        Some(Ok(entry))
    }
}
