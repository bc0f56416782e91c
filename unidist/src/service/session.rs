//! A client process at a store: what it holds, what it waits for, what it is to be told, and its newest answers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};

use event_listener::Event;
use parking_lot::Mutex;
use serde_json::Value;

use super::tasks::Task;
use super::watching::Watched;
use super::{Inner, fault};
use crate::engine::request::{self, Answer, RequestKey};
use crate::engine::{AddTicket, DeliveryTicket, Grant, HolderKey, LockTicket};
use crate::error::Error;
use crate::messagequeue::{Added, Delivery};
use crate::stop::Stop;
use crate::wait::{Patience, Ticket, Waited};
use crate::wire::ask::Note;

/// Waits, watches and followed logs of one session.
pub(super) const WAITS_MAX: usize = 100_000;
/// Requests of one session that are under way at once.
const LANES_MAX: usize = 100_000;
/// Held locks that are kept in mind before those that are over are looked for.
const HELD_MAX: usize = 1_024;

pub(crate) struct Session {
    name: Arc<str>,
    pub(super) process: u32,
    pub(super) service: Weak<Inner>,
    state: Mutex<State>,
    lanes: Mutex<HashMap<u32, Arc<Mutex<Lane>>>>,
    outbox: Mutex<VecDeque<Outcome>>,
    pub(super) told: Event,
}

#[derive(Default)]
struct State {
    connections: usize,
    is_over: bool,
    waits: HashMap<u64, Wait>,
    watches: HashMap<u64, Watch>,
    follows: HashMap<Arc<str>, Arc<Task>>,
    held: HashSet<(Arc<str>, u64)>,
    /// What an earlier owner granted, by the wait that asked: perhaps it did not come to tell.
    granted_before: HashMap<u64, Grant>,
}

/// The newest request of a lane.
#[derive(Default)]
struct Lane {
    number: u64,
    answer: Option<Result<Value, Value>>,
}

struct Wait {
    kind: WaitKind,
    task: Option<Arc<Task>>,
    /// Its answer is being told: nobody can leave the line any more.
    is_settling: bool,
}

/// What is waited for.
#[derive(Clone)]
pub(super) enum WaitKind {
    Lock { name: Arc<str>, ticket: Arc<LockTicket> },
    Message { queue: Arc<str>, ticket: Arc<DeliveryTicket> },
    Room { queue: Arc<str>, ticket: Arc<AddTicket> },
}

/// A watch: told once, then again after it was read.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) source: Arc<dyn Watched>,
    pub(super) is_armed: Arc<std::sync::atomic::AtomicBool>,
    task: Option<Arc<Task>>,
}

/// What the client is to be told; taken back when it is gone before.
pub(super) enum Outcome {
    Granted { wait: u64, grant: Grant },
    Delivered { wait: u64, queue: Arc<str>, delivery: Delivery },
    Added { wait: u64, added: Added },
    Failed { wait: u64, error: Error },
    Changed { wait: u64 },
    Appended { log: Arc<str> },
}

impl Session {
    pub(super) fn new(service: &Arc<Inner>, name: Arc<str>, process: u32) -> Arc<Self> {
        let (state, lanes, outbox, told) = (Mutex::default(), Mutex::default(), Mutex::default(), Event::new());
        Arc::new(Session { name, process, service: Arc::downgrade(service), state, lanes, outbox, told })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// One connection more; false when the session is over.
    pub(super) fn enter(&self) -> bool {
        let mut state = self.state.lock();
        if !state.is_over {
            state.connections += 1;
        }
        !state.is_over
    }

    /// One connection less; true when it was the last.
    pub(super) fn leave(&self) -> bool {
        let mut state = self.state.lock();
        state.connections = state.connections.saturating_sub(1);
        state.connections == 0
    }

    pub(super) fn has_connection(&self) -> bool {
        self.state.lock().connections > 0
    }

    /// Runs a request once: one that is repeated gets the answer of the first time.
    pub(super) fn once(
        &self,
        service: &Inner,
        (lane, number): (u32, u64),
        run: impl FnOnce() -> Result<Value, Error>,
    ) -> Result<Value, Value> {
        let slot = {
            let mut lanes = self.lanes.lock();
            if lanes.len() >= LANES_MAX && !lanes.contains_key(&lane) {
                return Err(fault(&Error::TooMany { what: "waits of one session", max: LANES_MAX }));
            }
            lanes.entry(lane).or_default().clone()
        };
        let mut slot = slot.lock();
        if let Some(answer) = slot.answer.as_ref().filter(|_| slot.number == number) {
            return answer.clone();
        }
        if number < slot.number {
            return Err(crate::wire::plain_fault("bad_request", "the lane is at a later request"));
        }
        let key = RequestKey { session: self.name.clone(), lane, number };
        let earlier =
            if slot.number == 0 { service.lasting.as_ref().and_then(|lasting| lasting.answered(&key)) } else { None };
        let answer = match earlier {
            Some(answer) => Ok(answer),
            None => request::on_behalf(self.process, Some(key), run).map_err(|error| fault(&error)),
        };
        *slot = Lane { number, answer: Some(answer.clone()) };
        answer
    }

    /// Notes a lock that the session has got by the request `wait`, before it is told.
    pub(super) fn hold(self: &Arc<Self>, service: &Inner, grant: &Grant, wait: u64) {
        let mut state = self.state.lock();
        if state.held.len() >= HELD_MAX {
            let locks = service.engine.locks();
            state.held.retain(|(name, fence)| locks.has_holder(name, HolderKey::Fence(*fence)));
        }
        state.held.insert((grant.name.clone(), grant.fence));
        drop(state);
        if let Some(kept) = &service.kept {
            kept.note(self, service, grant, wait);
        }
    }

    /// Notes again what an earlier owner of the store knew.
    #[cfg(feature = "file")]
    pub(super) fn hold_again(&self, grant: Grant, wait: u64) {
        let mut state = self.state.lock();
        state.held.insert((grant.name.clone(), grant.fence));
        state.granted_before.insert(wait, grant);
    }

    /// The lock that an earlier owner of the store granted to this wait, if it is still held.
    pub(super) fn granted_before(&self, service: &Inner, wait: u64) -> Option<Grant> {
        let grant = self.state.lock().granted_before.remove(&wait)?;
        service.engine.locks().has_holder(&grant.name, HolderKey::Fence(grant.fence)).then_some(grant)
    }

    /// Locks of this name that are free are not the session's any more.
    pub(super) fn let_go(&self, service: &Inner, name: &str) {
        let locks = service.engine.locks();
        let mut state = self.state.lock();
        state.held.retain(|(held, fence)| &**held != name || locks.has_holder(held, HolderKey::Fence(*fence)));
    }

    /// Begins to wait: what comes is told as `wait`.
    pub(super) fn wait(self: &Arc<Self>, service: &Arc<Inner>, wait: u64, kind: WaitKind) -> Result<(), Error> {
        {
            let mut state = self.state.lock();
            if state.waits.len() >= WAITS_MAX || state.is_over || state.waits.contains_key(&wait) {
                drop(state);
                self.undo(service, kind);
                return Err(Error::TooMany { what: "waits of one session", max: WAITS_MAX });
            }
            state.waits.insert(wait, Wait { kind: kind.clone(), task: None, is_settling: false });
        }
        let (session, weak) = (self.clone(), Arc::downgrade(service));
        let task = service.tasks.spawn(async move {
            let Some(service) = weak.upgrade() else { return };
            match kind {
                WaitKind::Lock { ticket, .. } => {
                    let granted = given(&service, &ticket).await;
                    session.settle(&service, wait, granted, |grant| Outcome::Granted { wait, grant });
                }
                WaitKind::Message { queue, ticket } => {
                    let delivered = given(&service, &ticket).await;
                    session.settle(&service, wait, delivered, |delivery| Outcome::Delivered { wait, queue, delivery });
                }
                WaitKind::Room { ticket, .. } => {
                    let added = given(&service, &ticket).await;
                    session.settle(&service, wait, added, |added| Outcome::Added { wait, added });
                }
            }
        });
        if let Some(found) = self.state.lock().waits.get_mut(&wait) {
            found.task = task;
        }
        Ok(())
    }

    fn settle<T>(
        self: &Arc<Self>,
        service: &Inner,
        wait: u64,
        result: Option<Result<T, Error>>,
        outcome: impl FnOnce(T) -> Outcome,
    ) {
        let Some(result) = result else { return };
        // It stays among the waits until it is told, so that whoever asks again finds it in one place or the other.
        let is_wanted = self.state.lock().waits.get_mut(&wait).map(|wait| wait.is_settling = true).is_some();
        let outcome = match result {
            Ok(value) => outcome(value),
            Err(error) => Outcome::Failed { wait, error },
        };
        if !is_wanted {
            return self.take_back(service, outcome);
        }
        if let Outcome::Granted { grant, .. } = &outcome {
            self.hold(service, grant, wait);
        }
        self.tell(outcome);
        self.state.lock().waits.remove(&wait);
    }

    /// Whether the wait is known, or its grant not yet told.
    pub(super) fn is_waiting(&self, wait: u64) -> bool {
        self.state.lock().waits.contains_key(&wait)
            || self
                .outbox
                .lock()
                .iter()
                .any(|untold| matches!(untold, Outcome::Granted { wait: told, .. } if *told == wait))
    }

    /// Leaves the line. None: the answer was told or is on its way.
    pub(super) fn cancel(&self, wait: u64) -> Option<WaitKind> {
        let mut state = self.state.lock();
        if state.waits.get(&wait)?.is_settling {
            return None;
        }
        let found = state.waits.remove(&wait)?;
        drop(state);
        if let Some(task) = found.task {
            task.abort();
        }
        Some(found.kind)
    }

    /// Begins a watch.
    pub(super) fn watch(self: &Arc<Self>, service: &Inner, wait: u64, source: Arc<dyn Watched>) -> Result<(), Error> {
        let is_armed = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let (session, watched, armed) = (Arc::downgrade(self), source.clone(), is_armed.clone());
        let task = service.tasks.spawn(async move {
            loop {
                let listener = watched.changed().listen();
                if watched.has_changes() && armed.swap(false, std::sync::atomic::Ordering::SeqCst) {
                    let Some(session) = session.upgrade() else { return };
                    session.tell(Outcome::Changed { wait });
                }
                listener.await;
            }
        });
        let mut state = self.state.lock();
        if state.watches.len() >= WAITS_MAX || state.is_over {
            drop(state);
            task.iter().for_each(|task| task.abort());
            return Err(Error::TooMany { what: "waits of one session", max: WAITS_MAX });
        }
        state.watches.insert(wait, Watch { source, is_armed, task });
        Ok(())
    }

    pub(super) fn watch_of(&self, wait: u64) -> Option<Watch> {
        self.state.lock().watches.get(&wait).cloned()
    }

    pub(super) fn end_watch(&self, wait: u64) {
        let watch = self.state.lock().watches.remove(&wait);
        if let Some(task) = watch.and_then(|watch| watch.task) {
            task.abort();
        }
    }

    /// Has the client told when the log has new entries.
    pub(super) fn follow(self: &Arc<Self>, service: &Inner, log: &str, appended: Arc<Event>) -> Result<(), Error> {
        let log: Arc<str> = Arc::from(log);
        let (session, followed) = (Arc::downgrade(self), log.clone());
        let mut state = self.state.lock();
        if state.follows.contains_key(&log) {
            return Ok(());
        }
        if state.follows.len() >= WAITS_MAX {
            return Err(Error::TooMany { what: "waits of one session", max: WAITS_MAX });
        }
        let task = service.tasks.spawn(async move {
            loop {
                let listener = appended.listen();
                let Some(session) = session.upgrade() else { return };
                session.tell(Outcome::Appended { log: followed.clone() });
                drop(session);
                listener.await;
            }
        });
        if let Some(task) = task {
            state.follows.insert(log, task);
        }
        Ok(())
    }

    pub(super) fn unfollow(&self, log: &str) {
        let task = self.state.lock().follows.remove(log);
        if let Some(task) = task {
            task.abort();
        }
    }

    fn tell(&self, outcome: Outcome) {
        let mut outbox = self.outbox.lock();
        if let Outcome::Appended { log } = &outcome
            && outbox.iter().any(|waiting| matches!(waiting, Outcome::Appended { log: told } if told == log))
        {
            return;
        }
        outbox.push_back(outcome);
        drop(outbox);
        self.told.notify(usize::MAX);
    }

    /// The next thing to tell; it counts as told.
    pub(super) fn next_note(&self) -> Option<Note> {
        let outcome = self.outbox.lock().pop_front()?;
        let answer = |answer: Option<Value>| answer.unwrap_or_default();
        Some(match outcome {
            Outcome::Granted { wait, grant } => Note::Done { wait, answer: Value::from(grant.fence) },
            Outcome::Delivered { wait, delivery, .. } => Note::Done { wait, answer: answer(delivery.to_answer()) },
            Outcome::Added { wait, added } => Note::Done { wait, answer: answer(added.to_answer()) },
            Outcome::Failed { wait, error } => Note::Failed { wait, error: fault(&error) },
            Outcome::Changed { wait } => Note::Changed { wait },
            Outcome::Appended { log } => Note::Appended { log: log.as_ref().to_owned() },
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.lock().is_over
    }

    /// The client is gone: frees what it held and takes back what it was not told.
    pub(super) fn end(self: &Arc<Self>) {
        let Some(service) = self.service.upgrade() else { return };
        let (waits, held) = self.stop_waiting();
        for kind in waits {
            self.undo(&service, kind);
        }
        let untold = std::mem::take(&mut *self.outbox.lock());
        for outcome in untold {
            self.take_back(&service, outcome);
        }
        for (name, fence) in held {
            // Those that are over are no longer there to be released.
            let _ = service.engine.locks().release(&name, HolderKey::Fence(fence));
        }
        if let Some(lasting) = &service.lasting {
            let lanes: Vec<u32> = self.lanes.lock().keys().copied().collect();
            lasting.forget_answers(&self.name, &lanes);
        }
        if let Some(kept) = &service.kept {
            kept.forget(&self.name);
        }
    }

    /// The store is closed here; another process may go on serving the session, so what it holds stays noted and what
    /// was delivered to it stays remembered.
    pub(super) fn close(self: &Arc<Self>) {
        let (waits, _) = self.stop_waiting();
        let Some(service) = self.service.upgrade() else { return };
        for kind in waits {
            if let WaitKind::Message { queue, ticket } = &kind
                && ticket.request().is_some()
            {
                drop(service.engine.queues().cancel(queue, ticket));
                continue;
            }
            self.undo(&service, kind);
        }
    }

    fn stop_waiting(&self) -> (Vec<WaitKind>, HashSet<(Arc<str>, u64)>) {
        let mut state = self.state.lock();
        state.is_over = true;
        let waits = std::mem::take(&mut state.waits);
        let watches = std::mem::take(&mut state.watches);
        let follows = std::mem::take(&mut state.follows);
        let held = std::mem::take(&mut state.held);
        drop(state);
        self.told.notify(usize::MAX);
        let tasks = watches.into_values().filter_map(|watch| watch.task).chain(follows.into_values());
        tasks.for_each(|task| task.abort());
        let mut kinds = Vec::new();
        for wait in waits.into_values() {
            wait.task.iter().for_each(|task| task.abort());
            kinds.push(wait.kind);
        }
        (kinds, held)
    }

    /// Leaves a line in which nobody stands any more, and returns what came at the last moment.
    fn undo(&self, service: &Inner, kind: WaitKind) {
        match kind {
            WaitKind::Lock { name, ticket } => {
                if let Some(Ok(grant)) = service.engine.locks().cancel(&name, &ticket) {
                    let _ = service.engine.locks().release(&grant.name, HolderKey::Fence(grant.fence));
                }
            }
            WaitKind::Message { queue, ticket } => {
                if let Some(Ok(delivery)) = service.engine.queues().cancel(&queue, &ticket) {
                    service.engine.queues().give_back(&queue, delivery);
                }
            }
            WaitKind::Room { queue, ticket } => drop(service.engine.queues().cancel_add(&queue, &ticket)),
        }
    }

    fn take_back(&self, service: &Inner, outcome: Outcome) {
        match outcome {
            Outcome::Granted { grant, .. } => {
                let _ = service.engine.locks().release(&grant.name, HolderKey::Fence(grant.fence));
            }
            Outcome::Delivered { queue, delivery, .. } => service.engine.queues().give_back(&queue, delivery),
            _ => {}
        }
    }
}

/// What the ticket is given; none only when the service ends.
async fn given<T>(service: &Inner, ticket: &Ticket<T>) -> Option<T> {
    let stop = Stop::new();
    match ticket.wait(Patience::new(service.engine.timers(), None, &stop)).await {
        Waited::Done(value) => Some(value),
        Waited::TimeOver | Waited::Stopped => None,
    }
}
