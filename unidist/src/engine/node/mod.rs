//! `node:unix:SOCKET`: the store of another process, through its socket, with the same contract.
//!
//! What an engine does is one request and one answer; what waits gets a ticket that a thread of ours, started with the
//! first wait, fills from the owner's notes. Names that begin with `__` stay in this process. When the owner ends,
//! requests under way are repeated to its successor, which knows the answers that it gave (`client.rs`).

mod client;
mod connection;
mod lanes;
mod parts;
mod waits;
mod watch;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fenced;
use super::memory::MemoryEngine;
use super::{Counters, Engine, Locks, Logs, Queues, State};
use crate::clock::Clock;
use crate::error::Error;
use crate::limits::Limits;
use crate::sharedlock::Fence;
use crate::timer::Timers;
use crate::wire::Hello;
use crate::wire::ask::Ask;

pub(crate) use self::client::Client;

/// Where a store's owner is found.
pub(crate) trait Place: Send + Sync {
    fn socket(&self) -> &Path;
    /// For errors: the socket or the folder.
    fn name(&self) -> String;
    /// Nobody listens there. May begin to; returns when it is worth another try.
    fn nobody_answers(&self) -> Result<(), Error>;
    /// The error when nobody has answered for long.
    fn unserved(&self) -> Error {
        Error::Unreachable { place: self.name(), reason: "nobody listens there: start what serves it".to_owned() }
    }
    /// Whether the owner is one that this client may use.
    fn check(&self, hello: &Hello) -> Result<(), Error>;
    /// Where this process says that it lives, so that its locks outlive the owner.
    fn clients_folder(&self) -> Option<PathBuf>;
}

/// A store of another process.
pub(crate) struct NodeEngine {
    client: Arc<Client>,
    /// For names that begin with `__`.
    local: MemoryEngine,
}

impl NodeEngine {
    /// Connects; an owner that does not answer is an error at once unless `place` can do something about it.
    pub(crate) fn open(place: Arc<dyn Place>, clock: Arc<dyn Clock>, limits: Limits) -> Result<Self, Error> {
        let client = Client::connect(place)?;
        Ok(NodeEngine { client, local: MemoryEngine::new(clock, limits, None) })
    }

    /// Whether the ticket at this address waits at the owner.
    #[cfg(feature = "file")]
    pub(crate) fn has_wait(&self, ticket: usize) -> bool {
        self.client.has_wait(ticket)
    }
}

impl Drop for NodeEngine {
    fn drop(&mut self) {
        self.client.close();
    }
}

impl Engine for NodeEngine {
    fn timers(&self) -> &Timers {
        self.local.timers()
    }

    fn limits(&self) -> &Limits {
        self.local.limits()
    }

    fn counters(&self) -> &dyn Counters {
        self
    }

    fn locks(&self) -> &dyn Locks {
        self
    }

    fn state(&self) -> &dyn State {
        self
    }

    fn queues(&self) -> &dyn Queues {
        self
    }

    fn logs(&self) -> &dyn Logs {
        self
    }

    /// Compared here for things and locks that begin with `__`, and by the owner for all others.
    fn fenced(&self, fence: &Fence, change: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error> {
        self.local.locks.fenced(fence, || fenced::carry(fence, change))
    }

    fn lock_keepers(&self) -> Result<Vec<File>, Error> {
        self.client.keepers()
    }

    fn backup(&self, folder: &Path) -> Result<(), Error> {
        let refuse = |error: io::Error| Error::Store { folder: folder.to_owned(), reason: error.to_string() };
        let folder = std::path::absolute(folder).map_err(refuse)?;
        self.client.ask(&Ask::Backup { folder })
    }
}

/// A socket that somebody else serves.
pub(crate) struct SocketPlace {
    path: PathBuf,
}

impl SocketPlace {
    pub(crate) fn new(path: &Path) -> Self {
        SocketPlace { path: path.to_owned() }
    }
}

impl Place for SocketPlace {
    fn socket(&self) -> &Path {
        &self.path
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn nobody_answers(&self) -> Result<(), Error> {
        Ok(())
    }

    fn check(&self, _hello: &Hello) -> Result<(), Error> {
        Ok(())
    }

    fn clients_folder(&self) -> Option<PathBuf> {
        None
    }
}

/// The longest path of a socket (unix(7)), without the end mark.
const SOCKET_PATH_MAX: usize = 107;

/// Runs `act` with a path of the same place that is short enough for a socket.
pub(crate) fn at_short_path<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() <= SOCKET_PATH_MAX {
        return act(path);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let folder = File::open(folder)?;
    act(&PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}
