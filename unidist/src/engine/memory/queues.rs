//! Queues in memory: each under its shard's lock, settled after each change, with one timer for its next due time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::Value;

use super::queue::Queue;
use super::shards::Shards;
use crate::engine::{AddAnswer, AddTicket, DeliveryTicket, Edge, Queues, TakeAnswer, Verdict, Want};
use crate::error::Error;
use crate::limits::Limits;
use crate::messagequeue::{Added, DEAD_SUFFIX, Delivery, Message, NewMessage, QueueOptions, QueueStatus, WhenFull};
use crate::timer::Timers;
use crate::wait::Ticket;

pub(super) struct MemoryQueues {
    shards: Shards<Box<Queue>>,
    waiters_max: usize,
    /// The highest message number of queues that were deleted.
    numbers_used: AtomicU64,
    timers: Arc<Timers>,
    me: Weak<MemoryQueues>,
}

/// What must happen once the queue is unlocked.
struct After {
    alarm: Option<Duration>,
    dead_letters: Vec<Value>,
    dead_queue: Option<String>,
}

impl MemoryQueues {
    pub(super) fn new(timers: Arc<Timers>, limits: &Limits) -> Arc<Self> {
        Arc::new_cyclic(|me| MemoryQueues {
            shards: Shards::new("queues", limits.names_max),
            waiters_max: limits.waiters_max,
            numbers_used: AtomicU64::new(0),
            timers,
            me: me.clone(),
        })
    }

    /// Runs `act` on the queue if it exists, then settles it.
    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Queue, Duration) -> T) -> Option<T> {
        let now = self.timers.now();
        let mut shard = self.shards.lock(name);
        let queue = shard.get_mut(name)?;
        queue.settle(now);
        let result = act(queue, now);
        let after = settle(queue, now);
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
        queue.settle(now);
        let result = act(queue, now);
        let after = settle(queue, now);
        drop(shard);
        self.finish(name, after);
        Ok(result)
    }

    fn new_queue(&self, name: &str) -> Box<Queue> {
        Box::new(Queue::new(default_options(name), self.numbers_used.load(Ordering::Relaxed)))
    }

    fn finish(&self, name: &str, after: After) {
        if let Some(due) = after.alarm {
            let (me, name) = (self.me.clone(), name.to_owned());
            self.timers.at(due, move || {
                if let Some(me) = me.upgrade() {
                    me.ring(&name, due);
                }
            });
        }
        for mut letter in after.dead_letters {
            if let Value::Object(letter) = &mut letter {
                letter.insert("queue".to_owned(), Value::from(name));
            }
            let dead_queue = after.dead_queue.clone().unwrap_or_else(|| format!("{name}{DEAD_SUFFIX}"));
            let new = NewMessage { message: letter, priority: 0, delay: Duration::ZERO, id: None };
            // Only with more queues than the store may have is there no place for dead letters.
            let _ = self.with_new(&dead_queue, |queue, now| queue.add_dead_letter(new, now));
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

fn settle(queue: &mut Queue, now: Duration) -> After {
    queue.settle(now);
    let due = queue.next_due().filter(|due| queue.alarm.is_none_or(|alarm| *due < alarm));
    if due.is_some() {
        queue.alarm = due;
    }
    let dead_letters = queue.take_dead_letters();
    let dead_queue = queue.options.dead_letters.clone().filter(|_| !dead_letters.is_empty());
    After { alarm: due, dead_letters, dead_queue }
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

    fn cancel(&self, name: &str, ticket: &Arc<DeliveryTicket>) -> Option<Delivery> {
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
            self.numbers_used.fetch_max(queue.last_number, Ordering::Relaxed);
            self.shards.remove(&mut shard, name);
            return Ok(true);
        }
        drop(shard);
        Ok(self.with(name, |queue, _| queue.reset(default_options(name))).is_some())
    }

    fn configure(&self, name: &str, options: QueueOptions) -> Result<(), Error> {
        self.with_new(name, |queue, _| queue.options = options)
    }

    fn status(&self, name: &str) -> Result<Option<QueueStatus>, Error> {
        Ok(self.with(name, |queue, now| queue.status(now)))
    }

    fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        Ok(self.shards.each().flat_map(|shard| shard.keys().cloned().collect::<Vec<_>>()).collect())
    }
}
