//! Watching: changes in the order of their revisions, from a snapshot on, without loss or repetition.
//!
//! State, counters and queues draw their revisions from one sequence. Each watcher has a bounded queue. One that does
//! not keep up is told that it fell behind and ends; it never slows a writer and never grows. It reads anew and watches
//! from the revision of what it read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event_listener::Event;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::Engine;
use crate::error::Error;
use crate::messagequeue::MessageId;
use crate::name;
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

/// Which counters or queues a watcher is told of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameFilter {
    /// All.
    #[default]
    All,
    /// The one of this name.
    One(String),
    /// Those whose names begin with this text.
    Prefix(String),
}

impl NameFilter {
    pub(crate) fn passes(&self, name: &str) -> bool {
        match self {
            NameFilter::All => true,
            NameFilter::One(only) => only == name,
            NameFilter::Prefix(prefix) => name.starts_with(prefix),
        }
    }

    /// The one name that it lets through, if there is but one.
    pub(crate) fn only(&self) -> Option<&str> {
        match self {
            NameFilter::One(only) => Some(only),
            NameFilter::All | NameFilter::Prefix(_) => None,
        }
    }

    pub(crate) fn check(&self, kind: &'static str) -> Result<(), Error> {
        self.only().map_or(Ok(()), |only| name::check(kind, only))
    }
}

/// One change of one counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterEvent {
    /// The counter.
    pub name: Arc<str>,
    /// The revision of the change.
    pub revision: u64,
    /// Its value since; none: it was deleted.
    pub value: Option<i64>,
}

/// One change of one queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEvent {
    /// The queue.
    pub queue: Arc<str>,
    /// The revision of the change.
    pub revision: u64,
    /// What happened.
    pub change: QueueChange,
    /// How many messages the queue owes since: ready, delayed and claimed.
    pub count: usize,
}

/// What happened to a queue. A message is named by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueChange {
    /// A message was added.
    Added(MessageId),
    /// A delay is over: the message can be had.
    Ready(MessageId),
    /// A consumer took it.
    Taken(MessageId),
    /// A consumer holds it; this is the attempt.
    Claimed(MessageId, u32),
    /// It was acknowledged.
    Acknowledged(MessageId),
    /// It came back: it failed, its lease ended, or it reached nobody.
    Returned(MessageId),
    /// It was dropped, by the cap of the queue's length or age.
    Dropped(MessageId),
    /// It went to the dead letters.
    Dead(MessageId),
    /// It was taken out by its id.
    Removed(MessageId),
    /// All ready and delayed messages were removed.
    Purged,
    /// The queue was removed with all its messages.
    Deleted,
    /// A change was refused by the disk and taken back: read the queue anew.
    Restored,
}

/// An event that can be watched: of the state, a counter or a queue.
pub trait WatchEvent: Clone + Send + Sync + 'static {
    /// The revision of the change.
    fn revision(&self) -> u64;
    /// The bucket, counter or queue that changed.
    fn name(&self) -> &str;
    /// What is watched, for messages: `state`, `counter` or `queue`.
    fn kind() -> &'static str;
}

impl WatchEvent for StateEvent {
    fn revision(&self) -> u64 {
        self.revision
    }

    fn name(&self) -> &str {
        &self.bucket
    }

    fn kind() -> &'static str {
        "state"
    }
}

impl WatchEvent for CounterEvent {
    fn revision(&self) -> u64 {
        self.revision
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn kind() -> &'static str {
        "counter"
    }
}

impl WatchEvent for QueueEvent {
    fn revision(&self) -> u64 {
        self.revision
    }

    fn name(&self) -> &str {
        &self.queue
    }

    fn kind() -> &'static str {
        "queue"
    }
}

/// The error for a watcher that can't go on, or that begins where it can't.
pub(crate) fn fell_behind<E: WatchEvent>(reason: String) -> Error {
    Error::FellBehind { what: format!("{} changes", E::kind()), reason }
}

/// Whether changes since `from` are all known, when those up to `forgotten` are not and the newest is `newest`.
pub(crate) fn check_from<E: WatchEvent>(from: u64, forgotten: u64, newest: u64) -> Result<(), Error> {
    let kind = E::kind();
    if from < forgotten {
        let reason = format!("changes since revision {from} are forgotten up to {forgotten}; read the {kind} anew");
        return Err(fell_behind::<E>(reason));
    }
    if from > newest {
        let reason = format!("revision {from} is not reached, the newest is {newest}; read the {kind} anew");
        return Err(fell_behind::<E>(reason));
    }
    Ok(())
}

/// Where a watcher has its changes from.
pub(crate) trait WatchSource<E = StateEvent>: Send + Sync {
    /// The next change, if there is one.
    fn pop(&self) -> Option<Result<E, Error>>;
    /// Notified when there may be one.
    fn changed(&self) -> &Event;
    /// Whether `pop` would return something.
    #[cfg_attr(not(feature = "node"), expect(dead_code, reason = "asked on behalf of other processes only"))]
    fn has_changes(&self) -> bool;
    /// All changes up to this revision were popped or did not pass the filter.
    fn revision(&self) -> u64;
}

type Passes<E> = Box<dyn Fn(&E) -> bool + Send + Sync>;

/// Where the store puts a watcher's changes.
pub(crate) struct WatchQueue<E = StateEvent> {
    passes: Passes<E>,
    capacity: usize,
    inbox: Mutex<Inbox<E>>,
    event: Event,
}

struct Inbox<E> {
    events: VecDeque<E>,
    /// The newest change of the store, whether it passed the filter or not.
    seen: u64,
    fell_behind_at: Option<u64>,
}

impl<E: WatchEvent> WatchQueue<E> {
    pub(crate) fn new(passes: impl Fn(&E) -> bool + Send + Sync + 'static, capacity: usize) -> Arc<Self> {
        let inbox = Inbox { events: VecDeque::new(), seen: 0, fell_behind_at: None };
        Arc::new(WatchQueue { passes: Box::new(passes), capacity, inbox: Mutex::new(inbox), event: Event::new() })
    }

    /// A queue that begins with those events of the past that pass, in order, whatever their number.
    pub(crate) fn beginning_with<'a>(
        passes: impl Fn(&E) -> bool + Send + Sync + 'static,
        capacity: usize,
        past: impl Iterator<Item = &'a E> + Clone,
    ) -> Arc<Self> {
        let passing = past.clone().filter(|event| passes(event)).count();
        let queue = Self::new(passes, capacity.max(passing));
        past.for_each(|event| queue.push(event));
        queue
    }

    /// Adds a change that passes the filter; past the capacity the watcher is behind and its queue is dropped.
    pub(crate) fn push(&self, event: &E) {
        let passes = (self.passes)(event);
        let mut inbox = self.inbox.lock();
        inbox.seen = event.revision();
        if !passes || inbox.fell_behind_at.is_some() {
            return;
        }
        if inbox.events.len() >= self.capacity {
            inbox.fell_behind_at = Some(event.revision());
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

impl<E: WatchEvent> WatchSource<E> for WatchQueue<E> {
    fn pop(&self) -> Option<Result<E, Error>> {
        let mut inbox = self.inbox.lock();
        match inbox.fell_behind_at {
            None => inbox.events.pop_front().map(Ok),
            Some(revision) => {
                let reason = format!(
                    "more than {} changes waited at revision {revision}; read the {} and watch from there",
                    self.capacity,
                    E::kind()
                );
                Some(Err(fell_behind::<E>(reason)))
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
        inbox.events.front().map_or(inbox.seen, |event| event.revision() - 1)
    }
}

/// Follows changes, of the state unless told otherwise; dropping it ends the watch.
pub struct Watcher<E = StateEvent> {
    engine: Arc<dyn Engine>,
    queue: Arc<dyn WatchSource<E>>,
}

/// Follows the changes of counters.
pub type CounterWatcher = Watcher<CounterEvent>;
/// Follows the changes of queues.
pub type QueueWatcher = Watcher<QueueEvent>;

impl<E: WatchEvent> Watcher<E> {
    pub(crate) fn new(engine: Arc<dyn Engine>, queue: Arc<dyn WatchSource<E>>) -> Self {
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
    pub fn next(&self, wait: Option<Duration>, stop: &Stop) -> Result<Option<E>, Error> {
        block_on(self.next_async(wait, stop))
    }

    /// `next` for tasks.
    ///
    /// # Errors
    /// As `next`.
    pub async fn next_async(&self, wait: Option<Duration>, stop: &Stop) -> Result<Option<E>, Error> {
        if let Some(result) = self.queue.pop() {
            return result.map(Some);
        }
        let patience = Patience::new(self.engine.timers(), wait, stop);
        match patience.until(self.queue.changed(), || self.queue.pop()).await {
            Waited::Done(result) => result.map(Some),
            Waited::TimeOver => Ok(None),
            Waited::Stopped => Err(Error::Stopped { what: format!("a {} change", E::kind()) }),
        }
    }
}
