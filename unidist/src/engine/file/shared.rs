//! A store in a folder, whichever process has it: the first opener owns it and serves the others, which are clients
//! until the owner ends; then one of them owns it.
//!
//! A process that has become the owner stays it. What it waited for as a client before goes on through its own socket.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::{FileEngine, Sync};
use crate::clock::Clock;
use crate::engine::node::{NodeEngine, Place};
use crate::engine::{Counters, Engine, Locks, Logs, Queues, State};
use crate::error::Error;
use crate::limits::Limits;
use crate::service::{CLIENTS, Lasting, Server};
use crate::sharedlock::Fence;
use crate::timer::Timers;
use crate::wire::Hello;

/// The socket in the folder.
const SOCKET: &str = "socket";

/// How a store is opened.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) sync: Sync,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    /// The owner goes through its own socket, too: locks are then kept as those of any other client.
    pub(crate) as_client: bool,
}

/// An open store.
pub(crate) struct SharedFile {
    /// Dropped first: its locks go before the store does.
    node: Option<NodeEngine>,
    folder: Arc<Folder>,
    as_client: bool,
}

/// The folder, as the place where the owner is found.
struct Folder {
    path: PathBuf,
    socket: PathBuf,
    clients: PathBuf,
    options: Options,
    /// Set when this process has the store.
    owner: OnceLock<Owner>,
    /// Locked by who takes the store; true when it is closed here.
    taking: Mutex<bool>,
}

/// The store as its owner has it.
struct Owner {
    engine: Arc<FileEngine>,
    server: Mutex<Option<Server>>,
}

impl SharedFile {
    /// Takes the store, or finds the process that has it.
    pub(crate) fn open(folder: &Path, options: Options) -> Result<Self, Error> {
        let refuse = |error| super::folder::refuse(folder, &error);
        let path = std::path::absolute(folder).map_err(refuse)?;
        let (clock, limits, as_client) = (options.clock.clone(), options.limits.clone(), options.as_client);
        let (socket, clients) = (path.join(SOCKET), path.join(CLIENTS));
        let (owner, taking) = (OnceLock::new(), Mutex::default());
        let folder = Arc::new(Folder { path, socket, clients, options, owner, taking });
        let is_owner = match folder.take() {
            Ok(()) => true,
            Err(Error::StoreOwned { .. }) => false,
            Err(error) => return Err(error),
        };
        let node = if is_owner && !as_client { None } else { Some(NodeEngine::open(folder.clone(), clock, limits)?) };
        Ok(SharedFile { node, folder, as_client })
    }

    fn engine(&self) -> &dyn Engine {
        match (&self.node, self.folder.owner.get()) {
            (Some(node), owner) if self.as_client || owner.is_none() => node,
            (_, Some(owner)) => &*owner.engine,
            (Some(node), None) => node,
            (None, None) => unreachable!("a store that was opened has an owner or a client"),
        }
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        // A thread of the client may hold the folder a moment longer: the store is closed when this returns.
        self.node = None;
        self.folder.close();
    }
}

impl Folder {
    /// Gives the store up.
    fn close(&self) {
        let mut is_closed = self.taking.lock();
        *is_closed = true;
        if let Some(owner) = self.owner.get() {
            owner.close();
        }
    }

    /// Becomes the owner, if there is none.
    fn take(&self) -> Result<(), Error> {
        let is_closed = self.taking.lock();
        if *is_closed || self.owner.get().is_some() {
            return Ok(());
        }
        let Options { sync, clock, limits, .. } = self.options.clone();
        let engine = Arc::new(FileEngine::open(&self.path, sync, clock, limits)?);
        let lasting: Arc<dyn Lasting> = engine.clone();
        let server = Server::start_lasting(engine.clone(), lasting, &self.path, self.socket.clone())
            .map_err(|error| super::folder::refuse(&self.path, &error))?;
        let _ = self.owner.set(Owner { engine, server: Mutex::new(Some(server)) });
        Ok(())
    }
}

impl Place for Folder {
    fn socket(&self) -> &Path {
        &self.socket
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn nobody_answers(&self) -> Result<(), Error> {
        match self.take() {
            // It is on its way: opening the store, or closing it.
            Err(Error::StoreOwned { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Somebody has the store and does not serve it.
    fn unserved(&self) -> Error {
        match self.take() {
            Err(error) => error,
            Ok(()) => {
                Error::Unreachable { place: self.name(), reason: "it was closed meanwhile: try again".to_owned() }
            }
        }
    }

    fn check(&self, hello: &Hello) -> Result<(), Error> {
        if hello.is_relaxed && self.options.sync == Sync::Always {
            let reason = format!("process {} has it open with ?sync=interval: open it so, too", hello.pid);
            return Err(Error::Store { folder: self.path.clone(), reason });
        }
        Ok(())
    }

    fn clients_folder(&self) -> Option<PathBuf> {
        Some(self.clients.clone())
    }
}

impl Owner {
    fn close(&self) {
        drop(self.server.lock().take());
        self.engine.close();
    }
}

impl Engine for SharedFile {
    fn timers(&self) -> &Timers {
        self.engine().timers()
    }

    fn limits(&self) -> &Limits {
        self.engine().limits()
    }

    fn counters(&self) -> &dyn Counters {
        self.engine().counters()
    }

    fn locks(&self) -> &dyn Locks {
        self.engine().locks()
    }

    fn state(&self) -> &dyn State {
        self.engine().state()
    }

    fn queues(&self) -> &dyn Queues {
        self.engine().queues()
    }

    fn logs(&self) -> &dyn Logs {
        self.engine().logs()
    }

    fn waits_in(&self, ticket: usize) -> Option<&dyn Engine> {
        // What began to wait before this process became the owner is left where it waits: through its own socket.
        self.node.as_ref().filter(|node| node.has_wait(ticket)).map(|node| node as &dyn Engine)
    }

    fn fenced(&self, fence: &Fence, change: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error> {
        self.engine().fenced(fence, change)
    }

    fn lock_keepers(&self) -> Result<Vec<File>, Error> {
        self.engine().lock_keepers()
    }

    fn backup(&self, folder: &Path) -> Result<(), Error> {
        self.engine().backup(folder)
    }
}
