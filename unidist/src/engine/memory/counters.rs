//! Counters in memory: one number under its shard's lock.

use std::sync::Arc;

use super::feed::{Feed, Revision};
use super::shards::{Shard, Shards};
use crate::engine::journal::{Change, Records};
use crate::engine::{CounterValues, Counters};
use crate::error::Error;
use crate::limits::Limits;
use crate::watch::{CounterEvent, NameFilter, WatchSource};

pub(crate) struct MemoryCounters {
    shards: Shards<i64>,
    records: Records,
    feed: Feed<CounterEvent>,
}

impl MemoryCounters {
    pub(super) fn new(limits: &Limits, records: Records, revision: Revision) -> Self {
        let feed = Feed::new(revision, limits.watch_events_max);
        MemoryCounters { shards: Shards::new("counters", limits.names_max), records, feed }
    }

    /// Makes the counter what it was, without a record. Watchers are told, as of a change.
    #[cfg(feature = "file")]
    pub(crate) fn restore(&self, name: &str, value: Option<i64>) {
        let mut shard = self.shards.lock(name);
        let found = self.shards.remove(&mut shard, name);
        if let Some(value) = value {
            self.shards.insert_kept(&mut shard, Arc::from(name), value);
        }
        if found != value {
            self.tell(&shard, name);
        }
    }

    /// Records the change that was made just now and tells watchers. The shard is locked.
    fn changed(&self, shard: &Shard<i64>, name: &str) {
        self.record(shard, name);
        self.tell(shard, name);
    }

    fn tell(&self, shard: &Shard<i64>, name: &str) {
        if self.feed.is_noted() {
            let (name, value) = match shard.get_key_value(name) {
                Some((name, value)) => (name.clone(), Some(*value)),
                None => (Arc::from(name), None),
            };
            self.feed.tell(|revision| CounterEvent { name, revision, value });
        }
    }

    fn record(&self, shard: &Shard<i64>, name: &str) {
        self.records.add(name, || match shard.get_key_value(name) {
            Some((name, value)) => Change::Counter { name: name.clone(), value: Some(*value) },
            None => Change::Counter { name: Arc::from(name), value: None },
        });
    }
}

impl Counters for MemoryCounters {
    fn get(&self, name: &str) -> Result<i64, Error> {
        Ok(self.shards.lock(name).get(name).copied().unwrap_or(0))
    }

    fn swap(&self, name: &str, value: i64) -> Result<i64, Error> {
        let mut shard = self.shards.lock(name);
        let before = match shard.get_mut(name) {
            Some(present) => std::mem::replace(present, value),
            None => self.shards.insert(&mut shard, Arc::from(name), value).map(|()| 0)?,
        };
        self.changed(&shard, name);
        Ok(before)
    }

    fn add(&self, name: &str, by: i128) -> Result<i64, Error> {
        let mut shard = self.shards.lock(name);
        let present = shard.get_mut(name);
        let value = present.as_deref().copied().unwrap_or(0);
        let Ok(sum) = i64::try_from(i128::from(value) + by) else {
            return Err(Error::Overflow { name: name.to_owned(), value, by });
        };
        match present {
            Some(present) => *present = sum,
            None => self.shards.insert(&mut shard, Arc::from(name), sum)?,
        }
        self.changed(&shard, name);
        Ok(sum)
    }

    fn remove(&self, name: &str) -> Result<bool, Error> {
        let mut shard = self.shards.lock(name);
        let was_there = self.shards.remove(&mut shard, name).is_some();
        if was_there {
            self.changed(&shard, name);
        }
        Ok(was_there)
    }

    fn all(&self) -> Result<Vec<(Arc<str>, i64)>, Error> {
        let shards = self.shards.lock_all();
        Ok(shards.iter().flat_map(|shard| shard.iter().map(|(name, value)| (name.clone(), *value))).collect())
    }

    fn snapshot(&self) -> Result<CounterValues, Error> {
        self.feed.begin();
        let shards = self.shards.lock_all();
        let values = shards.iter().flat_map(|shard| shard.iter().map(|(name, value)| (name.clone(), *value)));
        // Every shard is locked: no change is between drawing its revision and being seen here.
        Ok((values.collect(), self.feed.revision()))
    }

    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<CounterEvent>>, Error> {
        self.feed.begin();
        self.feed.watch(move |event| filter.passes(&event.name), from)
    }
}
