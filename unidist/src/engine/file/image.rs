//! The memory as an image of the disk: filled when the store is opened, put right when the disk refuses a change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::encode;
use super::row::{Cells, Key, Table};
use super::store::{Fault, Store};
use crate::engine::journal::{Change, KeptBody, KeptValue, LogHeader, QueueHeader, Standing};
use crate::engine::memory::MemoryEngine;
use crate::sharedlog::LogEntry;

/// What a change touched; the smallest thing that is read again from the disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Touched {
    Counter(Arc<str>),
    State(Arc<str>, Arc<str>),
    Queue(Arc<str>),
    AllMessages(Arc<str>),
    Message(Arc<str>, u64),
    Log(Arc<str>),
    Fence(Arc<str>),
    /// An answer: it is in no memory but that of who asked.
    Answer,
}

impl From<&Change> for Touched {
    fn from(change: &Change) -> Self {
        match change {
            Change::Counter { name, .. } => Touched::Counter(name.clone()),
            Change::State { bucket, key, .. } => Touched::State(bucket.clone(), key.clone()),
            Change::Queue { name, .. } => Touched::Queue(name.clone()),
            Change::QueueGone { name, .. } => Touched::AllMessages(name.clone()),
            Change::Message { queue, number, .. } => Touched::Message(queue.clone(), *number),
            Change::Fence { lock, .. } => Touched::Fence(lock.clone()),
            Change::Answer { .. } => Touched::Answer,
            Change::Log { name, .. }
            | Change::LogEntry { log: name, .. }
            | Change::LogEntryGone { log: name, .. }
            | Change::LogEntriesGone { log: name } => Touched::Log(name.clone()),
        }
    }
}

/// Makes everything that was touched what it is on disk. Nobody else changes the memory meanwhile.
pub(super) fn restore(memory: &MemoryEngine, store: &Store, touched: &BTreeSet<Touched>) -> Result<(), Fault> {
    for thing in touched {
        match thing {
            Touched::Counter(name) => {
                let cells = store.row(&Key::named(Table::Counters, name))?;
                memory.counters.restore(name, decoded(cells, encode::counter)?);
            }
            Touched::State(bucket, key) => {
                let cells = store.row(&Key::keyed(Table::State, bucket, key))?;
                memory.state.restore(bucket, key, decoded(cells, encode::kept_value)?);
            }
            Touched::Queue(name) => {
                let cells = store.row(&Key::named(Table::Queues, name))?;
                memory.queues.restore_header(name, decoded(cells, encode::queue_header)?);
            }
            Touched::AllMessages(name) => restore_queue(memory, store, name)?,
            Touched::Message(queue, number) => {
                let body = store.row(&Key::numbered(Table::Messages, queue, *number))?;
                let standing = store.row(&Key::numbered(Table::Standings, queue, *number))?;
                let standing = decoded(standing, encode::standing)?.unwrap_or_default();
                let kept = decoded(body, encode::body)?.map(|body| (body, standing));
                memory.queues.restore_message(queue, *number, kept);
            }
            Touched::Fence(lock) => {
                let number = decoded(store.row(&encode::fence_key(lock))?, encode::fence)?;
                memory.locks.restore_mark(lock, number.unwrap_or(0));
            }
            Touched::Answer => {}
            Touched::Log(name) => restore_log(memory, store, name)?,
        }
    }
    Ok(())
}

fn decoded<T>(cells: Option<Cells>, decode: fn(&Cells) -> Result<T, String>) -> Result<Option<T>, Fault> {
    cells.map(|cells| decode(&cells)).transpose().map_err(Fault::Damaged)
}

fn restore_queue(memory: &MemoryEngine, store: &Store, name: &str) -> Result<(), Fault> {
    let header = store.row(&Key::named(Table::Queues, name))?;
    let mut standings = BTreeMap::new();
    for (part, cells) in store.rows_named(Table::Standings, name)? {
        standings.insert(part, encode::standing(&cells).map_err(Fault::Damaged)?);
    }
    let mut messages = Vec::new();
    for (part, cells) in store.rows_named(Table::Messages, name)? {
        let body = encode::body(&cells).map_err(Fault::Damaged)?;
        let standing = standings.remove(&part).unwrap_or_default();
        messages.push((number_of(&part).map_err(Fault::Damaged)?, body, standing));
    }
    memory.queues.restore_header(name, None);
    if let Some(header) = decoded(header, encode::queue_header)? {
        memory.queues.restore_header(name, Some(header));
    }
    memory.queues.load(name, messages);
    Ok(())
}

fn restore_log(memory: &MemoryEngine, store: &Store, name: &str) -> Result<(), Fault> {
    let header = decoded(store.row(&Key::named(Table::Logs, name))?, encode::log_header)?;
    let mut entries = Vec::new();
    for (part, cells) in store.rows_named(Table::Entries, name)? {
        let offset = number_of(&part).map_err(Fault::Damaged)?;
        entries.push(encode::log_entry(offset, &cells).map_err(Fault::Damaged)?);
    }
    memory.logs.restore(name, header.map(|header| (header, entries)));
    Ok(())
}

fn number_of(part: &[u8]) -> Result<u64, String> {
    <[u8; 8]>::try_from(part).map(u64::from_be_bytes).map_err(|_| "a number that is none".to_owned())
}

/// A row that was read and decoded.
pub(super) enum Kept {
    Counter(i64),
    State(KeptValue),
    Queue(QueueHeader),
    Message(u64, KeptBody),
    Standing(u64, Standing),
    Log(LogHeader),
    Entry(LogEntry),
}

/// Decodes a row whose checksum is right; the error says what is wrong with it all the same.
pub(super) fn decode(table: Table, part: &[u8], cells: &Cells) -> Result<Kept, String> {
    Ok(match table {
        Table::Counters => Kept::Counter(encode::counter(cells)?),
        Table::State => Kept::State(encode::kept_value(cells)?),
        Table::Queues => Kept::Queue(encode::queue_header(cells)?),
        Table::Messages => Kept::Message(number_of(part)?, encode::body(cells)?),
        Table::Standings => Kept::Standing(number_of(part)?, encode::standing(cells)?),
        Table::Logs => Kept::Log(encode::log_header(cells)?),
        Table::Entries => Kept::Entry(encode::log_entry(number_of(part)?, cells)?),
        Table::Meta => return Err("it is of no shared thing".to_owned()),
    })
}

/// Fills an empty memory, row by row, tables in the order of `LOAD_ORDER`.
pub(super) struct Loader<'a> {
    memory: &'a MemoryEngine,
    /// Where the messages stand that are no longer new, by queue.
    standings: BTreeMap<(String, u64), Standing>,
    /// Messages of one queue, which come after each other.
    messages: Vec<(u64, KeptBody, Standing)>,
    queue: String,
    answers: Vec<(String, KeptValue)>,
}

/// Messages that are put into a queue together.
const MESSAGES_AT_ONCE: usize = 10_000;

/// Headers before what they head, standings before messages.
pub(super) const LOAD_ORDER: [Table; 7] =
    [Table::Counters, Table::State, Table::Queues, Table::Standings, Table::Messages, Table::Logs, Table::Entries];

impl<'a> Loader<'a> {
    pub(super) fn new(memory: &'a MemoryEngine) -> Self {
        Loader { memory, standings: BTreeMap::new(), messages: Vec::new(), queue: String::new(), answers: Vec::new() }
    }

    /// Takes a row in. `part` is the key of a value of the state.
    pub(super) fn take(&mut self, name: &str, part: &str, kept: Kept) {
        match kept {
            Kept::Counter(value) => match name.strip_prefix(encode::FENCES) {
                Some(lock) => self.memory.locks.restore_mark(lock, value.cast_unsigned()),
                None => self.memory.counters.restore(name, Some(value)),
            },
            Kept::State(kept) if name == encode::ANSWERS => self.answers.push((part.to_owned(), kept)),
            Kept::State(kept) => self.memory.state.load(name, part, kept),
            Kept::Queue(header) => self.memory.queues.restore_header(name, Some(header)),
            Kept::Standing(number, standing) => {
                self.standings.insert((name.to_owned(), number), standing);
            }
            Kept::Message(number, body) => {
                if self.queue != name {
                    self.flush();
                    self.queue = name.to_owned();
                }
                let standing = self.standings.remove(&(name.to_owned(), number)).unwrap_or_default();
                self.messages.push((number, body, standing));
                if self.messages.len() >= MESSAGES_AT_ONCE {
                    self.flush();
                }
            }
            Kept::Log(header) => self.memory.logs.restore(name, Some((header, Vec::new()))),
            Kept::Entry(entry) => self.memory.logs.load_entry(name, entry),
        }
    }

    fn flush(&mut self) {
        let messages = std::mem::take(&mut self.messages);
        if !messages.is_empty() {
            self.memory.queues.load(&self.queue, messages);
        }
    }

    /// Ends the filling; returns the answers that earlier owners gave, by their keys.
    pub(super) fn finish(mut self) -> Vec<(String, KeptValue)> {
        self.flush();
        self.answers
    }
}
