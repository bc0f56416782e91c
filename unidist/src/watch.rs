//! Watching state: changes in the order of their revisions, from a snapshot on, without loss or repetition.
//!
//! Each watcher has a bounded queue. One that does not keep up is told that it fell behind and ends; it never slows a
//! writer and never grows. It reads the state anew and watches from that revision.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event_listener::Event;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::Engine;
use crate::error::Error;
use crate::stop::Stop;
use crate::wait::{Patience, Waited, block_on};

/// Which changes a watcher is told. The default: all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchFilter {
    /// Only this bucket.
    pub bucket: Option<String>,
    /// Only keys that begin with this text; empty: all.
    pub key_prefix: String,
}

impl WatchFilter {
    pub(crate) fn passes(&self, bucket: &str, key: &str) -> bool {
        self.bucket.as_deref().is_none_or(|only| only == bucket) && key.starts_with(&self.key_prefix)
    }
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateEvent {
    /// The bucket.
    pub bucket: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// The revision of the change.
    pub revision: u64,
    /// What happened.
    pub change: Change,
}

/// What happened to a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// It was written.
    Set(Arc<Value>),
    /// It was removed.
    Removed,
    /// Its time to live ended.
    Expired,
}

/// Where a watcher has its changes from.
pub(crate) trait WatchSource: Send + Sync {
    /// The next change, if there is one.
    fn pop(&self) -> Option<Result<StateEvent, Error>>;
    /// Notified when there may be one.
    fn changed(&self) -> &Event;
    /// Whether `pop` would return something.
    #[cfg_attr(not(feature = "node"), expect(dead_code, reason = "asked on behalf of other processes only"))]
    fn has_changes(&self) -> bool;
    /// All changes up to this revision were popped or did not pass the filter.
    fn revision(&self) -> u64;
}

/// Where the store puts a watcher's changes.
pub(crate) struct WatchQueue {
    filter: WatchFilter,
    capacity: usize,
    inbox: Mutex<Inbox>,
    event: Event,
}

#[derive(Default)]
struct Inbox {
    events: VecDeque<StateEvent>,
    /// The newest change of the store, whether it passed the filter or not.
    seen: u64,
    fell_behind_at: Option<u64>,
}

impl WatchQueue {
    pub(crate) fn new(filter: WatchFilter, capacity: usize) -> Arc<Self> {
        Arc::new(WatchQueue { filter, capacity, inbox: Mutex::default(), event: Event::new() })
    }

    /// Adds a change that passes the filter; past the capacity the watcher is behind and its queue is dropped.
    pub(crate) fn push(&self, event: &StateEvent) {
        let passes = self.filter.passes(&event.bucket, &event.key);
        let mut inbox = self.inbox.lock();
        inbox.seen = event.revision;
        if !passes || inbox.fell_behind_at.is_some() {
            return;
        }
        if inbox.events.len() >= self.capacity {
            inbox.fell_behind_at = Some(event.revision);
            inbox.events = VecDeque::new();
        } else {
            inbox.events.push_back(event.clone());
        }
        drop(inbox);
        self.event.notify(usize::MAX);
    }

    /// Nothing up to this revision is missing from the queue.
    pub(crate) fn is_complete_up_to(&self, revision: u64) {
        self.inbox.lock().seen = revision;
    }
}

impl WatchSource for WatchQueue {
    fn pop(&self) -> Option<Result<StateEvent, Error>> {
        let mut inbox = self.inbox.lock();
        match inbox.fell_behind_at {
            None => inbox.events.pop_front().map(Ok),
            Some(revision) => {
                let reason = format!(
                    "more than {} changes waited at revision {revision}; read the state and watch from there",
                    self.capacity
                );
                Some(Err(Error::FellBehind { what: "state changes".to_owned(), reason }))
            }
        }
    }

    fn changed(&self) -> &Event {
        &self.event
    }

    fn has_changes(&self) -> bool {
        let inbox = self.inbox.lock();
        !inbox.events.is_empty() || inbox.fell_behind_at.is_some()
    }

    fn revision(&self) -> u64 {
        let inbox = self.inbox.lock();
        inbox.events.front().map_or(inbox.seen, |event| event.revision - 1)
    }
}

/// Follows the state's changes; dropping it ends the watch.
pub struct Watcher {
    engine: Arc<dyn Engine>,
    queue: Arc<dyn WatchSource>,
}

impl Watcher {
    pub(crate) fn new(engine: Arc<dyn Engine>, queue: Arc<dyn WatchSource>) -> Self {
        Watcher { engine, queue }
    }

    /// A watch from this revision goes on exactly where this one is.
    pub fn revision(&self) -> u64 {
        self.queue.revision()
    }

    /// The next change; none when `wait` is over (zero: at once, none: never). Blocks.
    ///
    /// # Errors
    /// `FellBehind`, from then on each time; `Stopped`.
    pub fn next(&self, wait: Option<Duration>, stop: &Stop) -> Result<Option<StateEvent>, Error> {
        block_on(self.next_async(wait, stop))
    }

    /// `next` for tasks.
    ///
    /// # Errors
    /// As `next`.
    pub async fn next_async(&self, wait: Option<Duration>, stop: &Stop) -> Result<Option<StateEvent>, Error> {
        if let Some(result) = self.queue.pop() {
            return result.map(Some);
        }
        let patience = Patience::new(self.engine.timers(), wait, stop);
        match patience.until(self.queue.changed(), || self.queue.pop()).await {
            Waited::Done(result) => result.map(Some),
            Waited::TimeOver => Ok(None),
            Waited::Stopped => Err(Error::Stopped { what: "a state change".to_owned() }),
        }
    }
}
