//! Counters in memory: one number under its shard's lock.

use std::sync::Arc;

use super::shards::Shards;
use crate::engine::Counters;
use crate::error::Error;

pub(super) struct MemoryCounters {
    shards: Shards<i64>,
}

impl MemoryCounters {
    pub(super) fn new(names_max: usize) -> Self {
        MemoryCounters { shards: Shards::new("counters", names_max) }
    }
}

impl Counters for MemoryCounters {
    fn get(&self, name: &str) -> Result<i64, Error> {
        Ok(self.shards.lock(name).get(name).copied().unwrap_or(0))
    }

    fn swap(&self, name: &str, value: i64) -> Result<i64, Error> {
        let mut shard = self.shards.lock(name);
        match shard.get_mut(name) {
            Some(present) => Ok(std::mem::replace(present, value)),
            None => self.shards.insert(&mut shard, Arc::from(name), value).map(|()| 0),
        }
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
        Ok(sum)
    }

    fn remove(&self, name: &str) -> Result<bool, Error> {
        let mut shard = self.shards.lock(name);
        Ok(self.shards.remove(&mut shard, name).is_some())
    }

    fn all(&self) -> Result<Vec<(Arc<str>, i64)>, Error> {
        let shards = self.shards.lock_all();
        Ok(shards.iter().flat_map(|shard| shard.iter().map(|(name, value)| (name.clone(), *value))).collect())
    }
}
