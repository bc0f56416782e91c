//! unidist: locks, counters, queues, state and logs that programs share.
//!
//! A store is opened by URL and passed along; there are no globals. `memory:` keeps everything in this process. Every
//! function that waits takes a time limit and a [`Stop`], and has a twin for tasks (`…_async`) that needs no particular
//! runtime. [`call()`] reaches every function by name with JSON arguments, for scripts, shells and sockets.
//!
//! ```
//! use unidist::{AcquireOptions, Stop, Unidist};
//! let shared = Unidist::open("memory:")?;
//! let guard = shared.sharedlock().acquire("__report", &AcquireOptions::default(), &Stop::new())?;
//! shared.sharedcounter().increment("reports", 1)?;
//! drop(guard);
//! # Ok::<(), unidist::Error>(())
//! ```
#![deny(missing_docs)]

/// The examples of the README run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod call;
mod clock;
mod engine;
mod error;
#[cfg(feature = "file")]
pub mod file;
mod limits;
mod messagequeue;
mod name;
#[cfg(feature = "node")]
pub mod service;
mod sharedcounter;
mod sharedlock;
mod sharedlog;
mod sharedstate;
mod stop;
mod sync;
mod timer;
pub mod timeseries;
mod url;
mod wait;
mod watch;
#[cfg(feature = "node")]
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::Engine;
use engine::fenced::FencedEngine;
use engine::memory::{MemoryEngine, default_folder};
use engine::stripes::Stripes;
use url::EngineUrl;

pub use call::call;
pub use clock::{Alarms, Clock, SystemClock, VirtualClock};
pub use error::Error;
pub use limits::{Limits, VALUE_DEPTH_MAX};
pub use messagequeue::{
    AddOptions, Added, Claim, DEAD_SUFFIX, Failure, Message, MessageId, MessageQueue, QueueOptions, QueueSnapshot,
    QueueStatus, REASON_BYTES_MAX, WhenFull,
};
pub use name::NAME_BYTES_MAX;
pub use sharedcounter::{CounterSnapshot, SharedCounter};
pub use sharedlock::{AcquireOptions, Fence, LockGuard, LockInfo, Owner, PERMITS_MAX, SharedLock};
pub use sharedlog::{LogEntry, LogFollower, LogOptions, LogPage, LogStatus, SharedLog};
pub use sharedstate::{Bucket, Compared, SEARCH_DEPTH_MAX, Search, SetOptions, SharedState, StateEntry};
pub use stop::Stop;
pub use watch::{
    Change, CounterEvent, CounterWatcher, NameFilter, QueueChange, QueueEvent, QueueWatcher, StateEvent, WatchEvent,
    WatchFilter, Watcher,
};

/// An open store. A clone is the same store; the last one dropped closes it.
#[derive(Clone)]
pub struct Unidist {
    engine: Arc<dyn Engine>,
    /// Of the guards of locks.
    stripes: Arc<Stripes>,
}

impl Unidist {
    /// Opens the store at `url`: `memory:`; with the feature `file` a folder, `file:FOLDER` (see [`mod@file`]); with the
    /// feature `node` the store of another process, `node:unix:SOCKET`.
    ///
    /// # Errors
    /// `Url` for anything else; `Store`, `StoreOwned`, `StoreDamaged` for a folder; `Unreachable` for a socket.
    pub fn open(url: &str) -> Result<Self, Error> {
        Self::builder().open(url)
    }

    pub(crate) fn of(engine: Arc<dyn Engine>) -> Self {
        Unidist { stripes: Arc::new(Stripes::new(engine.clone())), engine }
    }

    /// Options to open a store with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Locks and semaphores.
    pub fn sharedlock(&self) -> SharedLock<'_> {
        SharedLock { engine: &self.engine, stripes: &self.stripes }
    }

    /// Counters.
    pub fn sharedcounter(&self) -> SharedCounter<'_> {
        SharedCounter { engine: &self.engine }
    }

    /// Keys with values, in buckets.
    pub fn sharedstate(&self) -> SharedState<'_> {
        SharedState { engine: &self.engine }
    }

    /// Queues of messages.
    pub fn messagequeue(&self) -> MessageQueue<'_> {
        MessageQueue { engine: &self.engine }
    }

    /// Copies the store, while it is in use, into `folder`, which must not exist or be empty: it is a store then, all
    /// of one moment. Changes wait until the copy is made, reads go on. Blocks.
    ///
    /// # Errors
    /// `Store` when the folder can't be used or the store is not of a kind that is kept; `StoreOwned`.
    pub fn backup(&self, folder: &Path) -> Result<(), Error> {
        self.engine.backup(folder)
    }

    /// The same store, of which every change carries the fencing number of a lock: of counters, state, queues and logs.
    /// It is refused (`StaleFence`) when a change under a larger number of that lock was made before, ever, or when the
    /// lock, which must be one of a single permit, is held in this store under a larger number. Comparison and change are
    /// one act. So a holder that lost its lock without knowing it, as it was stopped or slow, can do no more harm.
    ///
    /// ```
    /// use unidist::{AcquireOptions, Fence, Stop, Unidist};
    /// let shared = Unidist::open("memory:")?;
    /// let acquire = || shared.sharedlock().acquire("__report", &AcquireOptions::default(), &Stop::new());
    /// let first = shared.fenced(Fence::from(&acquire()?));
    /// let second = acquire()?;
    /// shared.fenced(Fence::from(&second)).sharedcounter().increment("reports", 1)?;
    /// assert_eq!(first.sharedcounter().increment("reports", 1).unwrap_err().code(), "stale");
    /// # Ok::<(), unidist::Error>(())
    /// ```
    #[must_use]
    pub fn fenced(&self, fence: Fence) -> Unidist {
        Unidist::of(Arc::new(FencedEngine::new(self.engine.clone(), fence)))
    }

    /// Copies of the descriptors that keep this process's locks: a child that inherits one keeps them, too. Until the
    /// last copy is closed no lock that this process took through this store is free, unless it is released or its
    /// lease ends. A lock must be held. Close-on-exec is set on the copies.
    ///
    /// # Errors
    /// `Store` for a store whose locks can't be kept so: a `file:` store must be opened with `Builder::for_children`.
    pub fn lock_keepers(&self) -> Result<Vec<std::fs::File>, Error> {
        self.engine.lock_keepers()
    }

    /// Logs.
    pub fn sharedlog(&self) -> SharedLog<'_> {
        SharedLog { engine: &self.engine }
    }
}

impl std::fmt::Debug for Unidist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unidist")
    }
}

/// How the locks of a `memory:` store exclude other processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HostLocks {
    /// Through the user's runtime folder: `/run/procblock/locks` for root, else `$XDG_RUNTIME_DIR/procblock/locks`,
    /// else a folder of this user in `/run/user` or in the one for temporary files.
    #[default]
    RuntimeFolder,
    /// Through this folder, which is created for this user alone.
    Folder(PathBuf),
    /// Not at all: locks are this store's own.
    Off,
}

/// Options of a store.
#[derive(Default)]
pub struct Builder {
    clock: Option<Arc<dyn Clock>>,
    limits: Limits,
    host_locks: HostLocks,
    #[cfg_attr(not(feature = "file"), allow(dead_code, reason = "locks of other stores need nothing for it"))]
    for_children: bool,
}

impl Builder {
    /// The source of time. Default: the machine's monotonic clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The store's bounds. Default: `Limits::default()`.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How locks exclude other processes. Default: through the runtime folder.
    #[must_use]
    pub fn host_locks(mut self, host_locks: HostLocks) -> Self {
        self.host_locks = host_locks;
        self
    }

    /// Locks can be handed to child processes (see [`Unidist::lock_keepers`]) also when this process turns out to be
    /// the owner of a `file:` store: it then goes through its own socket. Default: they can't.
    #[must_use]
    pub fn for_children(mut self) -> Self {
        self.for_children = true;
        self
    }

    /// Opens the store at `url`, as `Unidist::open`. `memory:` starts no thread and touches no file.
    ///
    /// # Errors
    /// As `Unidist::open`.
    pub fn open(self, url: &str) -> Result<Unidist, Error> {
        let url = url::parse(url)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        match url {
            EngineUrl::Memory => {}
            #[cfg(feature = "node")]
            EngineUrl::Socket(path) => {
                let place = Arc::new(engine::node::SocketPlace::new(&path));
                let engine = engine::node::NodeEngine::open(place, clock, self.limits)?;
                return Ok(Unidist::of(Arc::new(engine)));
            }
            #[cfg(feature = "file")]
            EngineUrl::File { folder, sync } => {
                let options = engine::file::Options { sync, clock, limits: self.limits, as_client: self.for_children };
                return Ok(Unidist::of(Arc::new(engine::file::SharedFile::open(&folder, options)?)));
            }
        }
        let lock_folder = match self.host_locks {
            HostLocks::RuntimeFolder => Some(default_folder()),
            HostLocks::Folder(path) => Some(path),
            HostLocks::Off => None,
        };
        Ok(Unidist::of(Arc::new(MemoryEngine::new(clock, self.limits, lock_folder))))
    }
}
