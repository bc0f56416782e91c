//! State in memory: keys in shards, by the hash of bucket and key, with the newest changes of each shard kept.
//!
//! A revision is drawn while the key's shard is locked. Before somebody asks for a snapshot, the newest revision or a
//! watch, a shard takes revisions many at a time and keeps no history: writers of different shards do not meet. From
//! then on each is larger than all before it in the store, and while anybody watches, it is drawn under the watchers'
//! lock too, so that each watcher gets changes in the order of revisions. That beginning, and each watcher's, is noted
//! with all shards locked: no write falls between its past and its future.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use serde_json::Value;

use super::feed::Revision;
use super::keys::{Entry, Keys};
use crate::engine::journal::{Change as Recorded, KeptValue, Records};
use crate::engine::{Condition, State, StateWrite};
use crate::error::Error;
use crate::limits::Limits;
use crate::sharedstate::{Compared, KeyFilter, StateEntry};
use crate::timer::{TimerId, Timers};
use crate::watch::{Change, StateEvent, WatchFilter, WatchQueue, WatchSource, check_from};

const SHARDS: usize = 64;
/// Changes that a shard keeps for watchers that begin in the past.
const HISTORY_MAX: usize = 256;
/// Their values' size in a shard, in bytes.
const HISTORY_BYTES_MAX: usize = 256 * 1024;

pub(crate) struct MemoryState {
    hasher: RandomState,
    shards: Vec<Padded>,
    keys: AtomicUsize,
    keys_max: usize,
    watch_events_max: usize,
    /// The store's newest revision; counters and queues draw theirs from it, too.
    revision: Revision,
    /// Whether changes are told and kept; changes once, while all shards are locked.
    is_noted: AtomicBool,
    watchers: Mutex<Vec<Weak<WatchQueue>>>,
    /// Their number; changes only while all shards are locked or on its way to zero.
    watcher_count: AtomicUsize,
    timers: Arc<Timers>,
    records: Records,
    me: Weak<MemoryState>,
}

#[repr(align(64))]
struct Padded(RwLock<Shard>);

#[derive(Default)]
struct Shard {
    buckets: HashMap<Arc<str>, Keys>,
    history: VecDeque<(StateEvent, usize)>,
    history_bytes: usize,
    /// The newest revision that history no longer has.
    forgotten: u64,
    /// Revisions that are this shard's to give while nothing is noted.
    drawn: Range<u64>,
}

impl MemoryState {
    pub(super) fn new(timers: Arc<Timers>, limits: &Limits, records: Records, revision: Revision) -> Arc<Self> {
        Arc::new_cyclic(|me| MemoryState {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Padded(RwLock::default())).collect(),
            keys: AtomicUsize::new(0),
            keys_max: limits.names_max,
            watch_events_max: limits.watch_events_max,
            revision,
            is_noted: AtomicBool::new(false),
            watchers: Mutex::default(),
            watcher_count: AtomicUsize::new(0),
            timers,
            records,
            me: me.clone(),
        })
    }

    fn hash(&self, bucket: &str, key: &str) -> u64 {
        self.hasher.hash_one((bucket, key))
    }

    /// The shard of a key with this hash. The middle bits: the tables inside use the lowest and the highest ones.
    #[expect(clippy::indexing_slicing, reason = "the mask keeps the index below the number of shards")]
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.shards[(hash >> 32) as usize & (SHARDS - 1)].0
    }

    fn read_all(&self) -> Vec<RwLockReadGuard<'_, Shard>> {
        self.shards.iter().map(|shard| shard.0.read()).collect()
    }

    fn write_all(&self) -> Vec<RwLockWriteGuard<'_, Shard>> {
        self.shards.iter().map(|shard| shard.0.write()).collect()
    }

    /// Has changes told and kept from here on. Whoever reads or writes a key after this sees all that was not noted.
    fn begin_noting(&self) {
        if self.is_noted.load(Ordering::Acquire) {
            return;
        }
        let mut shards = self.write_all();
        if !self.is_noted.load(Ordering::Acquire) {
            let newest = self.revision.newest();
            for shard in &mut shards {
                shard.forgotten = newest;
                shard.drawn = 0..0;
            }
            self.is_noted.store(true, Ordering::Release);
        }
    }

    /// Draws the revision of the change that `make` describes, tells watchers and keeps it for those to come. The shard
    /// is locked.
    fn publish(&self, shard: &mut Shard, bytes: usize, make: impl FnOnce() -> StateEvent) -> u64 {
        if !self.is_noted.load(Ordering::Relaxed) {
            return self.revision.draw_from(&mut shard.drawn);
        }
        let mut event = make();
        if self.watcher_count.load(Ordering::SeqCst) > 0 {
            let mut watchers = self.watchers.lock();
            event.revision = self.revision.draw();
            watchers.retain(|watcher| match watcher.upgrade() {
                Some(watcher) => {
                    watcher.push(&event);
                    true
                }
                None => false,
            });
            self.watcher_count.store(watchers.len(), Ordering::SeqCst);
        } else {
            event.revision = self.revision.draw();
        }
        let revision = event.revision;
        shard.history.push_back((event, bytes));
        shard.history_bytes += bytes;
        while shard.history.len() > HISTORY_MAX || shard.history_bytes > HISTORY_BYTES_MAX {
            let Some((event, bytes)) = shard.history.pop_front() else { break };
            shard.forgotten = event.revision;
            shard.history_bytes -= bytes;
        }
        revision
    }

    fn start_expiry(&self, bucket: &Arc<str>, key: &Arc<str>, time_to_live: Option<Duration>) -> Option<Box<TimerId>> {
        Some(self.start_expiry_at(bucket, key, self.timers.now().checked_add(time_to_live?)?))
    }

    fn start_expiry_at(&self, bucket: &Arc<str>, key: &Arc<str>, due: Duration) -> Box<TimerId> {
        let (me, bucket, key) = (self.me.clone(), bucket.clone(), key.clone());
        Box::new(self.timers.at(due, move || {
            if let Some(me) = me.upgrade() {
                me.records.enclose(|| me.expire(&bucket, &key));
            }
        }))
    }

    fn expire(&self, bucket: &str, key: &str) {
        let hash = self.hash(bucket, key);
        let mut shard = self.shard(hash).write();
        let entry = shard.buckets.get(bucket).and_then(|keys| keys.get(hash, key));
        if entry.is_some_and(|entry| !entry.is_alive(&self.timers)) {
            self.take_out(&mut shard, bucket, (hash, key), Change::Expired);
        }
    }

    /// Removes an entry; its bucket goes with the last.
    fn unlink(&self, shard: &mut Shard, bucket: &str, (hash, key): (u64, &str)) -> Option<Entry> {
        let keys = shard.buckets.get_mut(bucket)?;
        let entry = keys.remove(hash, key, |key| self.hash(bucket, key))?;
        if keys.is_empty() {
            shard.buckets.remove(bucket);
        }
        self.keys.fetch_sub(1, Ordering::Relaxed);
        if let Some(timer) = &entry.expires {
            self.timers.cancel(**timer);
        }
        Some(entry)
    }

    /// Removes an entry and returns the revision of that, and its value.
    fn take_out(
        &self,
        shard: &mut Shard,
        bucket: &str,
        hashed: (u64, &str),
        change: Change,
    ) -> Option<(u64, Arc<Value>)> {
        let bucket_name = shard.buckets.get_key_value(bucket)?.0.clone();
        let entry = self.unlink(shard, bucket, hashed)?;
        let key_name = entry.key;
        let gone = || StateEvent { bucket: bucket_name.clone(), key: key_name.clone(), revision: 0, change };
        let revision = self.publish(shard, 0, gone);
        self.records.add(bucket, || Recorded::State { bucket: bucket_name, key: key_name, revision, kept: None });
        Some((revision, entry.value))
    }

    fn insert(&self, shard: &mut Shard, hash: u64, write: StateWrite<'_>) -> Result<u64, Error> {
        if self.keys.fetch_add(1, Ordering::Relaxed) >= self.keys_max {
            self.keys.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::TooMany { what: "state keys", max: self.keys_max });
        }
        let bucket = match shard.buckets.get_key_value(write.bucket) {
            Some((bucket, _)) => bucket.clone(),
            None => Arc::from(write.bucket),
        };
        let key: Arc<str> = Arc::from(write.key);
        let value = Arc::new(write.value);
        let revision = self.publish(shard, write.bytes, || set_event(&bucket, &key, &value));
        let expires = self.start_expiry(&bucket, &key, write.options.time_to_live);
        let entry = Entry { key, value, revision, expires };
        self.record(&bucket, &entry);
        self.link(shard, bucket, hash, entry);
        Ok(revision)
    }

    fn link(&self, shard: &mut Shard, bucket: Arc<str>, hash: u64, entry: Entry) {
        let name = bucket.clone();
        shard.buckets.entry(bucket).or_default().insert(hash, entry, |key| self.hash(&name, key));
    }

    fn replace(&self, shard: &mut Shard, hash: u64, write: StateWrite<'_>) -> Option<(u64, Arc<Value>)> {
        let (bucket, keys) = shard.buckets.get_key_value(write.bucket)?;
        let (bucket, key) = (bucket.clone(), keys.get(hash, write.key)?.key.clone());
        let value = Arc::new(write.value);
        let revision = self.publish(shard, write.bytes, || set_event(&bucket, &key, &value));
        let expires = self.start_expiry(&bucket, &key, write.options.time_to_live);
        let entry = shard.buckets.get_mut(&bucket)?.get_mut(hash, &key)?;
        let before = std::mem::replace(entry, Entry { key, value, revision, expires });
        self.record(&bucket, entry);
        if let Some(timer) = before.expires {
            self.timers.cancel(*timer);
        }
        Some((revision, before.value))
    }

    fn record(&self, bucket: &Arc<str>, entry: &Entry) {
        self.records.add(bucket, || {
            let expires = entry.expires.as_ref().map(|id| id.due());
            let kept = Some(KeptValue { value: entry.value.clone(), revision: entry.revision, expires });
            Recorded::State { bucket: bucket.clone(), key: entry.key.clone(), revision: entry.revision, kept }
        });
    }

    /// Puts in a key that was kept, without a record and without telling anybody.
    #[cfg(feature = "file")]
    pub(crate) fn load(&self, bucket: &str, key: &str, kept: KeptValue) {
        let hash = self.hash(bucket, key);
        self.put_kept(&mut self.shard(hash).write(), bucket, (hash, key), kept);
    }

    /// Makes the key what it was, without a record. Watchers are told, as of a change.
    #[cfg(feature = "file")]
    pub(crate) fn restore(&self, bucket: &str, key: &str, kept: Option<KeptValue>) {
        let hash = self.hash(bucket, key);
        let mut shard = self.shard(hash).write();
        let found = self.unlink(&mut shard, bucket, (hash, key)).map_or(0, |entry| entry.revision);
        if found != kept.as_ref().map_or(0, |kept| kept.revision) {
            let change = kept.as_ref().map_or(Change::Removed, |kept| Change::Set(kept.value.clone()));
            let event = || StateEvent { bucket: Arc::from(bucket), key: Arc::from(key), revision: 0, change };
            self.publish(&mut shard, 0, event);
        }
        if let Some(kept) = kept {
            self.put_kept(&mut shard, bucket, (hash, key), kept);
        }
    }

    #[cfg(feature = "file")]
    fn put_kept(&self, shard: &mut Shard, bucket: &str, (hash, key): (u64, &str), kept: KeptValue) {
        let bucket = match shard.buckets.get_key_value(bucket) {
            Some((bucket, _)) => bucket.clone(),
            None => Arc::from(bucket),
        };
        let key: Arc<str> = Arc::from(key);
        let expires = kept.expires.map(|due| self.start_expiry_at(&bucket, &key, due));
        let entry = Entry { key, value: kept.value, revision: kept.revision, expires };
        self.keys.fetch_add(1, Ordering::Relaxed);
        self.link(shard, bucket, hash, entry);
    }

    /// Revisions go on after this one; nobody can watch from before.
    #[cfg(feature = "file")]
    pub(crate) fn begin_at(&self, revision: u64) {
        for mut shard in self.write_all() {
            shard.forgotten = revision;
            shard.drawn = 0..0;
        }
        self.revision.begin_at(revision);
    }

    #[cfg(feature = "file")]
    pub(crate) fn newest_revision(&self) -> u64 {
        self.revision.newest()
    }

    fn entry_of(&self, bucket: &Arc<str>, entry: &Entry) -> StateEntry {
        let remaining = entry.expires.as_ref().map(|id| id.due().saturating_sub(self.timers.now()));
        let (bucket, key, value) = (bucket.clone(), entry.key.clone(), entry.value.clone());
        StateEntry { bucket, key, value, revision: entry.revision, remaining }
    }
}

fn set_event(bucket: &Arc<str>, key: &Arc<str>, value: &Arc<Value>) -> StateEvent {
    let change = Change::Set(value.clone());
    StateEvent { bucket: bucket.clone(), key: key.clone(), revision: 0, change }
}

impl State for MemoryState {
    fn get(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error> {
        let hash = self.hash(bucket, key);
        let shard = self.shard(hash).read();
        let entry = shard.buckets.get(bucket).and_then(|keys| keys.get(hash, key));
        Ok(entry.filter(|entry| entry.is_alive(&self.timers)).map(|entry| entry.value.clone()))
    }

    fn entry(&self, bucket: &str, key: &str) -> Result<Option<StateEntry>, Error> {
        let hash = self.hash(bucket, key);
        let shard = self.shard(hash).read();
        let Some((bucket, keys)) = shard.buckets.get_key_value(bucket) else { return Ok(None) };
        let entry = keys.get(hash, key).filter(|entry| entry.is_alive(&self.timers));
        Ok(entry.map(|entry| self.entry_of(bucket, entry)))
    }

    fn set(&self, write: StateWrite<'_>, condition: Condition) -> Result<Compared<Option<Arc<Value>>>, Error> {
        let hash = self.hash(write.bucket, write.key);
        let mut shard = self.shard(hash).write();
        let present = shard.buckets.get(write.bucket).and_then(|keys| keys.get(hash, write.key));
        let is_dead = present.is_some_and(|entry| !entry.is_alive(&self.timers));
        let revision = present.filter(|_| !is_dead).map_or(0, |entry| entry.revision);
        if let Condition::Revision(expected) = condition
            && expected != revision
        {
            return Ok(Compared::Differs(revision));
        }
        if is_dead {
            self.take_out(&mut shard, write.bucket, (hash, write.key), Change::Expired);
        }
        if revision == 0 {
            return self.insert(&mut shard, hash, write).map(|revision| Compared::Set(revision, None));
        }
        let (bucket, key) = (write.bucket, write.key);
        match self.replace(&mut shard, hash, write) {
            Some((revision, before)) => Ok(Compared::Set(revision, Some(before))),
            None => Err(Error::NoSuchKey { bucket: bucket.to_owned(), key: key.to_owned() }),
        }
    }

    fn remove(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error> {
        let hash = self.hash(bucket, key);
        let mut shard = self.shard(hash).write();
        let entry = shard.buckets.get(bucket).and_then(|keys| keys.get(hash, key));
        let Some(is_alive) = entry.map(|entry| entry.is_alive(&self.timers)) else { return Ok(None) };
        let change = if is_alive { Change::Removed } else { Change::Expired };
        let taken = self.take_out(&mut shard, bucket, (hash, key), change);
        Ok(taken.filter(|_| is_alive).map(|(_, value)| value))
    }

    fn compare_and_remove(
        &self,
        bucket: &str,
        key: &str,
        revision: u64,
    ) -> Result<Compared<Option<Arc<Value>>>, Error> {
        let hash = self.hash(bucket, key);
        let mut shard = self.shard(hash).write();
        let entry = shard.buckets.get(bucket).and_then(|keys| keys.get(hash, key));
        let there = entry.filter(|entry| entry.is_alive(&self.timers)).map_or(0, |entry| entry.revision);
        if there == 0 || there != revision {
            return Ok(Compared::Differs(there));
        }
        let taken = self.take_out(&mut shard, bucket, (hash, key), Change::Removed);
        Ok(taken.map_or(Compared::Differs(0), |(revision, value)| Compared::Set(revision, Some(value))))
    }

    fn remove_bucket(&self, bucket: &str) -> Result<usize, Error> {
        let mut removed = 0;
        for mut shard in self.write_all() {
            let entries = shard.buckets.get(bucket).into_iter().flat_map(Keys::iter);
            let keys: Vec<Arc<str>> = entries.map(|entry| entry.key.clone()).collect();
            removed += keys.len();
            for key in keys {
                self.take_out(&mut shard, bucket, (self.hash(bucket, &key), &key), Change::Removed);
            }
        }
        Ok(removed)
    }

    fn scan(&self, filter: &KeyFilter<'_>) -> Result<(Vec<StateEntry>, u64), Error> {
        self.begin_noting();
        let shards = self.read_all();
        let mut found = Vec::new();
        for shard in &shards {
            let one = filter.one_bucket.map(|bucket| shard.buckets.get_key_value(bucket));
            let buckets: Box<dyn Iterator<Item = _>> = match one {
                Some(bucket) => Box::new(bucket.into_iter()),
                None => Box::new(shard.buckets.iter().filter(|(bucket, _)| (filter.bucket)(bucket))),
            };
            for (bucket, keys) in buckets {
                let alive = keys.iter().filter(|entry| (filter.key)(&entry.key) && entry.is_alive(&self.timers));
                found.extend(alive.map(|entry| self.entry_of(bucket, entry)));
            }
        }
        // Every shard is locked for reading: no write is between drawing its revision and being seen here.
        Ok((found, self.revision.newest()))
    }

    fn buckets(&self) -> Result<Vec<Arc<str>>, Error> {
        let mut names = BTreeSet::new();
        for shard in self.read_all() {
            for (bucket, keys) in &shard.buckets {
                if keys.iter().any(|entry| entry.is_alive(&self.timers)) {
                    names.insert(bucket.clone());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    fn revision(&self) -> Result<u64, Error> {
        self.begin_noting();
        Ok(self.revision.newest())
    }

    fn watch(&self, filter: WatchFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource>, Error> {
        self.begin_noting();
        let shards = self.write_all();
        let mut past: Vec<&StateEvent> = Vec::new();
        if let Some(from) = from {
            let forgotten = shards.iter().map(|shard| shard.forgotten).max().unwrap_or(0);
            check_from::<StateEvent>(from, forgotten, self.revision.newest())?;
            let events = shards.iter().flat_map(|shard| shard.history.iter().map(|(event, _)| event));
            past = events.filter(|event| event.revision > from).collect();
            past.sort_by_key(|event| event.revision);
        }
        let passes = move |event: &StateEvent| filter.passes(&event.bucket, &event.key);
        let queue = WatchQueue::beginning_with(passes, self.watch_events_max, past.into_iter());
        queue.is_complete_up_to(self.revision.newest());
        let mut watchers = self.watchers.lock();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&queue));
        self.watcher_count.store(watchers.len(), Ordering::SeqCst);
        Ok(queue)
    }
}
