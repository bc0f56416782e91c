//! A map from names to things, cut into shards so that threads on different names don't meet.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use crate::error::Error;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};

const SHARDS: usize = 64;

/// One shard: its part of the map.
pub(super) type Shard<V> = HashMap<Arc<str>, V>;

/// On a cache line of its own, so that neighbours don't slow each other.
#[repr(align(64))]
struct Padded<T>(T);

/// The map. One shard's lock is held at a time, except for `lock_all`, which takes them in order.
pub(super) struct Shards<V> {
    hasher: RandomState,
    shards: Vec<Padded<Mutex<Shard<V>>>>,
    count: AtomicUsize,
    count_max: usize,
    what: &'static str,
}

impl<V> Shards<V> {
    /// Empty, for at most `count_max` names; `what` names them in the error past it.
    pub(super) fn new(what: &'static str, count_max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Padded(Mutex::new(HashMap::new()))).collect();
        Shards { hasher: RandomState::new(), shards, count: AtomicUsize::new(0), count_max, what }
    }

    /// The shard in which `name` is or would be.
    #[expect(clippy::indexing_slicing, reason = "the mask keeps the index below the number of shards")]
    pub(super) fn lock<Q: Hash + ?Sized>(&self, name: &Q) -> MutexGuard<'_, Shard<V>>
    where
        Arc<str>: Borrow<Q>,
    {
        // The middle bits: the maps inside use the lowest and the highest ones.
        let index = (self.hasher.hash_one(name) >> 32) as usize & (SHARDS - 1);
        self.shards[index].0.lock()
    }

    /// All shards at once: the whole map at one moment.
    pub(super) fn lock_all(&self) -> Vec<MutexGuard<'_, Shard<V>>> {
        self.shards.iter().map(|shard| shard.0.lock()).collect()
    }

    /// One shard after the other.
    pub(super) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Shard<V>>> {
        self.shards.iter().map(|shard| shard.0.lock())
    }

    /// Puts a new name into its locked shard; an error when there are too many names.
    pub(super) fn insert(&self, shard: &mut Shard<V>, name: Arc<str>, value: V) -> Result<(), Error> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.count_max {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::TooMany { what: self.what, max: self.count_max });
        }
        shard.insert(name, value);
        Ok(())
    }

    /// Puts in a thing that was kept on disk: it counts, but is never one too many.
    #[cfg(feature = "file")]
    pub(super) fn insert_kept(&self, shard: &mut Shard<V>, name: Arc<str>, value: V) {
        self.count.fetch_add(1, Ordering::Relaxed);
        shard.insert(name, value);
    }

    /// The thing of this name, made with `make` when there is none.
    pub(super) fn get_or_insert<'a>(
        &self,
        shard: &'a mut Shard<V>,
        name: &str,
        make: impl FnOnce() -> V,
    ) -> Result<&'a mut V, Error> {
        if !shard.contains_key(name) {
            self.insert(shard, Arc::from(name), make())?;
        }
        shard.get_mut(name).ok_or(Error::TooMany { what: self.what, max: self.count_max })
    }

    /// Takes a name out of its locked shard.
    pub(super) fn remove(&self, shard: &mut Shard<V>, name: &str) -> Option<V> {
        let removed = shard.remove(name);
        if removed.is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        removed
    }
}
