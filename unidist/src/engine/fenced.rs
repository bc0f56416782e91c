//! A store whose changes carry a fencing number: everything else is the store's own.
//!
//! Taking and claiming messages, giving them back and settling claims are changes, too; locks are not. A message that
//! waits for room, and a consumer that waits for a message, are compared when they begin to wait.

#[cfg(feature = "node")]
use std::cell::RefCell;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use event_listener::Event;
use serde_json::Value;

use super::{
    AddAnswer, AddTicket, Condition, CounterValues, Counters, DeliveryTicket, Edge, Engine, Locks, Logs, Queues, State,
    StateWrite, TakeAnswer, Verdict, Want,
};
use crate::error::Error;
use crate::limits::Limits;
use crate::messagequeue::{Added, Delivery, Message, NewMessage, QueueOptions, QueueStatus};
use crate::sharedlock::Fence;
use crate::sharedlog::{LogOptions, LogPage, LogStatus};
use crate::sharedstate::{Compared, KeyFilter, Search, StateEntry};
use crate::timer::Timers;
use crate::watch::{CounterEvent, NameFilter, QueueEvent, WatchFilter, WatchSource};

#[cfg(feature = "node")]
thread_local! {
    static CARRIED: RefCell<Option<Fence>> = const { RefCell::new(None) };
}

/// The fence that the change on this thread carries.
#[cfg(feature = "node")]
pub(crate) fn carried() -> Option<Fence> {
    CARRIED.with_borrow(Clone::clone)
}

/// Runs `change`, which carries the fence, for an engine that compares it further inside.
#[cfg(feature = "node")]
pub(crate) fn carry(fence: &Fence, change: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error> {
    /// Also when `change` panics.
    struct Reset(Option<Fence>);
    impl Drop for Reset {
        fn drop(&mut self) {
            CARRIED.set(self.0.take());
        }
    }
    let _reset = Reset(CARRIED.replace(Some(fence.clone())));
    change()
}

pub(crate) struct FencedEngine {
    engine: Arc<dyn Engine>,
    fence: Fence,
}

impl FencedEngine {
    pub(crate) fn new(engine: Arc<dyn Engine>, fence: Fence) -> Self {
        FencedEngine { engine, fence }
    }

    fn change<T>(&self, change: impl FnOnce(&dyn Engine) -> Result<T, Error>) -> Result<T, Error> {
        let (mut change, mut changed) = (Some(change), None);
        self.engine.fenced(&self.fence, &mut || {
            let Some(change) = change.take() else { return Ok(()) };
            changed = Some(change(&*self.engine)?);
            Ok(())
        })?;
        changed.ok_or_else(|| {
            let reason = "the store did not make the change".to_owned();
            Error::LockOption { name: self.fence.lock.clone(), reason }
        })
    }
}

impl Engine for FencedEngine {
    fn timers(&self) -> &Timers {
        self.engine.timers()
    }

    fn limits(&self) -> &Limits {
        self.engine.limits()
    }

    fn counters(&self) -> &dyn Counters {
        self
    }

    fn locks(&self) -> &dyn Locks {
        self.engine.locks()
    }

    fn state(&self) -> &dyn State {
        self
    }

    fn queues(&self) -> &dyn Queues {
        self
    }

    fn waits_in(&self, ticket: usize) -> Option<&dyn Engine> {
        self.engine.waits_in(ticket)
    }

    fn logs(&self) -> &dyn Logs {
        self
    }

    /// Both fences count.
    fn fenced(&self, fence: &Fence, change: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error> {
        self.engine.fenced(fence, change)
    }

    fn lock_keepers(&self) -> Result<Vec<File>, Error> {
        self.engine.lock_keepers()
    }

    fn backup(&self, folder: &Path) -> Result<(), Error> {
        self.engine.backup(folder)
    }
}

impl Counters for FencedEngine {
    fn get(&self, name: &str) -> Result<i64, Error> {
        self.engine.counters().get(name)
    }

    fn swap(&self, name: &str, value: i64) -> Result<i64, Error> {
        self.change(|engine| engine.counters().swap(name, value))
    }

    fn add(&self, name: &str, by: i128) -> Result<i64, Error> {
        self.change(|engine| engine.counters().add(name, by))
    }

    fn remove(&self, name: &str) -> Result<bool, Error> {
        self.change(|engine| engine.counters().remove(name))
    }

    fn all(&self) -> Result<Vec<(Arc<str>, i64)>, Error> {
        self.engine.counters().all()
    }

    fn snapshot(&self) -> Result<CounterValues, Error> {
        self.engine.counters().snapshot()
    }

    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<CounterEvent>>, Error> {
        self.engine.counters().watch(filter, from)
    }
}

impl State for FencedEngine {
    fn get(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error> {
        self.engine.state().get(bucket, key)
    }

    fn entry(&self, bucket: &str, key: &str) -> Result<Option<StateEntry>, Error> {
        self.engine.state().entry(bucket, key)
    }

    fn set(&self, write: StateWrite<'_>, condition: Condition) -> Result<Compared<Option<Arc<Value>>>, Error> {
        self.change(|engine| engine.state().set(write, condition))
    }

    fn remove(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error> {
        self.change(|engine| engine.state().remove(bucket, key))
    }

    fn compare_and_remove(
        &self,
        bucket: &str,
        key: &str,
        revision: u64,
    ) -> Result<Compared<Option<Arc<Value>>>, Error> {
        self.change(|engine| engine.state().compare_and_remove(bucket, key, revision))
    }

    fn remove_bucket(&self, bucket: &str) -> Result<usize, Error> {
        self.change(|engine| engine.state().remove_bucket(bucket))
    }

    fn scan(&self, filter: &KeyFilter<'_>) -> Result<(Vec<StateEntry>, u64), Error> {
        self.engine.state().scan(filter)
    }

    fn search(&self, search: &Search) -> Option<Result<Vec<StateEntry>, Error>> {
        self.engine.state().search(search)
    }

    fn buckets(&self) -> Result<Vec<Arc<str>>, Error> {
        self.engine.state().buckets()
    }

    fn revision(&self) -> Result<u64, Error> {
        self.engine.state().revision()
    }

    fn watch(&self, filter: WatchFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource>, Error> {
        self.engine.state().watch(filter, from)
    }
}

impl Queues for FencedEngine {
    fn add(&self, queue: &str, message: NewMessage, may_wait: bool) -> Result<AddAnswer, Error> {
        self.change(|engine| engine.queues().add(queue, message, may_wait))
    }

    fn cancel_add(&self, queue: &str, ticket: &Arc<AddTicket>) -> Option<Result<Added, Error>> {
        self.engine.queues().cancel_add(queue, ticket)
    }

    fn request(&self, queue: &str, want: Want, may_wait: bool) -> Result<TakeAnswer, Error> {
        self.change(|engine| engine.queues().request(queue, want, may_wait))
    }

    fn cancel(&self, queue: &str, ticket: &Arc<DeliveryTicket>) -> Option<Result<Delivery, Error>> {
        self.engine.queues().cancel(queue, ticket)
    }

    fn give_back(&self, queue: &str, delivery: Delivery) {
        self.engine.queues().give_back(queue, delivery);
    }

    fn settle_claim(&self, queue: &str, id: &str, attempt: Option<u32>, verdict: Verdict<'_>) -> Result<(), Error> {
        self.change(|engine| engine.queues().settle_claim(queue, id, attempt, verdict))
    }

    fn peek(&self, queue: &str, limit: usize) -> Result<Vec<Message>, Error> {
        self.engine.queues().peek(queue, limit)
    }

    fn edge(&self, queue: &str, edge: Edge) -> Result<Option<Message>, Error> {
        self.engine.queues().edge(queue, edge)
    }

    fn remove(&self, queue: &str, id: &str) -> Result<bool, Error> {
        self.change(|engine| engine.queues().remove(queue, id))
    }

    fn purge(&self, queue: &str) -> Result<usize, Error> {
        self.change(|engine| engine.queues().purge(queue))
    }

    fn delete(&self, queue: &str) -> Result<bool, Error> {
        self.change(|engine| engine.queues().delete(queue))
    }

    fn configure(&self, queue: &str, options: QueueOptions) -> Result<(), Error> {
        self.change(|engine| engine.queues().configure(queue, options))
    }

    fn status(&self, queue: &str) -> Result<Option<QueueStatus>, Error> {
        self.engine.queues().status(queue)
    }

    fn snapshot(&self, queue: &str) -> Result<(Option<QueueStatus>, u64), Error> {
        self.engine.queues().snapshot(queue)
    }

    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<QueueEvent>>, Error> {
        self.engine.queues().watch(filter, from)
    }

    fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        self.engine.queues().names()
    }
}

impl Logs for FencedEngine {
    fn append(&self, log: &str, value: Value, bytes: usize) -> Result<u64, Error> {
        self.change(|engine| engine.logs().append(log, value, bytes))
    }

    fn read(&self, log: &str, offset: u64, limit: usize) -> Result<LogPage, Error> {
        self.engine.logs().read(log, offset, limit)
    }

    fn appended(&self, log: &str) -> Result<Arc<Event>, Error> {
        self.engine.logs().appended(log)
    }

    fn configure(&self, log: &str, options: LogOptions) -> Result<(), Error> {
        self.change(|engine| engine.logs().configure(log, options))
    }

    fn status(&self, log: &str) -> Result<Option<LogStatus>, Error> {
        self.engine.logs().status(log)
    }

    fn delete(&self, log: &str) -> Result<bool, Error> {
        self.change(|engine| engine.logs().delete(log))
    }

    fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        self.engine.logs().names()
    }
}
