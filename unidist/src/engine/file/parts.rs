//! The shared things of a file store: the memory engine's, with the wait for the disk around each change.
//!
//! Names that begin with `__` are not stored: their changes wait for nothing.

use std::sync::Arc;

use event_listener::Event;
use serde_json::Value;

use super::FileEngine;
use crate::engine::fenced;
use crate::engine::request::Answer;
use crate::engine::{
    AddAnswer, AddTicket, Condition, CounterValues, Counters, DeliveryTicket, Edge, Logs, Queues, State, StateWrite,
    TakeAnswer, Verdict, Want,
};
use crate::error::Error;
use crate::messagequeue::{Added, Delivery, Message, NewMessage, QueueOptions, QueueStatus};
use crate::name::is_private;
use crate::sharedlog::{LogOptions, LogPage, LogStatus};
use crate::sharedstate::{Compared, KeyFilter, StateEntry};
use crate::watch::{CounterEvent, NameFilter, QueueEvent, WatchFilter, WatchSource};

impl FileEngine {
    /// Runs a change of the thing of this name and waits for the disk.
    fn keep<T: Answer>(&self, name: &str, change: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        match fenced::carried() {
            None if is_private(name) => change(),
            None => self.writer.keep(change),
            Some(fence) if is_private(name) && is_private(&fence.lock) => self.memory.locks.fenced(&fence, change),
            Some(fence) => self.writer.keep(|| self.memory.locks.fenced(&fence, change)),
        }
    }
}

impl Counters for FileEngine {
    fn get(&self, name: &str) -> Result<i64, Error> {
        self.memory.counters.get(name)
    }

    fn swap(&self, name: &str, value: i64) -> Result<i64, Error> {
        self.keep(name, || self.memory.counters.swap(name, value))
    }

    fn add(&self, name: &str, by: i128) -> Result<i64, Error> {
        self.keep(name, || self.memory.counters.add(name, by))
    }

    fn remove(&self, name: &str) -> Result<bool, Error> {
        self.keep(name, || self.memory.counters.remove(name))
    }

    fn all(&self) -> Result<Vec<(Arc<str>, i64)>, Error> {
        self.memory.counters.all()
    }

    fn snapshot(&self) -> Result<CounterValues, Error> {
        self.memory.counters.snapshot()
    }

    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<CounterEvent>>, Error> {
        self.memory.counters.watch(filter, from)
    }
}

impl State for FileEngine {
    fn get(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error> {
        self.memory.state.get(bucket, key)
    }

    fn entry(&self, bucket: &str, key: &str) -> Result<Option<StateEntry>, Error> {
        self.memory.state.entry(bucket, key)
    }

    fn set(&self, write: StateWrite<'_>, condition: Condition) -> Result<Compared<Option<Arc<Value>>>, Error> {
        let wants_before = write.wants_before;
        self.keep(write.bucket, || {
            let written = self.memory.state.set(write, condition)?;
            Ok(match written {
                // What nobody asked for need not be remembered.
                Compared::Set(revision, _) if !wants_before => Compared::Set(revision, None),
                written => written,
            })
        })
    }

    fn remove(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error> {
        self.keep(bucket, || self.memory.state.remove(bucket, key))
    }

    fn compare_and_remove(
        &self,
        bucket: &str,
        key: &str,
        revision: u64,
    ) -> Result<Compared<Option<Arc<Value>>>, Error> {
        self.keep(bucket, || self.memory.state.compare_and_remove(bucket, key, revision))
    }

    fn remove_bucket(&self, bucket: &str) -> Result<usize, Error> {
        self.keep(bucket, || self.memory.state.remove_bucket(bucket))
    }

    fn scan(&self, filter: &KeyFilter<'_>) -> Result<(Vec<StateEntry>, u64), Error> {
        self.memory.state.scan(filter)
    }

    fn buckets(&self) -> Result<Vec<Arc<str>>, Error> {
        self.memory.state.buckets()
    }

    fn revision(&self) -> Result<u64, Error> {
        self.memory.state.revision()
    }

    fn watch(&self, filter: WatchFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource>, Error> {
        self.memory.state.watch(filter, from)
    }
}

impl Queues for FileEngine {
    fn add(&self, queue: &str, message: NewMessage, may_wait: bool) -> Result<AddAnswer, Error> {
        self.keep(queue, || self.memory.queues.add(queue, message, may_wait))
    }

    fn cancel_add(&self, queue: &str, ticket: &Arc<AddTicket>) -> Option<Result<Added, Error>> {
        // A result that is there already counts once it is on disk.
        self.keep(queue, || self.memory.queues.cancel_add(queue, ticket).transpose()).transpose()
    }

    fn request(&self, queue: &str, want: Want, may_wait: bool) -> Result<TakeAnswer, Error> {
        self.keep(queue, || self.memory.queues.request(queue, want, may_wait))
    }

    fn cancel(&self, queue: &str, ticket: &Arc<DeliveryTicket>) -> Option<Result<Delivery, Error>> {
        self.keep(queue, || self.memory.queues.cancel(queue, ticket).transpose()).transpose()
    }

    fn give_back(&self, queue: &str, delivery: Delivery) {
        self.writer.look(|| self.memory.queues.give_back(queue, delivery));
    }

    fn settle_claim(&self, queue: &str, id: &str, attempt: Option<u32>, verdict: Verdict<'_>) -> Result<(), Error> {
        self.keep(queue, || self.memory.queues.settle_claim(queue, id, attempt, verdict))
    }

    fn peek(&self, queue: &str, limit: usize) -> Result<Vec<Message>, Error> {
        self.writer.look(|| self.memory.queues.peek(queue, limit))
    }

    fn edge(&self, queue: &str, edge: Edge) -> Result<Option<Message>, Error> {
        self.writer.look(|| self.memory.queues.edge(queue, edge))
    }

    fn remove(&self, queue: &str, id: &str) -> Result<bool, Error> {
        self.keep(queue, || self.memory.queues.remove(queue, id))
    }

    fn purge(&self, queue: &str) -> Result<usize, Error> {
        self.keep(queue, || self.memory.queues.purge(queue))
    }

    fn delete(&self, queue: &str) -> Result<bool, Error> {
        self.keep(queue, || self.memory.queues.delete(queue))
    }

    fn configure(&self, queue: &str, options: QueueOptions) -> Result<(), Error> {
        self.keep(queue, || self.memory.queues.configure(queue, options))
    }

    fn status(&self, queue: &str) -> Result<Option<QueueStatus>, Error> {
        self.writer.look(|| self.memory.queues.status(queue))
    }

    fn snapshot(&self, queue: &str) -> Result<(Option<QueueStatus>, u64), Error> {
        self.writer.look(|| self.memory.queues.snapshot(queue))
    }

    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<QueueEvent>>, Error> {
        self.memory.queues.watch(filter, from)
    }

    fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        self.memory.queues.names()
    }
}

impl Logs for FileEngine {
    fn append(&self, log: &str, value: Value, bytes: usize) -> Result<u64, Error> {
        self.keep(log, || self.memory.logs.append(log, value, bytes))
    }

    /// Only entries that are on disk: who follows a log goes on after the offsets that it saw.
    fn read(&self, log: &str, offset: u64, limit: usize) -> Result<LogPage, Error> {
        loop {
            // Asked before the entries are read: what is finished then and still there is there to stay.
            let finished = self.writer.finished();
            let (page, group) = self.writer.look(|| self.memory.logs.read_with_group(log, offset, limit));
            if group <= finished {
                return Ok(page);
            }
            // A group that was refused is no error of the reader: its entries are gone from the next look.
            let _ = self.writer.wait_for(group);
        }
    }

    fn appended(&self, log: &str) -> Result<Arc<Event>, Error> {
        self.writer.look(|| self.memory.logs.appended(log))
    }

    fn configure(&self, log: &str, options: LogOptions) -> Result<(), Error> {
        self.keep(log, || self.memory.logs.configure(log, options))
    }

    fn status(&self, log: &str) -> Result<Option<LogStatus>, Error> {
        self.writer.look(|| self.memory.logs.status(log))
    }

    fn delete(&self, log: &str) -> Result<bool, Error> {
        self.keep(log, || self.memory.logs.delete(log))
    }

    fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        self.memory.logs.names()
    }
}
