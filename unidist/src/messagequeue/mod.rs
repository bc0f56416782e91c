//! Queues of messages by name: added once, delivered once.
//!
//! Messages leave by priority (higher first), then in the order in which they were added. `take` removes a message at
//! once; `claim` holds it under a lease until it is acknowledged, and gives it back when it fails or the lease ends; after
//! its last attempt it goes to the dead letters with the reasons. Consumers that wait are served in the order in which
//! they came. `oldest`, `newest` and `all` only look.
//!
//! A queue exists from its first use and keeps its settings when empty. Dead letters are messages of the queue
//! `NAME.dead` (or the one named in the options): `{queue, id, message, attempts, reasons}`. Messages in a queue whose
//! name ends in `.dead` may be tried without end unless it is configured.

mod message;
mod options;
mod status;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::engine::{AddAnswer, Edge, Engine, TakeAnswer, Verdict, Want};
use crate::error::Error;
use crate::name;
use crate::stop::Stop;
use crate::wait::block_on;
use crate::watch::{NameFilter, QueueWatcher};

pub use self::message::{Added, Claim, Message, MessageId};
pub(crate) use self::message::{Delivery, NewMessage};
pub use self::options::{AddOptions, Failure, QueueOptions, WhenFull};
pub use self::status::{QueueSnapshot, QueueStatus};

/// The end of the name of a queue's dead letters.
pub const DEAD_SUFFIX: &str = ".dead";
/// The longest reason of a failure that is kept, in bytes; the rest is cut.
pub const REASON_BYTES_MAX: usize = 1_024;

/// The queues of a store.
///
/// ```
/// use std::time::Duration;
/// use serde_json::json;
/// use unidist::{AddOptions, Stop, Unidist};
/// let shared = Unidist::open("memory:")?;
/// let (queues, stop) = (shared.messagequeue(), Stop::new());
/// queues.add("thumbs", json!("cat.jpg"), &AddOptions::default(), &stop)?;
/// let claim = queues.claim("thumbs", Duration::from_secs(30), Some(Duration::ZERO), &stop)?.expect("one is there");
/// assert_eq!((claim.message, claim.attempt), (json!("cat.jpg"), 1));
/// queues.ack("thumbs", &claim.id.to_string(), Some(claim.attempt))?;
/// # Ok::<(), unidist::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct MessageQueue<'a> {
    pub(crate) engine: &'a Arc<dyn Engine>,
}

impl MessageQueue<'_> {
    /// Adds a message; creates the queue. Blocks only when the queue is full and its policy is to wait.
    ///
    /// # Errors
    /// `QueueFull`, `Stopped`, bad names, a value past the limits.
    pub fn add(self, queue: &str, message: Value, options: &AddOptions, stop: &Stop) -> Result<Added, Error> {
        match self.begin_add(queue, message, options)? {
            AddAnswer::Added(added) => Ok(added),
            AddAnswer::Waiting(ticket) => block_on(self.wait_for_room(queue, ticket, options.wait, stop)),
        }
    }

    /// `add` for tasks. Dropping the future before it is done adds nothing.
    ///
    /// # Errors
    /// As `add`.
    pub async fn add_async(
        self,
        queue: &str,
        message: Value,
        options: &AddOptions,
        stop: &Stop,
    ) -> Result<Added, Error> {
        match self.begin_add(queue, message, options)? {
            AddAnswer::Added(added) => Ok(added),
            AddAnswer::Waiting(ticket) => self.wait_for_room(queue, ticket, options.wait, stop).await,
        }
    }

    /// Removes and returns the next message; none when the wait is over (zero: one try, none: for ever). Blocks.
    ///
    /// # Errors
    /// `Stopped`, a bad name, too many waiters.
    pub fn take(self, queue: &str, wait: Option<Duration>, stop: &Stop) -> Result<Option<Message>, Error> {
        Ok(self.deliver(queue, Want::Take, wait, stop)?.map(Message::from))
    }

    /// `take` for tasks. Dropping the future puts back what came at that moment.
    ///
    /// # Errors
    /// As `take`.
    pub async fn take_async(self, queue: &str, wait: Option<Duration>, stop: &Stop) -> Result<Option<Message>, Error> {
        Ok(self.deliver_async(queue, Want::Take, wait, stop).await?.map(Message::from))
    }

    /// Holds the next message for `lease`; none when the wait is over (zero: one try, none: for ever). Blocks.
    ///
    /// # Errors
    /// `Stopped`, a bad name, a lease of zero, too many waiters.
    pub fn claim(
        self,
        queue: &str,
        lease: Duration,
        wait: Option<Duration>,
        stop: &Stop,
    ) -> Result<Option<Claim>, Error> {
        check_lease(queue, lease)?;
        Ok(self.deliver(queue, Want::Claim(lease), wait, stop)?.map(Claim::from))
    }

    /// `claim` for tasks. Dropping the future puts back what came at that moment.
    ///
    /// # Errors
    /// As `claim`.
    pub async fn claim_async(
        self,
        queue: &str,
        lease: Duration,
        wait: Option<Duration>,
        stop: &Stop,
    ) -> Result<Option<Claim>, Error> {
        check_lease(queue, lease)?;
        Ok(self.deliver_async(queue, Want::Claim(lease), wait, stop).await?.map(Claim::from))
    }

    /// Ends a claim well: the message is done and gone. `attempt` is the claim's; without it whoever holds it now.
    ///
    /// # Errors
    /// `ClaimLost` when the claim is over; `NoSuchThing` for an unknown queue.
    pub fn ack(self, queue: &str, id: &str, attempt: Option<u32>) -> Result<(), Error> {
        self.settle(queue, id, attempt, Verdict::Acknowledge)
    }

    /// Ends a claim badly: the message is to be had again after `failure.delay`, or goes to the dead letters.
    ///
    /// # Errors
    /// As `ack`.
    pub fn fail(self, queue: &str, id: &str, attempt: Option<u32>, failure: Failure<'_>) -> Result<(), Error> {
        let Failure { reason, delay } = failure;
        self.settle(queue, id, attempt, Verdict::Fail { reason: cut(reason), delay })
    }

    /// Sets a claim's lease anew, from now.
    ///
    /// # Errors
    /// As `ack`; a lease of zero.
    pub fn extend(self, queue: &str, id: &str, attempt: Option<u32>, lease: Duration) -> Result<(), Error> {
        check_lease(queue, lease)?;
        self.settle(queue, id, attempt, Verdict::Extend(lease))
    }

    /// The ready message that was added first; none when there is none. Ancestor: removed it by default.
    ///
    /// # Errors
    /// A bad name.
    pub fn oldest(self, queue: &str) -> Result<Option<Message>, Error> {
        name::check("queue", queue)?;
        self.engine.queues().edge(queue, Edge::Oldest)
    }

    /// The ready message that was added last; none when there is none. Ancestor: removed it by default.
    ///
    /// # Errors
    /// A bad name.
    pub fn newest(self, queue: &str) -> Result<Option<Message>, Error> {
        name::check("queue", queue)?;
        self.engine.queues().edge(queue, Edge::Newest)
    }

    /// Copies of up to `limit` ready messages, in the order in which they will leave.
    ///
    /// # Errors
    /// A bad name.
    pub fn all(self, queue: &str, limit: usize) -> Result<Vec<Message>, Error> {
        name::check("queue", queue)?;
        self.engine.queues().peek(queue, limit)
    }

    /// Takes a ready or delayed message out by its id; false when it is not there or claimed.
    ///
    /// # Errors
    /// A bad name.
    pub fn remove(self, queue: &str, id: &str) -> Result<bool, Error> {
        name::check("queue", queue)?;
        self.engine.queues().remove(queue, id)
    }

    /// How many messages it still owes (ready, delayed, claimed); none for an unknown queue.
    ///
    /// # Errors
    /// A bad name.
    pub fn count(self, queue: &str) -> Result<Option<usize>, Error> {
        Ok(self.status(queue)?.map(|status| status.count()))
    }

    /// Counts and ages; none for an unknown queue.
    ///
    /// # Errors
    /// A bad name.
    pub fn status(self, queue: &str) -> Result<Option<QueueStatus>, Error> {
        name::check("queue", queue)?;
        self.engine.queues().status(queue)
    }

    /// Counts and ages with the revision to watch from. From the first snapshot or watch on, changes of queues are noted
    /// for watchers, which makes each a little slower.
    ///
    /// # Errors
    /// A bad name.
    pub fn snapshot(self, queue: &str) -> Result<QueueSnapshot, Error> {
        name::check("queue", queue)?;
        let (status, revision) = self.engine.queues().snapshot(queue)?;
        Ok(QueueSnapshot { status, revision })
    }

    /// Follows changes: those after the revision `from`, or from now on. No change is lost or told twice.
    ///
    /// # Errors
    /// `FellBehind` when the store does not know all changes since `from`: it keeps the newest 4,096 since the first
    /// snapshot or watch; a bad name.
    pub fn watch(self, filter: NameFilter, from: Option<u64>) -> Result<QueueWatcher, Error> {
        filter.check("queue")?;
        let queue = self.engine.queues().watch(filter, from)?;
        Ok(QueueWatcher::new(self.engine.clone(), queue))
    }

    /// The names of all queues, sorted.
    ///
    /// # Errors
    /// None under `memory:`.
    pub fn list(self) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = self.engine.queues().names()?.iter().map(|name| name.to_string()).collect();
        names.sort();
        Ok(names)
    }

    /// Sets the queue's options, and creates it. Messages past a smaller cap stay.
    ///
    /// # Errors
    /// A bad name; a cap or a number of attempts of zero.
    pub fn configure(self, queue: &str, options: QueueOptions) -> Result<(), Error> {
        name::check("queue", queue)?;
        let refuse =
            |reason: &str| Err(Error::Setting { what: format!("the queue {queue:?}"), reason: reason.to_owned() });
        if options.length_max == 0 {
            return refuse("has a length_max of 0: a queue must have room for a message");
        }
        if options.attempts_max == Some(0) {
            return refuse("has an attempts_max of 0: a message is tried at least once");
        }
        if let Some(dead_letters) = &options.dead_letters {
            name::check("queue", dead_letters)?;
            if dead_letters == queue {
                return refuse("is its own queue of dead letters: name another");
            }
        }
        self.engine.queues().configure(queue, options)
    }

    /// Removes all ready and delayed messages and returns how many. Claims go on.
    ///
    /// # Errors
    /// A bad name.
    pub fn purge(self, queue: &str) -> Result<usize, Error> {
        name::check("queue", queue)?;
        self.engine.queues().purge(queue)
    }

    /// Removes the queue with all its messages and settings; true when there was one. Those who wait for a message go
    /// on waiting for the next queue of that name.
    ///
    /// # Errors
    /// A bad name.
    pub fn delete(self, queue: &str) -> Result<bool, Error> {
        name::check("queue", queue)?;
        self.engine.queues().delete(queue)
    }

    fn settle(self, queue: &str, id: &str, attempt: Option<u32>, verdict: Verdict<'_>) -> Result<(), Error> {
        name::check("queue", queue)?;
        self.engine.queues().settle_claim(queue, id, attempt, verdict)
    }

    fn begin_add(self, queue: &str, message: Value, options: &AddOptions) -> Result<AddAnswer, Error> {
        name::check("queue", queue)?;
        self.engine.limits().check_value(|| format!("the queue {queue:?}"), &message)?;
        let id = match &options.id {
            None => None,
            Some(id) => {
                name::check("message id", id)?;
                if id.starts_with('#') {
                    let reason = "begins with #, which marks numbered messages: choose another".to_owned();
                    return Err(Error::Name { kind: "message id", name: id.clone(), reason });
                }
                Some(Arc::from(id.as_str()))
            }
        };
        let new = NewMessage { message: Arc::new(message), priority: options.priority, delay: options.delay, id };
        self.engine.queues().add(queue, new, options.wait != Some(Duration::ZERO))
    }

    fn deliver(self, queue: &str, want: Want, wait: Option<Duration>, stop: &Stop) -> Result<Option<Delivery>, Error> {
        name::check("queue", queue)?;
        match self.engine.queues().request(queue, want, wait != Some(Duration::ZERO))? {
            TakeAnswer::Delivered(delivery) => Ok(Some(delivery)),
            TakeAnswer::Empty => Ok(None),
            TakeAnswer::Waiting(ticket) => block_on(self.wait_for_message(queue, ticket, wait, stop)),
        }
    }

    async fn deliver_async(
        self,
        queue: &str,
        want: Want,
        wait: Option<Duration>,
        stop: &Stop,
    ) -> Result<Option<Delivery>, Error> {
        name::check("queue", queue)?;
        match self.engine.queues().request(queue, want, wait != Some(Duration::ZERO))? {
            TakeAnswer::Delivered(delivery) => Ok(Some(delivery)),
            TakeAnswer::Empty => Ok(None),
            TakeAnswer::Waiting(ticket) => self.wait_for_message(queue, ticket, wait, stop).await,
        }
    }
}

fn check_lease(queue: &str, lease: Duration) -> Result<(), Error> {
    if lease.is_zero() {
        let reason = "is claimed with a lease of 0 s: it must be longer".to_owned();
        return Err(Error::Setting { what: format!("the queue {queue:?}"), reason });
    }
    Ok(())
}

fn cut(reason: &str) -> &str {
    let end = (0..=REASON_BYTES_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    reason.get(..end.unwrap_or(0)).unwrap_or("")
}
