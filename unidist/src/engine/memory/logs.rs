//! Logs in memory: a ring of entries per name, under its shard's lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event_listener::Event;
use serde_json::Value;

use super::shards::Shards;
use crate::engine::Logs;
use crate::error::Error;
use crate::limits::Limits;
use crate::sharedlog::{LogEntry, LogOptions, LogPage, LogStatus};
use crate::timer::Timers;

pub(super) struct MemoryLogs {
    shards: Shards<Log>,
    timers: Arc<Timers>,
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
}

impl Log {
    fn first(&self) -> u64 {
        self.entries.front().map_or(self.next, |kept| kept.entry.offset)
    }

    fn trim(&mut self, now: Duration) {
        while let Some(oldest) = self.entries.front() {
            let is_aged = self.options.age_max.is_some_and(|age_max| now.saturating_sub(oldest.appended) > age_max);
            let is_too_large = self.bytes > self.options.bytes_max && self.entries.len() > 1;
            if !is_aged && !is_too_large && self.entries.len() <= self.options.entries_max {
                return;
            }
            self.bytes -= oldest.bytes;
            self.entries.pop_front();
        }
    }

    fn page(&self, offset: u64, limit: usize) -> LogPage {
        let first = self.first();
        let start = offset.clamp(first, self.next);
        let skipped = usize::try_from(start - first).unwrap_or(usize::MAX);
        let kept = self.entries.iter().skip(skipped).take(limit);
        let entries: Vec<LogEntry> = kept.map(|kept| kept.entry.clone()).collect();
        let next = entries.last().map_or(start.max(offset), |entry| entry.offset + 1);
        LogPage { entries, missing: first.saturating_sub(offset), next }
    }
}

impl MemoryLogs {
    pub(super) fn new(timers: Arc<Timers>, limits: &Limits) -> Self {
        MemoryLogs { shards: Shards::new("logs", limits.names_max), timers }
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Log) -> T) -> Option<T> {
        let mut shard = self.shards.lock(name);
        let log = shard.get_mut(name)?;
        if log.options.age_max.is_some() {
            log.trim(self.timers.now());
        }
        Some(act(log))
    }

    fn with_new<T>(&self, name: &str, act: impl FnOnce(&mut Log) -> T) -> Result<T, Error> {
        let mut shard = self.shards.lock(name);
        let log = self.shards.get_or_insert(&mut shard, name, Log::default)?;
        log.is_deleted = false;
        Ok(act(log))
    }
}

impl Logs for MemoryLogs {
    fn append(&self, name: &str, value: Value, bytes: usize) -> Result<u64, Error> {
        let (appended, time) = (self.timers.now(), self.timers.unix_time());
        let (offset, event) = self.with_new(name, |log| {
            let offset = log.next;
            let entry = LogEntry { offset, time, value: Arc::new(value) };
            log.entries.push_back(Kept { entry, appended, bytes });
            log.next += 1;
            log.bytes += bytes;
            log.trim(appended);
            (offset, log.appended.clone())
        })?;
        event.notify(usize::MAX);
        Ok(offset)
    }

    fn read(&self, name: &str, offset: u64, limit: usize) -> Result<LogPage, Error> {
        let empty = || LogPage { next: offset, ..LogPage::default() };
        Ok(self.with(name, |log| log.page(offset, limit)).unwrap_or_else(empty))
    }

    fn appended(&self, name: &str) -> Result<Arc<Event>, Error> {
        self.with_new(name, |log| log.appended.clone())
    }

    fn configure(&self, name: &str, options: LogOptions) -> Result<(), Error> {
        let now = self.timers.now();
        self.with_new(name, |log| {
            log.options = options;
            log.trim(now);
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
