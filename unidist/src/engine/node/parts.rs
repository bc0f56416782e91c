//! The shared things of another process's store. Names that begin with `__` are this process's own.

use std::sync::Arc;
use std::time::Duration;

use event_listener::Event;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::NodeEngine;
use super::waits::AnyTicket;
use super::watch::{RemoteWatch, Told};
use crate::engine::request::Turn;
use crate::engine::{
    AddAnswer, AddTicket, Condition, CounterValues, Counters, DeliveryTicket, Edge, Grant, HolderKey, LockAnswer,
    LockTicket, Locks, Logs, Queues, State, StateWrite, TakeAnswer, Verdict, Want,
};
use crate::error::Error;
use crate::messagequeue::{Added, Delivery, Message, NewMessage, QueueOptions, QueueStatus};
use crate::name::is_private;
use crate::sharedlock::{LockInfo, LockRequest, Owner};
use crate::sharedlog::{LogOptions, LogPage, LogStatus};
use crate::sharedstate::{Compared, KeyFilter, Search, StateEntry};
use crate::wait::Ticket;
use crate::watch::{CounterEvent, NameFilter, QueueEvent, WatchEvent, WatchFilter, WatchSource};
use crate::wire::ask::{AddAsk, Ask, HolderAsk, LockAsk, SetAsk, VerdictAsk};

fn owned(name: &str) -> String {
    name.to_owned()
}

impl NodeEngine {
    fn watch_there<E: WatchEvent + DeserializeOwned>(
        &self,
        wait: u64,
        ask: &Ask,
    ) -> Result<Arc<dyn WatchSource<E>>, Error> {
        let revision: u64 = self.client.ask(ask)?;
        let watch = RemoteWatch::new(self.client.clone(), wait, revision);
        let told: Arc<dyn Told> = watch.clone();
        self.client.add_watch(wait, Arc::downgrade(&told))?;
        Ok(watch)
    }
}

impl Counters for NodeEngine {
    fn get(&self, name: &str) -> Result<i64, Error> {
        if is_private(name) {
            return self.local.counters.get(name);
        }
        self.client.ask(&Ask::CounterGet { name: owned(name) })
    }

    fn swap(&self, name: &str, value: i64) -> Result<i64, Error> {
        if is_private(name) {
            return self.local.counters.swap(name, value);
        }
        self.client.ask(&Ask::CounterSwap { name: owned(name), value })
    }

    fn add(&self, name: &str, by: i128) -> Result<i64, Error> {
        if is_private(name) {
            return self.local.counters.add(name, by);
        }
        self.client.ask(&Ask::CounterAdd { name: owned(name), by })
    }

    fn remove(&self, name: &str) -> Result<bool, Error> {
        if is_private(name) {
            return self.local.counters.remove(name);
        }
        self.client.ask(&Ask::CounterRemove { name: owned(name) })
    }

    fn all(&self) -> Result<Vec<(Arc<str>, i64)>, Error> {
        let mut all: Vec<(Arc<str>, i64)> = self.client.ask(&Ask::CounterAll {})?;
        all.extend(self.local.counters.all()?);
        Ok(all)
    }

    /// Without those of this process alone, which have revisions of their own.
    fn snapshot(&self) -> Result<CounterValues, Error> {
        self.client.ask(&Ask::CounterSnapshot {})
    }

    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<CounterEvent>>, Error> {
        if filter.only().is_some_and(is_private) {
            return self.local.counters.watch(filter, from);
        }
        let wait = self.client.next_wait();
        self.watch_there(wait, &Ask::CounterWatch { wait, filter, from })
    }
}

impl Locks for NodeEngine {
    fn request(&self, request: &LockRequest<'_>) -> Result<LockAnswer, Error> {
        if is_private(request.name) {
            return self.local.locks.request(request);
        }
        self.client.show_life()?;
        let (wait, ticket) = (self.client.next_wait(), Ticket::new());
        let ask = Ask::Lock(LockAsk {
            name: owned(request.name),
            owner: request.owner.and_then(Owner::name).map(|name| name.to_string()),
            lease: request.lease,
            permits: request.permits,
            rank: request.rank,
            may_wait: request.may_wait,
            wait,
        });
        let name: Arc<str> = Arc::from(request.name);
        let answer = self.client.ask_waiting(wait, ask, AnyTicket::Lock(name.clone(), ticket.clone()))?;
        match answer.map(|answer| self.client.read::<Turn<u64>>(answer)).transpose()? {
            Some(Turn::Done(fence)) => Ok(LockAnswer::Granted(Grant { name, fence })),
            _ => Ok(LockAnswer::Waiting(ticket)),
        }
    }

    fn cancel(&self, name: &str, ticket: &Arc<LockTicket>) -> Option<Result<Grant, Error>> {
        if is_private(name) {
            return self.local.locks.cancel(name, ticket);
        }
        let came = ticket.close();
        if came.is_none() {
            self.client.cancel_wait(Arc::as_ptr(ticket).addr());
        }
        came
    }

    fn release(&self, name: &str, holder: HolderKey<'_>) -> Result<(), Error> {
        if is_private(name) {
            return self.local.locks.release(name, holder);
        }
        self.client.ask(&Ask::LockRelease { name: owned(name), holder: HolderAsk::of(holder) })
    }

    fn release_all(&self, owner: &Owner) -> Result<usize, Error> {
        let ours = self.local.locks.release_all(owner)?;
        let Some(name) = owner.name() else { return Ok(ours) };
        let there: usize = self.client.ask(&Ask::LockReleaseAll { owner: name.to_string() })?;
        Ok(ours + there)
    }

    fn force_release(&self, name: &str) -> Result<Vec<LockInfo>, Error> {
        if is_private(name) {
            return self.local.locks.force_release(name);
        }
        self.client.ask(&Ask::LockForceRelease { name: owned(name) })
    }

    fn renew(&self, name: &str, holder: HolderKey<'_>, lease: Option<Duration>) -> Result<(), Error> {
        if is_private(name) {
            return self.local.locks.renew(name, holder, lease);
        }
        self.client.ask(&Ask::LockRenew { name: owned(name), holder: HolderAsk::of(holder), lease })
    }

    fn has_holder(&self, name: &str, holder: HolderKey<'_>) -> bool {
        if is_private(name) {
            return self.local.locks.has_holder(name, holder);
        }
        self.client.ask(&Ask::LockHas { name: owned(name), holder: HolderAsk::of(holder) }).unwrap_or(false)
    }

    fn holders(&self, name: &str) -> Result<Vec<LockInfo>, Error> {
        if is_private(name) {
            return self.local.locks.holders(name);
        }
        self.client.ask(&Ask::LockHolders { name: owned(name) })
    }

    fn waiting(&self, name: &str) -> Result<usize, Error> {
        if is_private(name) {
            return self.local.locks.waiting(name);
        }
        self.client.ask(&Ask::LockWaiting { name: owned(name) })
    }

    fn all(&self) -> Result<Vec<LockInfo>, Error> {
        let mut all: Vec<LockInfo> = self.client.ask(&Ask::LockAll {})?;
        all.extend(self.local.locks.all()?);
        Ok(all)
    }
}

/// A value is sent in a list, so that null is not the same as none.
fn compared(sent: Compared<Option<[Arc<Value>; 1]>>) -> Compared<Option<Arc<Value>>> {
    match sent {
        Compared::Set(revision, before) => Compared::Set(revision, before.map(|[value]| value)),
        Compared::Differs(revision) => Compared::Differs(revision),
    }
}

impl State for NodeEngine {
    fn get(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error> {
        if is_private(bucket) {
            return self.local.state.get(bucket, key);
        }
        Ok(self.entry(bucket, key)?.map(|entry| entry.value))
    }

    fn entry(&self, bucket: &str, key: &str) -> Result<Option<StateEntry>, Error> {
        if is_private(bucket) {
            return self.local.state.entry(bucket, key);
        }
        self.client.ask(&Ask::StateEntry { bucket: owned(bucket), key: owned(key) })
    }

    fn set(&self, write: StateWrite<'_>, condition: Condition) -> Result<Compared<Option<Arc<Value>>>, Error> {
        if is_private(write.bucket) {
            return self.local.state.set(write, condition);
        }
        let revision = match condition {
            Condition::Always => None,
            Condition::Revision(revision) => Some(revision),
        };
        let StateWrite { bucket, key, value, options, wants_before, .. } = write;
        let (bucket, key, time_to_live) = (owned(bucket), owned(key), options.time_to_live);
        let ask = Ask::StateSet(SetAsk { bucket, key, value, time_to_live, revision, wants_before });
        Ok(compared(self.client.ask(&ask)?))
    }

    fn remove(&self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error> {
        if is_private(bucket) {
            return self.local.state.remove(bucket, key);
        }
        let removed: Option<[Arc<Value>; 1]> =
            self.client.ask(&Ask::StateRemove { bucket: owned(bucket), key: owned(key) })?;
        Ok(removed.map(|[value]| value))
    }

    fn compare_and_remove(
        &self,
        bucket: &str,
        key: &str,
        revision: u64,
    ) -> Result<Compared<Option<Arc<Value>>>, Error> {
        if is_private(bucket) {
            return self.local.state.compare_and_remove(bucket, key, revision);
        }
        let ask = Ask::StateCompareAndRemove { bucket: owned(bucket), key: owned(key), revision };
        Ok(compared(self.client.ask(&ask)?))
    }

    fn remove_bucket(&self, bucket: &str) -> Result<usize, Error> {
        if is_private(bucket) {
            return self.local.state.remove_bucket(bucket);
        }
        self.client.ask(&Ask::StateRemoveBucket { bucket: owned(bucket) })
    }

    fn scan(&self, filter: &KeyFilter<'_>) -> Result<(Vec<StateEntry>, u64), Error> {
        if filter.one_bucket.is_some_and(is_private) {
            return self.local.state.scan(filter);
        }
        let ask = Ask::StateScan { bucket: filter.one_bucket.map(owned) };
        let (mut entries, revision): (Vec<StateEntry>, u64) = self.client.ask(&ask)?;
        entries.retain(|entry| (filter.bucket)(&entry.bucket) && (filter.key)(&entry.key));
        if filter.one_bucket.is_none() {
            entries.extend(self.local.state.scan(filter)?.0);
        }
        Ok((entries, revision))
    }

    fn search(&self, search: &Search) -> Option<Result<Vec<StateEntry>, Error>> {
        let there = self.client.ask::<Vec<StateEntry>>(&Ask::StateSearch { search: search.clone() });
        Some(there.and_then(|mut found| {
            // The caller looks at what they hold.
            let all = KeyFilter { bucket: &|_| true, key: &|_| true, one_bucket: None };
            found.extend(self.local.state.scan(&all)?.0);
            Ok(found)
        }))
    }

    fn buckets(&self) -> Result<Vec<Arc<str>>, Error> {
        let mut names: Vec<Arc<str>> = self.client.ask(&Ask::StateBuckets {})?;
        names.extend(self.local.state.buckets()?);
        Ok(names)
    }

    fn revision(&self) -> Result<u64, Error> {
        self.client.ask(&Ask::StateRevision {})
    }

    fn watch(&self, filter: WatchFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource>, Error> {
        if filter.bucket.as_deref().is_some_and(is_private) {
            return self.local.state.watch(filter, from);
        }
        let wait = self.client.next_wait();
        self.watch_there(wait, &Ask::Watch { wait, filter, from })
    }
}

impl Queues for NodeEngine {
    fn add(&self, queue: &str, message: NewMessage, may_wait: bool) -> Result<AddAnswer, Error> {
        if is_private(queue) {
            return self.local.queues.add(queue, message, may_wait);
        }
        let (wait, ticket) = (self.client.next_wait(), Ticket::new());
        let NewMessage { message, priority, delay, id } = message;
        let ask = Ask::QueueAdd(AddAsk {
            queue: owned(queue),
            message: Arc::unwrap_or_clone(message),
            priority,
            delay,
            id: id.map(|id| id.to_string()),
            may_wait,
            wait,
        });
        let answer = self.client.ask_waiting(wait, ask, AnyTicket::Room(ticket.clone()))?;
        match answer.map(|answer| self.client.read::<Turn<Added>>(answer)).transpose()? {
            Some(Turn::Done(added)) => Ok(AddAnswer::Added(added)),
            _ => Ok(AddAnswer::Waiting(ticket)),
        }
    }

    fn cancel_add(&self, queue: &str, ticket: &Arc<AddTicket>) -> Option<Result<Added, Error>> {
        if is_private(queue) {
            return self.local.queues.cancel_add(queue, ticket);
        }
        // Closed last: a message that is in at the last moment is to be told.
        self.client.cancel_wait(Arc::as_ptr(ticket).addr());
        ticket.close()
    }

    fn request(&self, queue: &str, want: Want, may_wait: bool) -> Result<TakeAnswer, Error> {
        if is_private(queue) {
            return self.local.queues.request(queue, want, may_wait);
        }
        let (wait, ticket) = (self.client.next_wait(), Ticket::new());
        let ask = Ask::QueueRequest { queue: owned(queue), want, may_wait, wait };
        let answer = self.client.ask_waiting(wait, ask, AnyTicket::Message(Arc::from(queue), ticket.clone()))?;
        match answer.map(|answer| self.client.read::<Turn<Delivery>>(answer)).transpose()? {
            Some(Turn::Done(delivery)) => Ok(TakeAnswer::Delivered(delivery)),
            Some(Turn::Empty) => Ok(TakeAnswer::Empty),
            _ => Ok(TakeAnswer::Waiting(ticket)),
        }
    }

    fn cancel(&self, queue: &str, ticket: &Arc<DeliveryTicket>) -> Option<Result<Delivery, Error>> {
        if is_private(queue) {
            return self.local.queues.cancel(queue, ticket);
        }
        // Closed last: a message that came at the last moment is the caller's.
        self.client.cancel_wait(Arc::as_ptr(ticket).addr());
        ticket.close()
    }

    fn give_back(&self, queue: &str, delivery: Delivery) {
        if is_private(queue) {
            return self.local.queues.give_back(queue, delivery);
        }
        // An owner that can't be reached has nobody to give it to: of a claim, the lease ends.
        let _ = self.client.ask::<Value>(&Ask::QueueGiveBack { queue: owned(queue), delivery });
    }

    fn settle_claim(&self, queue: &str, id: &str, attempt: Option<u32>, verdict: Verdict<'_>) -> Result<(), Error> {
        if is_private(queue) {
            return self.local.queues.settle_claim(queue, id, attempt, verdict);
        }
        let verdict = match verdict {
            Verdict::Acknowledge => VerdictAsk::Acknowledge,
            Verdict::Fail { reason, delay } => VerdictAsk::Fail { reason: owned(reason), delay },
            Verdict::Extend(lease) => VerdictAsk::Extend(lease),
        };
        self.client.ask(&Ask::QueueSettle { queue: owned(queue), id: owned(id), attempt, verdict })
    }

    fn peek(&self, queue: &str, limit: usize) -> Result<Vec<Message>, Error> {
        if is_private(queue) {
            return self.local.queues.peek(queue, limit);
        }
        self.client.ask(&Ask::QueuePeek { queue: owned(queue), limit })
    }

    fn edge(&self, queue: &str, edge: Edge) -> Result<Option<Message>, Error> {
        if is_private(queue) {
            return self.local.queues.edge(queue, edge);
        }
        self.client.ask(&Ask::QueueEdge { queue: owned(queue), edge })
    }

    fn remove(&self, queue: &str, id: &str) -> Result<bool, Error> {
        if is_private(queue) {
            return self.local.queues.remove(queue, id);
        }
        self.client.ask(&Ask::QueueRemove { queue: owned(queue), id: owned(id) })
    }

    fn purge(&self, queue: &str) -> Result<usize, Error> {
        if is_private(queue) {
            return self.local.queues.purge(queue);
        }
        self.client.ask(&Ask::QueuePurge { queue: owned(queue) })
    }

    fn delete(&self, queue: &str) -> Result<bool, Error> {
        if is_private(queue) {
            return self.local.queues.delete(queue);
        }
        self.client.ask(&Ask::QueueDelete { queue: owned(queue) })
    }

    fn configure(&self, queue: &str, options: QueueOptions) -> Result<(), Error> {
        if is_private(queue) {
            return self.local.queues.configure(queue, options);
        }
        self.client.ask(&Ask::QueueConfigure { queue: owned(queue), options })
    }

    fn status(&self, queue: &str) -> Result<Option<QueueStatus>, Error> {
        if is_private(queue) {
            return self.local.queues.status(queue);
        }
        self.client.ask(&Ask::QueueStatus { queue: owned(queue) })
    }

    fn snapshot(&self, queue: &str) -> Result<(Option<QueueStatus>, u64), Error> {
        if is_private(queue) {
            return self.local.queues.snapshot(queue);
        }
        self.client.ask(&Ask::QueueSnapshot { queue: owned(queue) })
    }

    fn watch(&self, filter: NameFilter, from: Option<u64>) -> Result<Arc<dyn WatchSource<QueueEvent>>, Error> {
        if filter.only().is_some_and(is_private) {
            return self.local.queues.watch(filter, from);
        }
        let wait = self.client.next_wait();
        self.watch_there(wait, &Ask::QueueWatch { wait, filter, from })
    }

    fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        let mut names: Vec<Arc<str>> = self.client.ask(&Ask::QueueNames {})?;
        names.extend(self.local.queues.names()?);
        Ok(names)
    }
}

impl Logs for NodeEngine {
    fn append(&self, log: &str, value: Value, bytes: usize) -> Result<u64, Error> {
        if is_private(log) {
            return self.local.logs.append(log, value, bytes);
        }
        self.client.ask(&Ask::LogAppend { log: owned(log), value })
    }

    fn read(&self, log: &str, offset: u64, limit: usize) -> Result<LogPage, Error> {
        if is_private(log) {
            return self.local.logs.read(log, offset, limit);
        }
        self.client.ask(&Ask::LogRead { log: owned(log), offset, limit })
    }

    fn appended(&self, log: &str) -> Result<Arc<Event>, Error> {
        if is_private(log) {
            return self.local.logs.appended(log);
        }
        self.client.follow(log)
    }

    fn configure(&self, log: &str, options: LogOptions) -> Result<(), Error> {
        if is_private(log) {
            return self.local.logs.configure(log, options);
        }
        self.client.ask(&Ask::LogConfigure { log: owned(log), options })
    }

    fn status(&self, log: &str) -> Result<Option<LogStatus>, Error> {
        if is_private(log) {
            return self.local.logs.status(log);
        }
        self.client.ask(&Ask::LogStatus { log: owned(log) })
    }

    fn delete(&self, log: &str) -> Result<bool, Error> {
        if is_private(log) {
            return self.local.logs.delete(log);
        }
        self.client.ask(&Ask::LogDelete { log: owned(log) })
    }

    fn names(&self) -> Result<Vec<Arc<str>>, Error> {
        let mut names: Vec<Arc<str>> = self.client.ask(&Ask::LogNames {})?;
        names.extend(self.local.logs.names()?);
        Ok(names)
    }
}
