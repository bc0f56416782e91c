//! Serving a store to other processes: sessions, what they hold and wait for, and the socket they come through.
//!
//! A [`Service`] needs no runtime: calls on a connection are answered at once, and
//! what comes later (a lock that was waited for, changes of a watch) is a stream of notes. A connection belongs to a
//! session, that of one client process; a client has as many connections as it has calls under way. When the last one
//! is closed, the session ends: its locks are free, its waits are over, messages that it was not told of go back. A
//! [`Server`] serves a socket with threads, as a `file:` store does by itself; a program with a socket of its own, such
//! as procblock, gives the connections of other stores to a [`Carrier`], and reads its own ones with the same
//! [`LineReader`] and [`Eager`].

mod connection;
#[cfg_attr(not(feature = "file"), allow(dead_code, reason = "only the clients of a file: store outlive its owner"))]
mod kept;
mod names;
mod perform;
mod server;
mod session;
mod talk;
mod tasks;
mod watching;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::Unidist;
use crate::engine::Engine;
#[cfg(feature = "file")]
use crate::engine::Grant;
use crate::engine::memory::{KeptLock, UnseatObserver};
use crate::engine::request::RequestKey;
use crate::error::Error;
use crate::wire::{PROTOCOL, fault_of, plain_fault};

pub(crate) use self::connection::Connection;
#[cfg(feature = "file")]
pub(crate) use self::kept::CLIENTS;
pub use self::server::Server;
use self::session::Session;
pub use self::talk::{Begin, Carrier};
use self::tasks::Tasks;
pub use crate::wire::{BadRequest, Eager, Hello, LINE_BYTES_MAX, LineReader, Next, Request};

/// Sessions at once.
const SESSIONS_MAX: usize = 4_096;

/// What a store does whose contents and sessions outlive the process that has it open.
#[cfg_attr(not(feature = "file"), allow(dead_code, reason = "only a file: store is one"))]
pub(crate) trait Lasting: Send + Sync {
    /// The answer that an earlier owner gave to this request.
    fn answered(&self, request: &RequestKey) -> Option<Value>;
    /// The session is over: its answers need not be remembered.
    fn forget_answers(&self, session: &Arc<str>, lanes: &[u32]);
    /// A holder of a lock, as it is noted.
    fn kept_lock(&self, name: &str, fence: u64) -> Option<KeptLock>;
    /// Seats a holder that was noted.
    fn seat_again(&self, held: &KeptLock) -> Result<(), Error>;
    /// Has it told of every holder that leaves.
    fn observe_unseat(&self, tell: UnseatObserver);
    /// Whether what is acknowledged may still be lost with the process.
    fn is_relaxed(&self) -> bool;
}

/// A store that is served.
pub struct Service {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) lasting: Option<Arc<dyn Lasting>>,
    pub(crate) tasks: Tasks,
    opening: String,
    sessions: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    /// Where held locks are noted; none: they end with this process.
    kept: Option<kept::KeptLocks>,
}

impl Service {
    /// For a store that ends with this process, or is served by other means too.
    pub fn new(shared: &Unidist) -> Self {
        Self::build(shared.engine.clone(), None, None)
    }

    fn build(engine: Arc<dyn Engine>, lasting: Option<Arc<dyn Lasting>>, kept: Option<kept::KeptLocks>) -> Self {
        let opening = random_name();
        let sessions = Mutex::default();
        Service { inner: Arc::new(Inner { engine, lasting, tasks: Tasks::new(), opening, sessions, kept }) }
    }

    /// What the first line on each connection says.
    pub fn hello(&self) -> Hello {
        let lasting = self.inner.lasting.as_ref();
        Hello {
            unidist: PROTOCOL,
            opening: self.inner.opening.clone(),
            remembers: lasting.is_some(),
            is_relaxed: lasting.is_some_and(|lasting| lasting.is_relaxed()),
            pid: std::process::id(),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let sessions: Vec<Arc<Session>> = self.inner.sessions.lock().drain().map(|(_, session)| session).collect();
        for session in sessions {
            session.close();
        }
        self.inner.tasks.close();
    }
}

impl Inner {
    /// The session of this name, which has one connection more.
    fn enter(self: &Arc<Self>, name: &str, process: u32) -> Result<Arc<Session>, Value> {
        let mut sessions = self.sessions.lock();
        if let Some(session) = sessions.get(name).filter(|session| session.enter()) {
            return Ok(session.clone());
        }
        if sessions.len() >= SESSIONS_MAX {
            let text = format!("the store serves {SESSIONS_MAX} processes already: try again");
            return Err(plain_fault("too_many", &text));
        }
        let session = Session::new(self, Arc::from(name), process);
        session.enter();
        sessions.insert(session.name().clone(), session.clone());
        Ok(session)
    }

    /// One connection less; the last one ends the session, unless a child of the client keeps it.
    fn leave(&self, session: &Arc<Session>) {
        let mut sessions = self.sessions.lock();
        if !session.leave() || session.is_over() || self.kept.as_ref().is_some_and(|kept| kept.is_alive(session.name()))
        {
            return;
        }
        sessions.remove(session.name());
        drop(sessions);
        session.end();
    }
}

impl Inner {
    /// Goes on with a session of an earlier owner, whose client has not come yet.
    #[cfg(feature = "file")]
    fn adopt(self: &Arc<Self>, name: String, held: Vec<kept::Noted>) {
        let name: Arc<str> = Arc::from(name);
        let process = held.first().map_or(0, |noted| noted.lock.process);
        let session = Session::new(self, name.clone(), process);
        for kept::Noted { lock, wait } in &held {
            // One that can't be seated is lost, and its holder is told so when it asks.
            if self.lasting.as_ref().is_some_and(|lasting| lasting.seat_again(lock).is_ok()) {
                session.hold_again(Grant { name: Arc::from(lock.name.as_str()), fence: lock.fence }, *wait);
            }
        }
        if let Some(kept) = &self.kept {
            kept.take_over(&name, held);
        }
        self.sessions.lock().insert(name, session);
    }

    /// Removes what clients left that are gone.
    fn tidy(&self) {
        if let Some(kept) = &self.kept {
            drop(kept.survivors());
        }
    }

    /// Ends the sessions without a connection whose client is gone; true when some without one live.
    fn end_dead_sessions(&self) -> bool {
        let Some(kept) = &self.kept else { return false };
        let mut sessions = self.sessions.lock();
        let alone: Vec<Arc<Session>> = sessions.values().filter(|session| !session.has_connection()).cloned().collect();
        let (alive, dead): (Vec<_>, Vec<_>) = alone.into_iter().partition(|session| kept.is_alive(session.name()));
        for session in &dead {
            sessions.remove(session.name());
        }
        drop(sessions);
        dead.iter().for_each(Session::end);
        !alive.is_empty()
    }
}

/// A name that no other process chose.
pub(crate) fn random_name() -> String {
    format!("{:x}-{:016x}", std::process::id(), RandomState::new().hash_one(std::time::SystemTime::now()))
}

fn fault(error: &Error) -> Value {
    fault_of(error)
}
