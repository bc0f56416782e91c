//! `memory:`: everything inside this process, in sharded maps; locks also on the host, through files.
//!
//! Nothing survives the process. The parts do not know each other; they share the timers and the limits.

mod counters;
mod feed;
mod file_name;
mod host_folder;
mod keys;
mod locks;
mod logs;
mod queue;
mod queues;
mod shards;
mod state;

use std::path::PathBuf;
use std::sync::Arc;

use self::counters::MemoryCounters;
use self::feed::Revision;
use self::host_folder::HostFolder;
use self::locks::MemoryLocks;
#[cfg(feature = "node")]
pub(crate) use self::locks::{KeptLock, UnseatObserver};
use self::logs::MemoryLogs;
use self::queues::MemoryQueues;
use self::state::MemoryState;
use super::journal::{Journal, Records};
use super::{Counters, Engine, Locks, Logs, Queues, State};
use crate::clock::Clock;
use crate::error::Error;
use crate::limits::Limits;
use crate::sharedlock::Fence;
use crate::timer::Timers;

pub(crate) use self::host_folder::default_folder;

/// The store.
pub(crate) struct MemoryEngine {
    timers: Arc<Timers>,
    limits: Limits,
    pub(crate) counters: MemoryCounters,
    pub(crate) locks: Arc<MemoryLocks>,
    pub(crate) state: Arc<MemoryState>,
    pub(crate) queues: Arc<MemoryQueues>,
    pub(crate) logs: MemoryLogs,
}

impl MemoryEngine {
    /// Empty; `lock_folder` is where locks are shared on the host, none: not at all.
    pub(crate) fn new(clock: Arc<dyn Clock>, limits: Limits, lock_folder: Option<PathBuf>) -> Self {
        Self::build(Arc::new(Timers::new(clock)), limits, lock_folder, None)
    }

    /// Empty; `journal` keeps its changes.
    #[cfg(feature = "file")]
    pub(crate) fn with_journal(timers: Arc<Timers>, limits: Limits, journal: Arc<dyn Journal>) -> Self {
        Self::build(timers, limits, None, Some(journal))
    }

    fn build(
        timers: Arc<Timers>,
        limits: Limits,
        lock_folder: Option<PathBuf>,
        journal: Option<Arc<dyn Journal>>,
    ) -> Self {
        let records = Records::new(journal);
        let host = lock_folder.map(HostFolder::new);
        let revision = Revision::default();
        MemoryEngine {
            counters: MemoryCounters::new(&limits, records.clone(), revision.clone()),
            locks: MemoryLocks::new(timers.clone(), host, &limits, records.clone()),
            queues: MemoryQueues::new(timers.clone(), &limits, records.clone(), revision.clone()),
            state: MemoryState::new(timers.clone(), &limits, records.clone(), revision),
            logs: MemoryLogs::new(timers.clone(), &limits, records),
            timers,
            limits,
        }
    }
}

impl Engine for MemoryEngine {
    fn timers(&self) -> &Timers {
        &self.timers
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn counters(&self) -> &dyn Counters {
        &self.counters
    }

    fn locks(&self) -> &dyn Locks {
        &*self.locks
    }

    fn state(&self) -> &dyn State {
        &*self.state
    }

    fn queues(&self) -> &dyn Queues {
        &*self.queues
    }

    fn logs(&self) -> &dyn Logs {
        &self.logs
    }

    fn fenced(&self, fence: &Fence, change: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error> {
        self.locks.fenced(fence, change)
    }

    fn lock_keepers(&self) -> Result<Vec<std::fs::File>, Error> {
        let place = "of this machine's locks".to_owned();
        self.locks.keepers().map_err(|error| Error::Unreachable { place, reason: error.to_string() })
    }
}
