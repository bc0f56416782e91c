//! The keys of a bucket in a shard: a table of pointers, so that its empty places cost little.
//!
//! With values of 100 bytes it is what lies around a value that fills the memory: an entry is one allocation, what few
//! have (a time to live) is beside it, and the table has 9 bytes for each place, whether taken or not.

use std::sync::Arc;

use hashbrown::HashTable;
use serde_json::Value;

use crate::timer::{TimerId, Timers};

/// A table that is emptier than this part of it is made smaller.
const EMPTY_PARTS: usize = 8;
const PLACES_MIN: usize = 64;

pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) value: Arc<Value>,
    pub(super) revision: u64,
    pub(super) expires: Option<Box<TimerId>>,
}

impl Entry {
    pub(super) fn is_alive(&self, timers: &Timers) -> bool {
        self.expires.as_ref().is_none_or(|id| timers.now() < id.due())
    }
}

/// Entries by key. Whoever asks gives the hash, which the shard was chosen by, too.
#[derive(Default)]
pub(super) struct Keys {
    table: HashTable<Box<Entry>>,
}

impl Keys {
    pub(super) fn get(&self, hash: u64, key: &str) -> Option<&Entry> {
        self.table.find(hash, |entry| &*entry.key == key).map(|entry| &**entry)
    }

    pub(super) fn get_mut(&mut self, hash: u64, key: &str) -> Option<&mut Entry> {
        self.table.find_mut(hash, |entry| &*entry.key == key).map(|entry| &mut **entry)
    }

    /// Puts in an entry whose key is not there.
    pub(super) fn insert(&mut self, hash: u64, entry: Entry, hash_of: impl Fn(&str) -> u64) {
        self.table.insert_unique(hash, Box::new(entry), |entry| hash_of(&entry.key));
    }

    pub(super) fn remove(&mut self, hash: u64, key: &str, hash_of: impl Fn(&str) -> u64) -> Option<Entry> {
        let found = self.table.find_entry(hash, |entry| &*entry.key == key).ok()?;
        let (entry, _) = found.remove();
        if self.table.capacity() > PLACES_MIN && self.table.len() < self.table.capacity() / EMPTY_PARTS {
            self.table.shrink_to(self.table.len() * 2, |entry| hash_of(&entry.key));
        }
        Some(*entry)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter().map(|entry| &**entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str) -> u64 {
        // Few different ones, so that keys meet.
        (key.bytes().map(u64::from).sum::<u64>() % 7).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn keys_are_found_removed_and_the_table_shrinks() {
        let mut keys = Keys::default();
        for number in 0..1_000_u64 {
            let key: Arc<str> = Arc::from(number.to_string());
            let entry =
                Entry { key: key.clone(), value: Arc::new(Value::from(number)), revision: number, expires: None };
            keys.insert(hash(&key), entry, hash);
        }
        let largest = keys.table.capacity();
        for number in 0..990_u64 {
            let key = number.to_string();
            assert_eq!(keys.remove(hash(&key), &key, hash).map(|entry| entry.revision), Some(number));
            assert!(keys.get(hash(&key), &key).is_none());
        }
        assert_eq!(keys.iter().map(|entry| entry.revision).sum::<u64>(), (990..1_000).sum::<u64>());
        assert!(keys.table.capacity() < largest / 8);
        assert_eq!(keys.get_mut(hash("995"), "995").map(|entry| entry.revision), Some(995));
    }

    #[test]
    fn an_entry_is_as_small_as_the_memory_for_a_key_says() {
        assert_eq!(size_of::<Entry>(), 40);
    }
}
