//! `file:FOLDER`: the memory engine, with every change written to the folder before it is acknowledged.
//!
//! Reads are the memory's. What survives: counters, state with its times to live, queues with claims and dead letters,
//! logs, and that fencing numbers never go back. Locks are in memory alone and end with the process; they are not taken
//! on the host, as one process has the store.
//!
//! `writer` says in which order things reach the disk and what happens when they don't; `store` is the only module that
//! names SQLite.

mod backup;
mod clock;
mod encode;
mod folder;
mod group;
mod image;
mod inspect;
mod lasting;
mod migrate;
mod parts;
mod reserve;
mod row;
mod shared;
mod store;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use serde_json::Value;

use self::clock::DatedClock;
use self::folder::{FolderLock, IfMissing};
use self::image::Loader;
use self::inspect::text_of;
use self::store::{Fault, Store};
use self::writer::Writer;
use super::memory::MemoryEngine;
use super::{Counters, Engine, Locks, Logs, Queues, State};
use crate::clock::Clock;
use crate::engine::fenced;
use crate::error::Error;
use crate::limits::Limits;
use crate::sharedlock::Fence;
use crate::timer::Timers;

pub(crate) use self::backup::{check, restore, salvage};
pub use self::inspect::{Damage, Report};
pub(crate) use self::shared::{Options, SharedFile};

/// Revisions that a run may give to changes which never reach the disk: the next run begins after them.
const REVISIONS_SKIPPED: u64 = 1 << 20;

/// When a change is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// When it is on disk.
    Always,
    /// At once; it is on disk within about a second.
    Interval,
}

/// An open store.
pub(crate) struct FileEngine {
    memory: Arc<MemoryEngine>,
    writer: Arc<Writer>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// What earlier owners answered, by session and lane: the number of the request and the answer.
    answers: HashMap<String, (u64, Value)>,
    sync: Sync,
}

impl FileEngine {
    /// Opens the store in the folder, which is made when there is none. Reads and checks every row.
    pub(crate) fn open(folder: &Path, sync: Sync, clock: Arc<dyn Clock>, limits: Limits) -> Result<Self, Error> {
        let lock = FolderLock::take(folder, IfMissing::Create)?;
        let folder = lock.folder().to_owned();
        let store = Store::open(lock, limits.file_bytes_max).map_err(|fault| refuse(&folder, fault))?;
        store.mark()?;
        let summary = store.summary;
        let timers = Arc::new(Timers::new(Arc::new(DatedClock::new(clock))));
        let writer = Writer::new(folder.clone(), sync, timers.clone(), store);
        let memory = Arc::new(MemoryEngine::with_journal(timers, limits, writer.clone()));
        writer.set_image(&memory);
        memory.locks.begin_after(summary.fence);
        memory.queues.begin_after(summary.message_number);
        let mut answers = Vec::new();
        let loaded = writer.load(|store| {
            let mut loader = Loader::new(&memory);
            let report = inspect::inspect(store, &mut |name, part, kept| loader.take(name, part, kept));
            answers = loader.finish();
            report
        });
        // A timer may hold the engine a moment longer: the folder is free when this returns.
        loaded.inspect_err(|_| writer.close())?;
        // Where nothing was ever written there is nothing to skip.
        let skipped = if summary.revision == 0 { 0 } else { REVISIONS_SKIPPED };
        memory.state.begin_at(summary.revision.saturating_add(skipped));
        writer.look(|| memory.queues.settle_all());
        let thread = start(&writer).map_err(|error| folder::refuse(&folder, &error))?;
        let answers = lasting::remembered(&writer, answers);
        Ok(FileEngine { memory, writer, thread: Mutex::new(Some(thread)), answers, sync })
    }

    /// Writes what is left and leaves the folder to others; from then on changes are refused.
    fn close(&self) {
        self.writer.close();
        if let Some(thread) = self.thread.lock().take() {
            // A thread that panicked has nothing left to write.
            let _ = thread.join();
        }
    }
}

fn start(writer: &Arc<Writer>) -> std::io::Result<JoinHandle<()>> {
    let writer = writer.clone();
    std::thread::Builder::new().name("unidist store".to_owned()).spawn(move || writer.run())
}

/// The error for a store that can't be opened.
fn refuse(folder: &Path, fault: Fault) -> Error {
    let folder = folder.to_owned();
    match fault {
        Fault::Damaged(damage) => Error::StoreDamaged { folder, damage },
        fault => Error::Store { folder, reason: text_of(fault) },
    }
}

impl Drop for FileEngine {
    fn drop(&mut self) {
        self.close();
    }
}

impl Engine for FileEngine {
    fn timers(&self) -> &Timers {
        self.memory.timers()
    }

    fn limits(&self) -> &Limits {
        self.memory.limits()
    }

    fn counters(&self) -> &dyn Counters {
        self
    }

    fn locks(&self) -> &dyn Locks {
        self.memory.locks()
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

    fn fenced(&self, fence: &Fence, change: &mut dyn FnMut() -> Result<(), Error>) -> Result<(), Error> {
        // Compared inside the gate, before the wait for the disk.
        fenced::carry(fence, change)
    }

    fn backup(&self, folder: &Path) -> Result<(), Error> {
        backup::backup(&self.writer, folder)
    }
}
