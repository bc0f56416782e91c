//! Queues in memory: each under its shard's lock, settled after each change, with one timer for its next due time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value;

use super::feed::{Feed, Revision};
use super::queue::{Notes, Queue};
use super::shards::Shards;
use crate::engine::journal::{Change, Records};
#[cfg(feature = "file")]
use crate::engine::journal::{KeptBody, QueueHeader, Standing};
use crate::engine::{AddAnswer, AddTicket, DeliveryTicket, Edge, Queues, TakeAnswer, Verdict, Want};
use crate::error::Error;
use crate::limits::Limits;
use crate::messagequeue::{Added, DEAD_SUFFIX, Delivery, Message, NewMessage, QueueOptions, QueueStatus, WhenFull};
use crate::sync::{AtomicU64, Ordering};
use crate::timer::Timers;
use crate::wait::Ticket;
use crate::watch::{NameFilter, QueueChange, QueueEvent, WatchSource};

pub(crate) struct MemoryQueues {
    shards: Shards<Box<Queue>>,
    waiters_max: usize,
    /// The highest message number of queues that were deleted.
    numbers_used: AtomicU64,
    timers: Arc<Timers>,
    records: Records,
    feed: Feed<QueueEvent>,
    me: Weak<MemoryQueues>,
}

/// What must happen once the queue is unlocked.
struct After {
    alarm: Option<Duration>,
    dead_letters: Vec<Value>,
    dead_queue: Option<String>,
}

impl MemoryQueues {
    pub(super) fn new(timers: Arc<Timers>, limits: &Limits, records: Records, revision: Revision) -> Arc<Self> {
        Arc::new_cyclic(|me| MemoryQueues {
            shards: Shards::new("queues", limits.names_max),
            waiters_max: limits.waiters_max,
            numbers_used: AtomicU64::new(0),
            timers,
            records,
            feed: Feed::new(revision, limits.watch_events_max),
            me: me.clone(),
        })
    }

    /// Runs `act` on the queue if it exists, then settles it.
    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Queue, Duration) -> T) -> Option<T> {
        let now = self.timers.now();
        let mut shard = self.shards.lock(name);
        let queue = shard.get_mut(name)?;
        queue.gather_news(self.feed.is_noted());
        queue.settle(now);
        let result = act(queue, now);
        let after = self.settle(name, queue, now);
        drop(shard);
        self.finish(name, after);
        Some(result)
    }

    /// Runs `act` on the queue, which is created when there is none.
    fn with_new<T>(&self, name: &str, act: impl FnOnce(&mut Queue, Duration) -> T) -> Result<T, Error> {
        let now = self.timers.now();
        let mut shard = self.shards.lock(name);
        let queue = match shard.get_mut(name) {
            Some(queue) => queue,
            None => self.shards.get_or_insert(&mut shard, name, || self.new_queue(name))?,
        };
        queue.gather_news(self.feed.is_noted());
        queue.settle(now);
        let result = act(queue, now);
        let after = self.settle(name, queue, now);
        drop(shard);
        self.finish(name, after);
        Ok(result)
    }

    fn new_queue(&self, name: &str) -> Box<Queue> {
        let last_number = self.numbers_used.load(Ordering::Relaxed);
        Box::new(Queue::new(default_options(name), last_number, self.records.has(name)))
    }

    fn finish(&self, name: &str, after: After) {
        if let Some(due) = after.alarm {
            let (me, name) = (self.me.clone(), name.to_owned());
            self.timers.at(due, move || {
                if let Some(me) = me.upgrade() {
                    me.records.enclose(|| me.ring(&name, due));
                }
            });
        }
        for mut letter in after.dead_letters {
            if let Value::Object(letter) = &mut letter {
                letter.insert("queue".to_owned(), Value::from(name));
            }
            let dead_queue = after.dead_queue.clone().unwrap_or_else(|| format!("{name}{DEAD_SUFFIX}"));
            let new = NewMessage { message: Arc::new(letter), priority: 0, delay: Duration::ZERO, id: None };
            // Only with more queues than the store may have is there no place for dead letters.
            let _ = self.with_new(&dead_queue, |queue, now| queue.add_dead_letter(new, now));
        }
    }

    /// Brings the queue in order after an act, and records what the act changed. The queue is locked.
    fn settle(&self, name: &str, queue: &mut Queue, now: Duration) -> After {
        queue.settle(now);
        let due = queue.next_due().filter(|due| queue.alarm.is_none_or(|alarm| *due < alarm));
        if due.is_some() {
            queue.alarm = due;
        }
        if let Some(notes) = queue.take_notes() {
            self.record(name, notes);
        }
        self.tell(name, queue);
        let dead_letters = queue.take_dead_letters();
        let dead_queue = queue.options.dead_letters.clone().filter(|_| !dead_letters.is_empty());
        After { alarm: due, dead_letters, dead_queue }
    }

    /// Tells those who watch what happened to the queue. It is locked.
    fn tell(&self, name: &str, queue: &mut Queue) {
        let news = queue.take_news();
        if news.is_empty() {
            return;
        }
        let name: Arc<str> = Arc::from(name);
        for (change, count) in news {
            self.feed.tell(|revision| QueueEvent { queue: name.clone(), revision, change, count });
        }
    }

    fn record(&self, name: &str, notes: Notes) {
        let shared: Arc<str> = Arc::from(name);
        for (number, change) in notes.messages {
            self.records.add(name, || Change::Message { queue: shared.clone(), number, change });
        }
        if let Some(header) = notes.header {
            self.records.add(name, || Change::Queue { name: shared, header });
        }
        for answer in notes.answers {
            self.records.hold(answer);
        }
    }

    /// Runs `act` on the queue, made when there is none, without a record; what falls due is done by the timer.
    #[cfg(feature = "file")]
    fn with_kept(&self, name: &str, act: impl FnOnce(&mut Queue, Duration)) {
        let now = self.timers.now();
        let mut shard = self.shards.lock(name);
        if !shard.contains_key(name) {
            self.shards.insert_kept(&mut shard, Arc::from(name), self.new_queue(name));
        }
        let Some(queue) = shard.get_mut(name) else { return };
        queue.gather_news(false);
        act(queue, now);
        queue.drop_notes();
        if self.feed.is_noted() {
            queue.gather_news(true);
            queue.tell_all(QueueChange::Restored);
            self.tell(name, queue);
        }
        queue.alarm = Some(now);
        drop(shard);
        self.finish(name, After { alarm: Some(now), dead_letters: Vec::new(), dead_queue: None });
    }

    /// Takes on what was kept of a queue, without its messages and without a record.
    #[cfg(feature = "file")]
    pub(crate) fn restore_header(&self, name: &str, header: Option<QueueHeader>) {
        self.with_kept(name, |queue, _| match header {
            Some(header) => queue.restore_header(header),
            None => queue.reset(default_options(name)),
        });
    }

    /// Makes a message what was kept of it, without a record.
    #[cfg(feature = "file")]
    pub(crate) fn restore_message(&self, name: &str, number: u64, kept: Option<(KeptBody, Standing)>) {
        self.with_kept(name, |queue, now| queue.restore_message(number, kept, now));
    }

    /// Puts messages that were kept into a queue that has none, without a record.
    #[cfg(feature = "file")]
    pub(crate) fn load(&self, name: &str, messages: Vec<(u64, KeptBody, Standing)>) {
        self.with_kept(name, |queue, now| {
            for (number, body, standing) in messages {
                queue.load(number, body, standing, now);
            }
        });
    }

    /// Does what fell due while the queues were only kept.
    #[cfg(feature = "file")]
    pub(crate) fn settle_all(&self) {
        let names: Vec<Arc<str>> =
            self.shards.each().flat_map(|shard| shard.keys().cloned().collect::<Vec<_>>()).collect();
        for name in names {
            self.with(&name, |_, _| ());
        }
    }

    /// The highest message number of queues that were deleted before the store was opened.
    #[cfg(feature = "file")]
    pub(crate) fn begin_after(&self, numbers_used: u64) {
        self.numbers_used.store(numbers_used, Ordering::Relaxed);
    }

    fn record_gone(&self, name: &str, queue: &Queue) {
        let last_number = queue.last_number;
        self.records.add(name, || Change::QueueGone { name: Arc::from(name), last_number });
    }

    fn tell_deleted(&self, name: &str) {
        if self.feed.is_noted() {
            let (queue, change) = (Arc::from(name), QueueChange::Deleted);
            self.feed.tell(|revision| QueueEvent { queue, revision, change, count: 0 });
        }
    }

    fn ring(&self, name: &str, due: Duration) {
        self.with(name, |queue, _| {
            if queue.alarm == Some(due) {
                queue.alarm = None;
            }
        });
    }
}

fn default_options(name: &str) -> QueueOptions {
    let options = QueueOptions::default();
    if name.ends_with(DEAD_SUFFIX) { QueueOptions { attempts_max: None, ..options } } else { options }
}

impl Queues for MemoryQueues {
    fn add(&self, name: &str, message: NewMessage, may_wait: bool) -> Result<AddAnswer, Error> {
        self.with_new(name, |queue, now| {
            let new = match queue.add(message, now) {
                Ok(added) => return Ok(AddAnswer::Added(added)),
                Err(new) => new,
            };
            if !may_wait || queue.options.when_full != WhenFull::Wait {
                return Err(Error::QueueFull { name: name.to_owned(), length_max: queue.options.length_max });
            }
            if queue.waiting() >= self.waiters_max {
                return Err(Error::TooMany { what: "waiters for one queue", max: self.waiters_max });
            }
            let ticket = Ticket::new();
            queue.wait_for_room(new, ticket.clone());
            Ok(AddAnswer::Waiting(ticket))
        })?
    }

    fn cancel_add(&self, name: &str, ticket: &Arc<AddTicket>) -> Option<Result<Added, Error>> {
        self.with(name, |queue, _| queue.leave_producers(ticket));
        ticket.close()
    }

    fn request(&self, name: &str, want: Want, may_wait: bool) -> Result<TakeAnswer, Error> {
        if !may_wait {
            let delivery = self.with(name, |queue, now| queue.deliver(want, now)).flatten();
            return Ok(delivery.map_or(TakeAnswer::Empty, TakeAnswer::Delivered));
        }
        self.with_new(name, |queue, now| {
            if let Some(delivery) = queue.deliver(want, now) {
                return Ok(TakeAnswer::Delivered(delivery));
            }
            if queue.waiting() >= self.waiters_max {
                return Err(Error::TooMany { what: "waiters for one queue", max: self.waiters_max });
            }
            let ticket = Ticket::new();
            queue.wait_for_message(want, ticket.clone());
            Ok(TakeAnswer::Waiting(ticket))
        })?
    }

    fn cancel(&self, name: &str, ticket: &Arc<DeliveryTicket>) -> Option<Result<Delivery, Error>> {
        self.with(name, |queue, _| queue.leave_consumers(ticket));
        ticket.close()
    }

    fn give_back(&self, name: &str, delivery: Delivery) {
        self.with(name, |queue, now| queue.give_back(delivery, now));
    }

    fn settle_claim(&self, name: &str, id: &str, attempt: Option<u32>, verdict: Verdict<'_>) -> Result<(), Error> {
        match self.with(name, |queue, now| queue.settle_claim(id, attempt, verdict, now)) {
            Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(Error::ClaimLost { queue: name.to_owned(), id: id.to_owned(), reason }),
            None => Err(Error::NoSuchThing { kind: "queue", name: name.to_owned() }),
        }
    }

    fn peek(&self, name: &str, limit: usize) -> Result<Vec<Message>, Error> {
        Ok(self.with(name, |queue, now| queue.peek(limit, now)).unwrap_or_default())
    }

    fn edge(&self, name: &str, edge: Edge) -> Result<Option<Message>, Error> {
        Ok(self.with(name, |queue, now| queue.edge(edge, now)).flatten())
    }

    fn remove(&self, name: &str, id: &str) -> Result<bool, Error> {
        Ok(self.with(name, |queue, _| queue.remove(id)).unwrap_or(false))
    }

    fn purge(&self, name: &str) -> Result<usize, Error> {
        Ok(self.with(name, |queue, _| queue.purge()).unwrap_or(0))
    }

    fn delete(&self, name: &str) -> Result<bool, Error> {
        let mut shard = self.shards.lock(name);
        let Some(queue) = shard.get_mut(name) else { return Ok(false) };
        if queue.waiting() == 0 {
            self.record_gone(name, queue);
            self.tell_deleted(name);
            self.numbers_used.fetch_max(queue.last_number, Ordering::Relaxed);
            self.shards.remove(&mut shard, name);
            return Ok(true);
        }
        self.record_gone(name, queue);
        queue.reset(default_options(name));
        self.tell_deleted(name);
        drop(shard);
        self.with(name, |_, _| ());
        Ok(true)
    }

    fn configure(&self, name: &str, options: QueueOptions) -> Result<(), Error> {
        self.with_new(name, |queue, _| queue.configure(options))
    }

    fn status(&self, name: &str) -> Result<Option<QueueStatus>, Error> {
        Ok(self.with(name, |queue, now| queue.status(now)))
    }

    fn snapshot(&self, name: &str) -> Result<(Option<QueueStatus>, u64), Error> {
        self.feed.begin();
        self.with(name, |_, _| ());
        let shard = self.shards.lock(name);
        let status = shard.get(name).map(|queue| queue.status(self.timers.now()));
        Ok((status, self.feed.revision()))
    }

    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<QueueEvent>>, Error> {
        self.feed.begin();
        self.feed.watch(move |event| filter.passes(&event.queue), from)
    }

    fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        Ok(self.shards.each().flat_map(|shard| shard.keys().cloned().collect::<Vec<_>>()).collect())
    }
}
