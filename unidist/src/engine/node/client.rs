//! This process at a store's owner: a pool of connections, requests, and what happens when the owner ends.
//!
//! A request whose connection broke is repeated on the next one. Reads, locks and waits may simply be done again. A
//! change carries its lane and number, by which the same owner, or a successor that knows the answers that were given,
//! finds whether it was done; at one that can't know, the outcome is unknown and that is the error.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Place;
use super::connection::{ANSWER_MAX, Broken, Connection, Opening};
use super::lanes::{Lane, Lanes};
use super::waits::Waits;
use crate::engine::fenced;
use crate::error::Error;
use crate::name::is_private;
use crate::service::random_name;
use crate::sharedlock::Fence;
use crate::stop::Stop;
use crate::wire::ask::Ask;
use crate::wire::line_of;

/// Connections at once; a further request waits for one of them.
const POOL_MAX: usize = 32;
/// How long a request looks for an owner after the one that it knew is gone.
const REACH_MAX: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(3);

pub(crate) struct Client {
    pub(super) place: Arc<dyn Place>,
    session: String,
    pool: Mutex<Pool>,
    pool_changed: Condvar,
    lanes: Lanes,
    pub(super) waits: Waits,
    /// Locked while this process, or a child that inherited it, lives.
    alive: OnceLock<File>,
    /// Locked by the thread that makes that file: a second one would wait for the first one's lock on it.
    showing: Mutex<()>,
    pub(super) closing: Stop,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    open: usize,
}

/// A request on its way.
pub(super) struct Request<'a> {
    pub(super) ask: &'a Ask,
    pub(super) lane: Option<Lane>,
}

/// A request as it is written, without a copy of it.
#[derive(Serialize)]
#[serde(untagged)]
enum AskLine<'a> {
    Plain(&'a Ask),
    /// As `Ask::Fenced`.
    Fenced {
        fenced: (Fence, &'a Ask),
    },
}

impl Client {
    /// Connects for the first time.
    pub(super) fn connect(place: Arc<dyn Place>) -> Result<Arc<Self>, Error> {
        let client = Arc::new(Client {
            place,
            session: random_name(),
            pool: Mutex::default(),
            pool_changed: Condvar::new(),
            lanes: Lanes::default(),
            waits: Waits::default(),
            alive: OnceLock::new(),
            showing: Mutex::default(),
            closing: Stop::new(),
        });
        let connection = client.open(Duration::ZERO)?;
        client.pool.lock().open = 1;
        client.put_back(connection);
        Ok(client)
    }

    /// Asks and reads the answer.
    pub(super) fn ask<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, Error> {
        let lane = ask.is_change().then(|| self.lanes.enter());
        let answer = self.request(&Request { ask, lane }).map(|(answer, _)| answer);
        if let Some(lane) = lane {
            self.lanes.leave(lane);
        }
        self.read(answer?)
    }

    pub(super) fn enter_lane(&self) -> Lane {
        self.lanes.enter()
    }

    pub(super) fn leave_lane(&self, lane: Lane) {
        self.lanes.leave(lane);
    }

    pub(super) fn read<T: DeserializeOwned>(&self, answer: Value) -> Result<T, Error> {
        T::deserialize(answer).map_err(|error| Error::Unreachable {
            place: self.place.name(),
            reason: format!("its answer is not understood: {error}"),
        })
    }

    /// Asks only if that needs no new connection: for what is done in passing.
    pub(super) fn ask_in_passing(&self, ask: &Ask) {
        let Some(mut connection) = self.pool.lock().idle.pop() else { return };
        match connection.exchange(&self.line(&Request { ask, lane: None })) {
            Ok(_) => self.put_back(connection),
            Err(_) => self.discard(connection),
        }
    }

    /// Asks, of one owner after the other, and says which opening of the store answered.
    pub(super) fn request(&self, request: &Request<'_>) -> Result<(Value, Opening), Error> {
        let line = self.line(request);
        let mut asked: Option<Opening> = None;
        let begin = Instant::now();
        loop {
            let mut connection = match self.take_connection() {
                Err(Error::Unreachable { .. }) if asked.is_some() && request.lane.is_some() => {
                    return Err(self.unknown(request.ask));
                }
                taken => taken?,
            };
            let is_other = asked.as_ref().is_some_and(|asked| asked.name != connection.opening.name);
            if is_other && request.lane.is_some() && !connection.opening.remembers {
                self.put_back(connection);
                return Err(self.unknown(request.ask));
            }
            asked = Some(connection.opening.clone());
            let opening = connection.opening.clone();
            match connection.exchange(&line) {
                Ok(answer) => {
                    self.put_back(connection);
                    return answer.map(|answer| (answer, opening));
                }
                Err(broken) => {
                    self.discard(connection);
                    if matches!(broken, Broken::Gone) && begin.elapsed() < REACH_MAX {
                        continue;
                    }
                    return Err(match request.lane {
                        Some(_) => self.unknown(request.ask),
                        None => self.unreachable(&format!("it did not answer in {} s", ANSWER_MAX.as_secs())),
                    });
                }
            }
        }
    }

    fn line(&self, request: &Request<'_>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'a, A> {
            id: u64,
            call: &'a str,
            args: A,
        }
        let call = "node.ask";
        // Numbers of this process's own locks are compared here alone.
        let is_told = |fence: &Fence| request.ask.is_fenced() && !is_private(fence.lock());
        let ask = match fenced::carried().filter(is_told) {
            None => AskLine::Plain(request.ask),
            Some(fence) => AskLine::Fenced { fenced: (fence, request.ask) },
        };
        match request.lane {
            None => line_of(&Line { id: 1, call, args: [ask] }),
            Some(lane) => line_of(&Line { id: 1, call, args: (ask, lane.lane, lane.number) }),
        }
    }

    fn unknown(&self, ask: &Ask) -> Error {
        let what = serde_json::to_value(ask).ok();
        let what = what.as_ref().and_then(Value::as_object).and_then(|map| map.keys().next().cloned());
        let what = what.unwrap_or_else(|| "a change".to_owned()).replace('_', " ");
        Error::UnknownOutcome { place: self.place.name(), what }
    }

    pub(super) fn unreachable(&self, reason: &str) -> Error {
        Error::Unreachable { place: self.place.name(), reason: reason.to_owned() }
    }

    fn take_connection(&self) -> Result<Connection, Error> {
        let mut pool = self.pool.lock();
        loop {
            while let Some(connection) = pool.idle.pop() {
                if !connection.is_stale() {
                    return Ok(connection);
                }
                pool.open -= 1;
            }
            if pool.open < POOL_MAX {
                break;
            }
            self.pool_changed.wait(&mut pool);
        }
        pool.open += 1;
        drop(pool);
        self.open(REACH_MAX).inspect_err(|_| self.closed_one())
    }

    fn put_back(&self, connection: Connection) {
        self.pool.lock().idle.push(connection);
        self.pool_changed.notify_one();
    }

    fn discard(&self, connection: Connection) {
        drop(connection);
        self.closed_one();
    }

    fn closed_one(&self) {
        self.pool.lock().open -= 1;
        self.pool_changed.notify_one();
    }

    /// Connects; looks for an owner for at most `limit`, or as long as the place knows one that will come.
    pub(super) fn open(&self, limit: Duration) -> Result<Connection, Error> {
        let begin = Instant::now();
        loop {
            match Connection::open(&*self.place, &self.session) {
                Ok(connection) => return Ok(connection),
                Err(Broken::Refused(error)) => return Err(error),
                Err(Broken::Silent) => return Err(self.unreachable("it does not answer")),
                Err(Broken::Nobody) => self.place.nobody_answers()?,
                Err(Broken::Gone) => {}
            }
            let is_owned = self.place.clients_folder().is_some();
            let limit = if is_owned { limit.max(REACH_MAX) } else { limit };
            if begin.elapsed() >= limit {
                return Err(self.place.unserved());
            }
            if self.closing.wait(LOOK_EVERY) {
                return Err(self.unreachable("the store is closed here"));
            }
        }
    }

    /// Says that this process lives, before it takes its first lock.
    pub(super) fn show_life(&self) -> Result<(), Error> {
        let Some(folder) = self.place.clients_folder() else { return Ok(()) };
        if self.alive.get().is_some() {
            return Ok(());
        }
        let _showing = self.showing.lock();
        if self.alive.get().is_some() {
            return Ok(());
        }
        let file = take_file(&folder, &self.session).map_err(|error| {
            self.unreachable(&format!("{} can't be used, so no lock could be kept: {error}", folder.display()))
        })?;
        let _ = self.alive.set(file);
        Ok(())
    }

    /// See `Unidist::lock_keepers`.
    pub(super) fn keepers(&self) -> Result<Vec<File>, Error> {
        let failed = |error: io::Error| self.unreachable(&error.to_string());
        if let Some(alive) = self.alive.get() {
            return Ok(vec![alive.try_clone().map_err(failed)?]);
        }
        let connection = self.take_connection()?;
        let copy = connection.stream().try_clone().map(std::os::fd::OwnedFd::from).map(File::from);
        self.put_back(connection);
        Ok(vec![copy.map_err(failed)?])
    }

    /// Ends the session.
    pub(super) fn close(&self) {
        self.closing.request();
        self.waits.close();
        let idle = std::mem::take(&mut self.pool.lock().idle);
        drop(idle);
    }
}

fn take_file(folder: &Path, session: &str) -> io::Result<File> {
    loop {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let path = folder.join(session);
        match OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path) {
            Ok(file) => {
                file.lock()?;
                // An owner that found it before it was locked took it for one that a dead process left.
                if fs::metadata(&path).is_ok() {
                    return Ok(file);
                }
            }
            // The owner removed the empty folder at the same moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}
