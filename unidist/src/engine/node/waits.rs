//! What this process waits for at the owner: tickets, watches and followed logs, and the thread that reads the notes.
//!
//! A wait that the owner knows is at one opening of the store. When the notes come from another opening, the waits of
//! the one before are asked for anew, by whoever finds out: the thread those that are settled, a caller its own.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use event_listener::Event;
use parking_lot::{Condvar, Mutex};
use serde_json::Value;

use super::client::{Client, Request};
use super::connection::{Broken, Connection};
use super::lanes::Lane;
use super::watch::Told;
use crate::engine::request::Turn;
use crate::engine::{AddTicket, DeliveryTicket, Grant, LockTicket};
use crate::error::Error;
use crate::messagequeue::{Added, Delivery};
use crate::wire::ask::{Ask, HolderAsk, Note};
use crate::wire::error_of;

/// How long one who gives up waits for a note that is on its way.
const NOTE_MAX: Duration = Duration::from_secs(10);
/// How long the thread looks for a new owner at a time.
const REACH_MAX: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Waits {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Default)]
struct State {
    last: u64,
    pending: HashMap<u64, Pending>,
    /// Waits by the address of their ticket.
    by_ticket: HashMap<usize, u64>,
    watches: HashMap<u64, Weak<dyn Told>>,
    follows: HashMap<String, Arc<Event>>,
    /// A wait whose answer is being given.
    settling: Option<u64>,
    has_thread: bool,
    is_closed: bool,
    /// Where notes come from.
    opening: Option<Arc<str>>,
    stream: Option<UnixStream>,
}

impl State {
    fn forget(&mut self, wait: u64) -> Option<Pending> {
        let pending = self.pending.remove(&wait)?;
        self.by_ticket.remove(&pending.ticket.address());
        Some(pending)
    }
}

struct Pending {
    ask: Ask,
    lane: Option<Lane>,
    ticket: AnyTicket,
    /// Which opening of the store knows of it; none: a caller is asking.
    opening: Option<Arc<str>>,
    /// Nobody wants it any more. At another opening it is asked for still, because the one before may have answered it,
    /// and left as soon as it is known there.
    is_left: bool,
}

/// Where the answer goes.
#[derive(Clone)]
pub(super) enum AnyTicket {
    Lock(Arc<str>, Arc<LockTicket>),
    Message(Arc<str>, Arc<DeliveryTicket>),
    Room(Arc<AddTicket>),
}

impl AnyTicket {
    fn address(&self) -> usize {
        match self {
            AnyTicket::Lock(_, ticket) => Arc::as_ptr(ticket).addr(),
            AnyTicket::Message(_, ticket) => Arc::as_ptr(ticket).addr(),
            AnyTicket::Room(ticket) => Arc::as_ptr(ticket).addr(),
        }
    }

    /// The request that leaves the line.
    fn cancel(&self, wait: u64) -> Ask {
        match self {
            AnyTicket::Lock(..) => Ask::LockCancel { wait },
            AnyTicket::Message(..) => Ask::QueueCancel { wait },
            AnyTicket::Room(_) => Ask::QueueAddCancel { wait },
        }
    }

    fn fail(&self, error: Error) {
        // One who gave up does not need the error.
        match self {
            AnyTicket::Lock(_, ticket) => drop(ticket.give(Err(error))),
            AnyTicket::Message(_, ticket) => drop(ticket.give(Err(error))),
            AnyTicket::Room(ticket) => drop(ticket.give(Err(error))),
        }
    }
}

impl Client {
    /// The number of the next wait.
    pub(super) fn next_wait(&self) -> u64 {
        let mut state = self.waits.state.lock();
        state.last += 1;
        state.last
    }

    /// Asks for what may have to wait, under `wait`, which is in `ask`. None: the ticket will be given the answer.
    pub(super) fn ask_waiting(
        self: &Arc<Self>,
        wait: u64,
        ask: Ask,
        ticket: AnyTicket,
    ) -> Result<Option<Value>, Error> {
        let lane = ask.is_change().then(|| self.enter_lane());
        {
            let mut state = self.waits.state.lock();
            state.by_ticket.insert(ticket.address(), wait);
            let pending = Pending { ask: ask.clone(), lane, ticket: ticket.clone(), opening: None, is_left: false };
            state.pending.insert(wait, pending);
        }
        loop {
            match self.request(&Request { ask: &ask, lane }) {
                Err(error) => {
                    self.waits.forget(wait);
                    return Err(self.give_lane(lane, error));
                }
                Ok((answer, _)) if !is_waiting(&answer) => {
                    self.waits.forget(wait);
                    lane.into_iter().for_each(|lane| self.leave_lane(lane));
                    return Ok(Some(answer));
                }
                Ok((_, opening)) => {
                    self.start_notes()?;
                    let mut state = self.waits.state.lock();
                    let is_current = state.opening.as_ref().is_none_or(|current| *current == opening.name);
                    // A thread that gave up meanwhile does not know of this one.
                    let is_current = is_current && state.has_thread;
                    let Some(pending) = state.pending.get_mut(&wait) else {
                        // Answered meanwhile, by a note after the first of two questions.
                        drop(state);
                        self.leave_line(wait, &ticket);
                        return Ok(None);
                    };
                    if is_current {
                        pending.opening = Some(opening.name);
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn give_lane(&self, lane: Option<Lane>, error: Error) -> Error {
        lane.into_iter().for_each(|lane| self.leave_lane(lane));
        error
    }

    /// Whether the ticket at this address is waited for.
    #[cfg(feature = "file")]
    pub(super) fn has_wait(&self, address: usize) -> bool {
        self.waits.state.lock().by_ticket.contains_key(&address)
    }

    /// Leaves the line of this ticket, which is closed already. What came at the last moment is taken back before this
    /// returns.
    pub(super) fn cancel_wait(self: &Arc<Self>, address: usize) {
        let found = {
            let mut state = self.waits.state.lock();
            let wait = state.by_ticket.get(&address).copied();
            wait.and_then(|wait| {
                let pending = state.pending.get_mut(&wait)?;
                pending.is_left = true;
                Some((wait, pending.ticket.clone()))
            })
        };
        let Some((wait, ticket)) = found else { return };
        if !self.leave_line(wait, &ticket) {
            self.waits.wait_until_settled(wait);
        }
    }

    /// False: the answer is on its way, or the owner does not know the wait yet.
    fn leave_line(&self, wait: u64, ticket: &AnyTicket) -> bool {
        match self.request(&Request { ask: &ticket.cancel(wait), lane: None }) {
            Ok((answer, _)) if is_waiting(&answer) => return false,
            Ok((answer, _)) => {
                let lane = self.waits.forget(wait).and_then(|pending| pending.lane);
                self.settle(ticket, lane, Ok(answer));
            }
            // The owner is gone, and with it the line.
            Err(_) => drop(self.waits.forget(wait)),
        }
        self.waits.settled.notify_all();
        true
    }

    /// Gives an answer to who waits; what nobody wants goes back.
    fn settle(&self, ticket: &AnyTicket, lane: Option<Lane>, answer: Result<Value, Error>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return ticket.fail(self.give_lane(lane, error)),
        };
        match ticket {
            AnyTicket::Lock(name, ticket) => {
                let granted = match answer.as_u64() {
                    Some(fence) => Some(fence),
                    None => self.read::<Turn<u64>>(answer).ok().and_then(done),
                };
                let Some(fence) = granted else { return };
                if ticket.give(Ok(Grant { name: name.clone(), fence })).is_err() {
                    let holder = HolderAsk::Fence(fence);
                    // One who can't be reached has freed it.
                    let _ = self.ask::<Value>(&Ask::LockRelease { name: name.to_string(), holder });
                }
            }
            AnyTicket::Message(queue, ticket) => {
                if let Some(delivery) = self.read::<Turn<Delivery>>(answer).ok().and_then(done)
                    && let Err(Ok(delivery)) = ticket.give(Ok(delivery))
                {
                    let _ = self.ask::<Value>(&Ask::QueueGiveBack { queue: queue.to_string(), delivery });
                }
            }
            AnyTicket::Room(ticket) => {
                if let Some(added) = self.read::<Turn<Added>>(answer).ok().and_then(done) {
                    // One who gave up learns it from the queue.
                    let _ = ticket.give(Ok(added));
                }
            }
        }
        lane.into_iter().for_each(|lane| self.leave_lane(lane));
    }

    /// Registers a watch that the owner knows.
    pub(super) fn add_watch(self: &Arc<Self>, wait: u64, watch: Weak<dyn Told>) -> Result<(), Error> {
        self.waits.state.lock().watches.insert(wait, watch);
        self.start_notes()
    }

    pub(super) fn remove_watch(&self, wait: u64) {
        self.waits.state.lock().watches.remove(&wait);
    }

    /// The event that is notified when the log has new entries.
    pub(super) fn follow(self: &Arc<Self>, log: &str) -> Result<Arc<Event>, Error> {
        let event = {
            let mut state = self.waits.state.lock();
            if let Some(event) = state.follows.get(log) {
                return Ok(event.clone());
            }
            let event = Arc::new(Event::new());
            state.follows.insert(log.to_owned(), event.clone());
            event
        };
        self.start_notes()?;
        let followed = self.ask::<Value>(&Ask::LogFollow { log: log.to_owned() });
        if let Err(error) = followed {
            self.waits.state.lock().follows.remove(log);
            return Err(error);
        }
        Ok(event)
    }

    /// Starts the thread that reads notes.
    fn start_notes(self: &Arc<Self>) -> Result<(), Error> {
        let mut state = self.waits.state.lock();
        if state.has_thread {
            return Ok(());
        }
        let weak = Arc::downgrade(self);
        let started = std::thread::Builder::new().name("unidist notes".to_owned()).spawn(move || run(&weak));
        started.map_err(|error| self.unreachable(&format!("no thread can be started: {error}")))?;
        state.has_thread = true;
        Ok(())
    }

    /// The connection that brings notes, of the owner that is there.
    fn connect_notes(&self) -> Result<Connection, Error> {
        let line = crate::wire::line_of(&serde_json::json!({"id": 1, "call": "node.events"}));
        let begin = Instant::now();
        let (connection, stream) = loop {
            let mut connection = self.open(REACH_MAX)?;
            let begun = connection.send(&line).and_then(|()| connection.wait_for_ever());
            match begun {
                Ok(stream) => break (connection, stream),
                // An owner that is just ending: another one comes.
                Err(Broken::Gone) if begin.elapsed() < REACH_MAX && !self.closing.is_requested() => {}
                Err(_) => return Err(self.unreachable("it went away")),
            }
        };
        let mut state = self.waits.state.lock();
        if state.is_closed {
            return Err(self.unreachable("the store is closed here"));
        }
        state.stream = Some(stream);
        Ok(connection)
    }

    /// Asks an opening anew for what an earlier one knew.
    fn resume(&self, opening: &Arc<str>) {
        let (mut stale, watches, follows) = {
            let mut state = self.waits.state.lock();
            state.opening = Some(opening.clone());
            let mut stale = Vec::new();
            for (wait, pending) in &mut state.pending {
                if pending.opening.as_ref().is_some_and(|known| known != opening) {
                    pending.opening = Some(opening.clone());
                    stale.push((*wait, pending.ask.clone(), pending.lane, pending.ticket.clone()));
                }
            }
            let watches: Vec<Arc<dyn Told>> = state.watches.values().filter_map(Weak::upgrade).collect();
            (stale, watches, state.follows.clone())
        };
        // In the order in which they came.
        stale.sort_by_key(|(wait, ..)| *wait);
        for (wait, ask, lane, ticket) in stale {
            self.ask_anew(wait, &Request { ask: &ask, lane }, &ticket);
        }
        for watch in watches {
            watch.told();
        }
        for (log, event) in follows {
            // One whose log can't be followed finds out when it reads.
            let _ = self.ask::<Value>(&Ask::LogFollow { log });
            event.notify(usize::MAX);
        }
    }

    fn ask_anew(&self, wait: u64, request: &Request<'_>, ticket: &AnyTicket) {
        if !self.waits.state.lock().pending.contains_key(&wait) {
            return;
        }
        let answer = match self.request(request) {
            Ok((answer, _)) if is_waiting(&answer) => {
                if self.waits.is_left(wait) {
                    self.leave_line(wait, ticket);
                }
                return;
            }
            Ok((answer, _)) => Ok(answer),
            Err(error) => Err(error),
        };
        // Also for one who left meanwhile: what it was given goes back.
        let lane = self.waits.forget(wait).and_then(|pending| pending.lane);
        self.settle(ticket, lane, answer);
        self.waits.settled.notify_all();
    }

    /// There is no owner and will be none: whoever waits is told. The next wait begins anew.
    fn give_up(&self, error: &Error) {
        let (known, watches, follows) = {
            let mut state = self.waits.state.lock();
            state.has_thread = false;
            state.opening = None;
            let waits: Vec<u64> = state.pending.iter().filter(|(_, it)| it.opening.is_some()).map(|it| *it.0).collect();
            let known: Vec<Pending> = waits.iter().filter_map(|wait| state.forget(*wait)).collect();
            let watches: Vec<Arc<dyn Told>> = state.watches.values().filter_map(Weak::upgrade).collect();
            (known, watches, std::mem::take(&mut state.follows))
        };
        for pending in known {
            self.settle(&pending.ticket, pending.lane, Err(error.clone()));
        }
        self.waits.settled.notify_all();
        // They read, and meet the error themselves.
        watches.iter().for_each(|watch| watch.told());
        for event in follows.values() {
            event.notify(usize::MAX);
        }
    }

    fn take_note(&self, note: Note) {
        match note {
            Note::Done { wait, answer } => self.settle_note(wait, Ok(answer)),
            Note::Failed { wait, error } => self.settle_note(wait, Err(error_of(&error))),
            Note::Changed { wait } => {
                let watch = self.waits.state.lock().watches.get(&wait).and_then(Weak::upgrade);
                if let Some(watch) = watch {
                    watch.told();
                }
            }
            Note::Appended { log } => {
                let mut state = self.waits.state.lock();
                let Some(event) = state.follows.get(&log) else { return };
                if Arc::strong_count(event) > 1 {
                    event.notify(usize::MAX);
                } else {
                    state.follows.remove(&log);
                    drop(state);
                    self.ask_in_passing(&Ask::LogUnfollow { log });
                }
            }
        }
    }

    fn settle_note(&self, wait: u64, answer: Result<Value, Error>) {
        // Until what nobody wants is taken back, the wait is pending for one who gives up.
        let pending = {
            let mut state = self.waits.state.lock();
            let pending = state.forget(wait);
            state.settling = Some(wait);
            pending
        };
        if let Some(pending) = pending {
            self.settle(&pending.ticket, pending.lane, answer);
        }
        self.waits.state.lock().settling = None;
        self.waits.settled.notify_all();
    }
}

impl Waits {
    fn forget(&self, wait: u64) -> Option<Pending> {
        self.state.lock().forget(wait)
    }

    /// Whether nobody wants it any more.
    fn is_left(&self, wait: u64) -> bool {
        self.state.lock().pending.get(&wait).is_none_or(|pending| pending.is_left)
    }

    fn wait_until_settled(&self, wait: u64) {
        let mut state = self.state.lock();
        while state.pending.contains_key(&wait) || state.settling == Some(wait) {
            if self.settled.wait_for(&mut state, NOTE_MAX).timed_out() {
                return;
            }
        }
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        if let Some(stream) = state.stream.take() {
            // It is gone already, or its reader wakes.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn is_waiting(answer: &Value) -> bool {
    answer.as_str() == Some("waiting")
}

fn done<T>(turn: Turn<T>) -> Option<T> {
    match turn {
        Turn::Done(value) => Some(value),
        Turn::Empty | Turn::Waiting => None,
    }
}

/// Reads notes until the client is closed.
fn run(weak: &Weak<Client>) {
    loop {
        let Some(client) = weak.upgrade() else { return };
        if client.closing.is_requested() {
            return;
        }
        let mut connection = match client.connect_notes() {
            Ok(connection) => connection,
            Err(error) => return client.give_up(&error),
        };
        client.resume(&connection.opening.name.clone());
        drop(client);
        while let Ok(Ok(note)) = connection.read() {
            let Some(client) = weak.upgrade() else { return };
            if let Ok(note) = client.read::<Note>(note) {
                client.take_note(note);
            }
        }
    }
}
