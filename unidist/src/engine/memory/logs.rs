//! Logs in memory: a ring of entries per name, under its shard's lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event_listener::Event;
use serde_json::Value;

use super::shards::Shards;
use crate::engine::Logs;
use crate::engine::journal::{Change, LogHeader, Records};
use crate::error::Error;
use crate::limits::Limits;
use crate::sharedlog::{LogEntry, LogOptions, LogPage, LogStatus};
use crate::timer::Timers;

pub(crate) struct MemoryLogs {
    shards: Shards<Log>,
    timers: Arc<Timers>,
    records: Records,
}

#[derive(Default)]
struct Log {
    options: LogOptions,
    entries: VecDeque<Kept>,
    bytes: usize,
    next: u64,
    appended: Arc<Event>,
    /// A deleted log stays as a number, so that its offsets are never used twice.
    is_deleted: bool,
}

struct Kept {
    entry: LogEntry,
    /// On the store's clock, by which age is measured.
    appended: Duration,
    bytes: usize,
    /// The group of records that brings it to the disk.
    group: u64,
}

impl Log {
    fn first(&self) -> u64 {
        self.entries.front().map_or(self.next, |kept| kept.entry.offset)
    }

    fn trim(&mut self, now: Duration, dropped: &mut Vec<u64>) {
        while let Some(oldest) = self.entries.front() {
            let is_aged = self.options.age_max.is_some_and(|age_max| now.saturating_sub(oldest.appended) > age_max);
            let is_too_large = self.bytes > self.options.bytes_max && self.entries.len() > 1;
            if !is_aged && !is_too_large && self.entries.len() <= self.options.entries_max {
                return;
            }
            self.bytes -= oldest.bytes;
            dropped.push(oldest.entry.offset);
            self.entries.pop_front();
        }
    }

    /// The page, and the group of records of its newest entry.
    fn page(&self, offset: u64, limit: usize) -> (LogPage, u64) {
        let first = self.first();
        let start = offset.clamp(first, self.next);
        // Offsets have gaps where the disk refused entries.
        let skipped = self.entries.partition_point(|kept| kept.entry.offset < start);
        let page = || self.entries.range(skipped..).take(limit);
        let entries: Vec<LogEntry> = page().map(|kept| kept.entry.clone()).collect();
        let group = page().map(|kept| kept.group).max().unwrap_or(0);
        let next = entries.last().map_or(start.max(offset), |entry| entry.offset + 1);
        (LogPage { entries, missing: first.saturating_sub(offset), next }, group)
    }

    #[cfg(feature = "file")]
    fn load(&mut self, entry: LogEntry) {
        let bytes = crate::limits::bytes_of(&entry.value);
        self.next = self.next.max(entry.offset + 1);
        self.bytes += bytes;
        let appended = entry.time;
        self.entries.push_back(Kept { entry, appended, bytes, group: 0 });
    }

    fn header(&self) -> LogHeader {
        LogHeader { options: self.options.clone(), next: self.next, is_deleted: self.is_deleted }
    }
}

impl MemoryLogs {
    pub(super) fn new(timers: Arc<Timers>, limits: &Limits, records: Records) -> Self {
        MemoryLogs { shards: Shards::new("logs", limits.names_max), timers, records }
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Log) -> T) -> Option<T> {
        let mut shard = self.shards.lock(name);
        let log = shard.get_mut(name)?;
        if log.options.age_max.is_some() {
            self.trim(name, log, self.timers.now());
        }
        Some(act(log))
    }

    fn with_new<T>(&self, name: &str, act: impl FnOnce(&mut Log) -> T) -> Result<T, Error> {
        let mut shard = self.shards.lock(name);
        let is_new = shard.get(name).is_none_or(|log| log.is_deleted);
        let log = self.shards.get_or_insert(&mut shard, name, Log::default)?;
        log.is_deleted = false;
        let result = act(log);
        if is_new {
            self.record_header(name, log);
        }
        Ok(result)
    }

    fn trim(&self, name: &str, log: &mut Log, now: Duration) {
        let mut dropped = Vec::new();
        log.trim(now, &mut dropped);
        for offset in &dropped {
            self.records.add(name, || Change::LogEntryGone { log: Arc::from(name), offset: *offset });
        }
        // Entries that are there tell how far the offsets are.
        if !dropped.is_empty() && log.entries.is_empty() {
            self.record_header(name, log);
        }
    }

    fn record_header(&self, name: &str, log: &Log) {
        self.records.add(name, || Change::Log { name: Arc::from(name), header: log.header() });
    }

    /// A page, and the group of records of its newest entry.
    pub(crate) fn read_with_group(&self, name: &str, offset: u64, limit: usize) -> (LogPage, u64) {
        let empty = || (LogPage { next: offset, ..LogPage::default() }, 0);
        self.with(name, |log| log.page(offset, limit)).unwrap_or_else(empty)
    }

    /// Makes the log what it was, without a record; none: nobody kept anything of it. Its offsets go on after those
    /// that were given meanwhile.
    #[cfg(feature = "file")]
    pub(crate) fn restore(&self, name: &str, kept: Option<(LogHeader, Vec<LogEntry>)>) {
        let mut shard = self.shards.lock(name);
        let Some((header, entries)) = kept else {
            self.with_emptied(&mut shard, name, |log| log.is_deleted = true);
            return;
        };
        if !shard.contains_key(name) {
            self.shards.insert_kept(&mut shard, Arc::from(name), Log::default());
        }
        self.with_emptied(&mut shard, name, |log| {
            log.options = header.options;
            log.is_deleted = header.is_deleted;
            log.next = log.next.max(header.next);
            for entry in entries {
                log.load(entry);
            }
        });
    }

    /// Puts in an entry that was kept, after those that are there, without a record.
    #[cfg(feature = "file")]
    pub(crate) fn load_entry(&self, name: &str, entry: LogEntry) {
        let mut shard = self.shards.lock(name);
        if !shard.contains_key(name) {
            self.shards.insert_kept(&mut shard, Arc::from(name), Log::default());
        }
        if let Some(log) = shard.get_mut(name) {
            log.load(entry);
        }
    }

    #[cfg(feature = "file")]
    fn with_emptied(&self, shard: &mut super::shards::Shard<Log>, name: &str, act: impl FnOnce(&mut Log)) {
        if let Some(log) = shard.get_mut(name) {
            log.entries = VecDeque::new();
            log.bytes = 0;
            act(log);
        }
    }
}

impl Logs for MemoryLogs {
    fn append(&self, name: &str, value: Value, bytes: usize) -> Result<u64, Error> {
        let (appended, time) = (self.timers.now(), self.timers.unix_time());
        let (offset, event) = self.with_new(name, |log| {
            let offset = log.next;
            let entry = LogEntry { offset, time, value: Arc::new(value) };
            self.records.add(name, || Change::LogEntry { log: Arc::from(name), entry: entry.clone() });
            let group = if self.records.has(name) { self.records.group() } else { 0 };
            log.entries.push_back(Kept { entry, appended, bytes, group });
            log.next += 1;
            log.bytes += bytes;
            self.trim(name, log, appended);
            (offset, log.appended.clone())
        })?;
        event.notify(usize::MAX);
        Ok(offset)
    }

    fn read(&self, name: &str, offset: u64, limit: usize) -> Result<LogPage, Error> {
        Ok(self.read_with_group(name, offset, limit).0)
    }

    fn appended(&self, name: &str) -> Result<Arc<Event>, Error> {
        self.with_new(name, |log| log.appended.clone())
    }

    fn configure(&self, name: &str, options: LogOptions) -> Result<(), Error> {
        let now = self.timers.now();
        self.with_new(name, |log| {
            log.options = options;
            self.trim(name, log, now);
            self.record_header(name, log);
        })
    }

    fn status(&self, name: &str) -> Result<Option<LogStatus>, Error> {
        let status = |log: &mut Log| LogStatus { first: log.first(), next: log.next, bytes: log.bytes };
        Ok(self.with(name, |log| (!log.is_deleted).then(|| status(log))).flatten())
    }

    fn delete(&self, name: &str) -> Result<bool, Error> {
        let delete = |log: &mut Log| {
            let was_there = !std::mem::replace(&mut log.is_deleted, true);
            log.entries = VecDeque::new();
            log.bytes = 0;
            log.options = LogOptions::default();
            if was_there {
                self.records.add(name, || Change::LogEntriesGone { log: Arc::from(name) });
                self.record_header(name, log);
            }
            was_there
        };
        Ok(self.with(name, delete).unwrap_or(false))
    }

    fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        let live = |log: &(&Arc<str>, &Log)| !log.1.is_deleted;
        Ok(self.shards.each().flat_map(|shard| names_of(shard.iter().filter(live))).collect())
    }
}

fn names_of<'a>(logs: impl Iterator<Item = (&'a Arc<str>, &'a Log)>) -> Vec<Arc<str>> {
    logs.map(|(name, _)| name.clone()).collect()
}
