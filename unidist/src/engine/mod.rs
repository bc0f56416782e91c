//! What an engine is: a store that keeps the shared things and obeys their contract.
//!
//! The modules above (`sharedlock`, `messagequeue`…) check names and values, wait, and speak to people; an engine only
//! answers. No method here waits for another owner: who must wait gets a [`Ticket`] or an event, so that threads and
//! tasks are served by the same code. An engine beyond this process (a file, a socket, etcd) implements the same
//! traits; it may block for one round trip or disk write, and hands tickets over from its own thread.

pub(crate) mod fenced;
#[cfg(feature = "file")]
pub(crate) mod file;
pub(crate) mod journal;
pub(crate) mod memory;
#[cfg(feature = "node")]
pub(crate) mod node;
pub(crate) mod request;
pub(crate) mod stripes;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event_listener::Event;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::limits::Limits;
use crate::messagequeue::{Added, Delivery, Message, NewMessage, QueueOptions, QueueStatus};
use crate::sharedlock::{Fence, LockInfo, LockRequest, Owner};
use crate::sharedlog::{LogOptions, LogPage, LogStatus};
use crate::sharedstate::{Compared, KeyFilter, Search, SetOptions, StateEntry};
use crate::timer::Timers;
use crate::wait::Ticket;
use crate::watch::{CounterEvent, NameFilter, QueueEvent, WatchFilter, WatchSource};

/// A store.
pub(crate) trait Engine: Send + Sync {
    fn timers(&self) -> &Timers;
    fn limits(&self) -> &Limits;
    fn counters(&self) -> &dyn Counters;
    fn locks(&self) -> &dyn Locks;
    fn state(&self) -> &dyn State;
    fn queues(&self) -> &dyn Queues;
    fn logs(&self) -> &dyn Logs;
    /// The engine in which the ticket at this address waits, when that is another one than a request would go to now.
    fn waits_in(&self, _ticket: usize) -> Option<&dyn Engine> {
        None
    }
    /// Runs `change`, one call of a method of this engine that changes something, unless the fence is stale. The change
    /// and the comparison are one act.
    fn fenced(&self, fence: &Fence, change: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error>;
    /// Copies of the descriptors that keep the locks of this process.
    fn lock_keepers(&self) -> Result<Vec<std::fs::File>, Error> {
        let reason = "its locks end with this process: open it for children".to_owned();
        Err(Error::Unreachable { place: "of this process".to_owned(), reason })
    }
    /// Copies what outlives the process into a new folder. Blocks for as long as it takes.
    fn backup(&self, folder: &Path) -> Result<(), Error> {
        let reason = "memory: keeps nothing that could be copied; open file:FOLDER instead".to_owned();
        Err(Error::Store { folder: folder.to_owned(), reason })
    }
}

/// Counters at one moment, and the store's revision of that moment.
pub(crate) type CounterValues = (Vec<(Arc<str>, i64)>, u64);

/// Numbers by name. Each call is atomic.
pub(crate) trait Counters: Send + Sync {
    fn get(&self, name: &str) -> Result<i64, Error>;
    /// Replaces and returns the value before.
    fn swap(&self, name: &str, value: i64) -> Result<i64, Error>;
    /// Adds and returns the value after. Wider than a counter, so that every `i64` can be subtracted too.
    fn add(&self, name: &str, by: i128) -> Result<i64, Error>;
    fn remove(&self, name: &str) -> Result<bool, Error>;
    /// All counters as they were at one moment.
    fn all(&self) -> Result<Vec<(Arc<str>, i64)>, Error>;
    /// As `all`, with the revision of that moment; changes after it can be watched.
    fn snapshot(&self) -> Result<CounterValues, Error>;
    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<CounterEvent>>, Error>;
}

/// A lock that was had.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) name: Arc<str>,
    pub(crate) fence: u64,
}

/// A lock that will be had, or the reason why it can't be.
pub(crate) type LockTicket = Ticket<Result<Grant, Error>>;

/// The first answer to a request for a lock.
pub(crate) enum LockAnswer {
    Granted(Grant),
    Waiting(Arc<LockTicket>),
}

/// Which of a lock's holders is meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HolderKey<'a> {
    Fence(u64),
    Owner(&'a Owner),
}

/// Locks and semaphores by name.
pub(crate) trait Locks: Send + Sync {
    /// Takes the lock or stands in line; a request that may not wait gets `Busy`.
    fn request(&self, request: &LockRequest<'_>) -> Result<LockAnswer, Error>;
    /// Leaves the line. A grant that came at the same moment is returned for the caller to keep or release.
    fn cancel(&self, name: &str, ticket: &Arc<LockTicket>) -> Option<Result<Grant, Error>>;
    fn release(&self, name: &str, holder: HolderKey<'_>) -> Result<(), Error>;
    fn release_all(&self, owner: &Owner) -> Result<usize, Error>;
    fn force_release(&self, name: &str) -> Result<Vec<LockInfo>, Error>;
    /// Sets the lease anew from now; none: no lease.
    fn renew(&self, name: &str, holder: HolderKey<'_>, lease: Option<Duration>) -> Result<(), Error>;
    /// Whether this store still has that holder.
    fn has_holder(&self, name: &str, holder: HolderKey<'_>) -> bool;
    /// Who holds the lock; empty when it is free.
    fn holders(&self, name: &str) -> Result<Vec<LockInfo>, Error>;
    fn waiting(&self, name: &str) -> Result<usize, Error>;
    fn all(&self) -> Result<Vec<LockInfo>, Error>;
}

/// Keys with values, in buckets.
pub(crate) trait State: Send + Sync {
    fn get(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error>;
    fn entry(&self, bucket: &str, key: &str) -> Result<Option<StateEntry>, Error>;
    /// Sets when `condition` holds for the revision that is there (0: no key). The inner error is that revision.
    fn set(&self, write: StateWrite<'_>, condition: Condition) -> Result<Compared<Option<Arc<Value>>>, Error>;
    fn remove(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error>;
    /// Removes a key that has this revision; what is returned is the revision of the removal and the value.
    fn compare_and_remove(&self, bucket: &str, key: &str, revision: u64)
    -> Result<Compared<Option<Arc<Value>>>, Error>;
    fn remove_bucket(&self, bucket: &str) -> Result<usize, Error>;
    /// The entries that the filter lets through, in no order, at one moment, with the revision of that moment.
    fn scan(&self, filter: &KeyFilter<'_>) -> Result<(Vec<StateEntry>, u64), Error>;
    /// The entries found, in no order, by an engine that has them elsewhere; none: the caller scans.
    fn search(&self, _search: &Search) -> Option<Result<Vec<StateEntry>, Error>> {
        None
    }
    fn buckets(&self) -> Result<Vec<Arc<str>>, Error>;
    fn revision(&self) -> Result<u64, Error>;
    fn watch(&self, filter: WatchFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource>, Error>;
}

/// A value on its way into a key.
pub(crate) struct StateWrite<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) value: Value,
    /// As `Limits::check_value` measured it.
    pub(crate) bytes: usize,
    pub(crate) options: &'a SetOptions,
    /// Whether the caller will look at the value before; an engine may leave it out otherwise.
    #[cfg_attr(not(feature = "node"), allow(dead_code, reason = "what is in memory costs nothing to return"))]
    pub(crate) wants_before: bool,
}

/// When a write applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    Revision(u64),
}

/// A message that will come.
pub(crate) type DeliveryTicket = Ticket<Result<Delivery, Error>>;
/// Room that will be there.
pub(crate) type AddTicket = Ticket<Result<Added, Error>>;

/// The first answer to a request for a message.
pub(crate) enum TakeAnswer {
    Delivered(Delivery),
    Empty,
    Waiting(Arc<DeliveryTicket>),
}

/// The first answer to an added message.
pub(crate) enum AddAnswer {
    Added(Added),
    Waiting(Arc<AddTicket>),
}

/// What a consumer wants to do with the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Want {
    /// Remove it.
    Take,
    /// Hold it for this long.
    Claim(Duration),
}

/// What becomes of a claimed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// Done: remove it.
    Acknowledge,
    /// Give it back, to be had again after the delay, or to the dead letters after its last attempt.
    Fail { reason: &'a str, delay: Duration },
    /// Hold it for this long from now.
    Extend(Duration),
}

/// Queues by name.
pub(crate) trait Queues: Send + Sync {
    fn add(&self, queue: &str, message: NewMessage, may_wait: bool) -> Result<AddAnswer, Error>;
    /// Leaves the line for room; a result that came at the same moment is returned.
    fn cancel_add(&self, queue: &str, ticket: &Arc<AddTicket>) -> Option<Result<Added, Error>>;
    fn request(&self, queue: &str, want: Want, may_wait: bool) -> Result<TakeAnswer, Error>;
    /// Leaves the line for messages; a delivery that came at the same moment is returned.
    fn cancel(&self, queue: &str, ticket: &Arc<DeliveryTicket>) -> Option<Result<Delivery, Error>>;
    /// Puts a delivery back where it was, as if it had not been made.
    fn give_back(&self, queue: &str, delivery: Delivery);
    fn settle_claim(&self, queue: &str, id: &str, attempt: Option<u32>, verdict: Verdict<'_>) -> Result<(), Error>;
    /// Up to `limit` messages that are ready, in the order in which they will be taken.
    fn peek(&self, queue: &str, limit: usize) -> Result<Vec<Message>, Error>;
    /// The ready message that was added first (or last).
    fn edge(&self, queue: &str, edge: Edge) -> Result<Option<Message>, Error>;
    fn remove(&self, queue: &str, id: &str) -> Result<bool, Error>;
    fn purge(&self, queue: &str) -> Result<usize, Error>;
    fn delete(&self, queue: &str) -> Result<bool, Error>;
    fn configure(&self, queue: &str, options: QueueOptions) -> Result<(), Error>;
    fn status(&self, queue: &str) -> Result<Option<QueueStatus>, Error>;
    /// As `status`, with the revision of that moment; changes after it can be watched.
    fn snapshot(&self, queue: &str) -> Result<(Option<QueueStatus>, u64), Error>;
    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<QueueEvent>>, Error>;
    fn names(&self) -> Result<Vec<Arc<str>>, Error>;
}

/// One end of a queue, by the time of adding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Edge {
    Oldest,
    Newest,
}

/// Logs by name.
pub(crate) trait Logs: Send + Sync {
    fn append(&self, log: &str, value: Value, bytes: usize) -> Result<u64, Error>;
    /// From `offset`, at most `limit` entries; an unknown log is an empty one.
    fn read(&self, log: &str, offset: u64, limit: usize) -> Result<LogPage, Error>;
    /// Notified after each append. Creates the log.
    fn appended(&self, log: &str) -> Result<Arc<Event>, Error>;
    fn configure(&self, log: &str, options: LogOptions) -> Result<(), Error>;
    fn status(&self, log: &str) -> Result<Option<LogStatus>, Error>;
    fn delete(&self, log: &str) -> Result<bool, Error>;
    fn names(&self) -> Result<Vec<Arc<str>>, Error>;
}
