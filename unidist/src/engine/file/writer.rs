//! From the memory to the disk: changes are applied to the memory, gathered in the open group in the same critical
//! section, and written group by group in that order.
//!
//! There is no hand-over to a writing thread on the way of a single caller: of those who wait for a group, one writes
//! it, and all that came meanwhile are the next group. A thread of the store writes what nobody waits for: what expired,
//! and under `sync=interval` everything.
//!
//! Everything that changes the memory is inside the gate (shared); taking the open group off is done alone in the gate,
//! so that what one call changes is never split between two groups. Nobody waits for the disk inside the gate.
//!
//! When a group is refused by the disk, all that was changed since is taken back before anybody is told: with the gate
//! closed, what the refused group and the one after it touched is read again from the disk, which is the truth. A change
//! that was seen before it was on disk can so be the ground of no change that is kept.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use super::Sync;
use super::encode::{Batch, Dates};
use super::group::{Group, Woken};
use super::image::{self, Touched};
use super::inspect::Report;
use super::store::{Fault, Store};
use crate::engine::journal::{Change, Held, Journal};
use crate::engine::memory::MemoryEngine;
use crate::engine::request::{self, Answer};
use crate::error::Error;
use crate::timer::Timers;

/// How long the store's thread lets a disk rest that refused what nobody waited for.
const REST: Duration = Duration::from_secs(1);
/// Between two writes under `sync=interval`.
const INTERVAL: Duration = Duration::from_secs(1);
/// Changes that may wait for the disk under `sync=interval`; then the caller writes.
const PENDING_MAX: usize = 65_536;

pub(super) struct Writer {
    folder: PathBuf,
    sync: Sync,
    timers: Arc<Timers>,
    gate: RwLock<()>,
    pending: Mutex<Pending>,
    /// None: closed.
    store: Mutex<Option<Store>>,
    image: OnceLock<Weak<MemoryEngine>>,
    /// The newest group that is on disk or was refused.
    finished: AtomicU64,
    /// The memory may hold what the disk does not, as it could not be read again: no more writes.
    is_broken: AtomicBool,
    background: Mutex<Background>,
    background_changed: Condvar,
}

struct Pending {
    changes: Vec<Change>,
    /// The group of `changes`.
    open: Arc<Group>,
    /// The group that is being written.
    written: Option<Arc<Group>>,
    fence: u64,
    /// Why the last write under `sync=interval` failed: what it should have written is still in `changes`.
    refused: Option<Error>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.fence == 0
    }
}

#[derive(Default)]
struct Background {
    has_work: bool,
    is_closed: bool,
}

impl Writer {
    pub(super) fn new(folder: PathBuf, sync: Sync, timers: Arc<Timers>, store: Store) -> Arc<Self> {
        let pending = Pending { changes: Vec::new(), open: Group::new(1), written: None, fence: 0, refused: None };
        Arc::new(Writer {
            folder,
            sync,
            timers,
            gate: RwLock::new(()),
            pending: Mutex::new(pending),
            store: Mutex::new(Some(store)),
            image: OnceLock::new(),
            finished: AtomicU64::new(0),
            is_broken: AtomicBool::new(false),
            background: Mutex::default(),
            background_changed: Condvar::new(),
        })
    }

    /// The memory to put right when the disk refuses.
    pub(super) fn set_image(&self, image: &Arc<MemoryEngine>) {
        let _ = self.image.set(Arc::downgrade(image));
    }

    /// Fills the memory from the store; nothing that falls due meanwhile is done before.
    pub(super) fn load(&self, fill: impl FnOnce(&Store) -> Report) -> Result<(), Error> {
        let store = self.store.lock();
        let _alone = self.gate.write();
        match store.as_ref().map(fill) {
            Some(report) if !report.is_whole() => {
                Err(Error::StoreDamaged { folder: self.folder.clone(), damage: report.summary() })
            }
            _ => Ok(()),
        }
    }

    /// Runs a change of the memory and returns when it and all that it may be based on is on disk.
    pub(super) fn keep<T: Answer>(&self, change: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.check()?;
        let (result, group) = {
            let _inside = self.gate.read();
            let result = change();
            self.remember(&result);
            (result, self.latest())
        };
        match (result, group) {
            (Ok(value), Some(group)) => self.wait(&group).map(|()| value),
            (result, Some(_)) => {
                self.call_background();
                result
            }
            (result, None) => result,
        }
    }

    /// Has the answer to another process's request written together with the change, inside the gate.
    fn remember<T: Answer>(&self, result: &Result<T, Error>) {
        if let (Ok(value), Some(request)) = (result, request::current())
            && let Some(answer) = value.to_answer()
        {
            self.record(Change::Answer { request, answer: Some(answer) });
        }
    }

    /// Runs what may change the memory although nobody asked for it, such as looking at a queue: does not wait.
    pub(super) fn look<T>(&self, look: impl FnOnce() -> T) -> T {
        let (result, has_changed) = {
            let _inside = self.gate.read();
            (look(), !self.pending.lock().is_empty())
        };
        if has_changed {
            self.call_background();
        }
        result
    }

    /// Groups up to this number are on disk or taken back; under `sync=interval` nobody waits for them.
    pub(super) fn finished(&self) -> u64 {
        if self.sync == Sync::Interval { u64::MAX } else { self.finished.load(Ordering::Acquire) }
    }

    /// Returns when the group of this number is on disk.
    pub(super) fn wait_for(&self, number: u64) -> Result<(), Error> {
        if number <= self.finished() {
            return Ok(());
        }
        let group = {
            let pending = self.pending.lock();
            let written = pending.written.clone().filter(|group| group.number >= number);
            written.unwrap_or_else(|| pending.open.clone())
        };
        // A group that ended meanwhile leaves an open one that nobody may fill.
        if group.number > number { Ok(()) } else { self.wait(&group) }
    }

    /// The date, as time since 1970.
    pub(super) fn date(&self) -> Duration {
        self.timers.unix_time()
    }

    fn check(&self) -> Result<(), Error> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(self.refusal("an earlier write failed and could not be taken back: open the store anew"));
        }
        match &self.pending.lock().refused {
            Some(error) if self.sync == Sync::Interval => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// The newest group that a change made just now is in or may be based on; none: all is on disk.
    fn latest(&self) -> Option<Arc<Group>> {
        let pending = self.pending.lock();
        if pending.is_empty() { pending.written.clone() } else { Some(pending.open.clone()) }
    }

    fn wait(&self, group: &Group) -> Result<(), Error> {
        if self.sync == Sync::Interval {
            if self.pending.lock().changes.len() < PENDING_MAX {
                self.call_background();
                return Ok(());
            }
            self.write_as(&mut self.store.lock());
            return self.check();
        }
        loop {
            if let Some(outcome) = group.outcome() {
                return outcome;
            }
            if let Some(mut store) = self.store.try_lock() {
                self.write_as(&mut store);
                drop(store);
                self.pass_on();
                continue;
            }
            if let Woken::Outcome(outcome) = group.wait() {
                return outcome;
            }
        }
    }

    /// Finds somebody to write what came while the caller wrote.
    fn pass_on(&self) {
        let pending = self.pending.lock();
        if !pending.is_empty() {
            pending.open.ask_for_writer();
        }
    }

    /// Writes all that is pending; the caller has the store.
    fn write_as(&self, store: &mut Option<Store>) {
        let (changes, group, fence) = {
            let _alone = self.gate.write();
            let mut pending = self.pending.lock();
            if pending.is_empty() {
                return;
            }
            let next = Group::new(pending.open.number + 1);
            let group = std::mem::replace(&mut pending.open, next);
            pending.written = Some(group.clone());
            (std::mem::take(&mut pending.changes), group, std::mem::take(&mut pending.fence))
        };
        let mut batch = Batch::default();
        let dates = Dates::new(self.timers.now(), self.timers.unix_time());
        for change in &changes {
            batch.add(change, dates);
        }
        batch.fence = fence;
        if let Some(memory) = self.image.get().and_then(Weak::upgrade) {
            // Those that watchers of counters and queues were told count too: none of them is given again.
            batch.revision = memory.state.newest_revision();
        }
        let Some(store) = store else { return group.finish(&Err(self.refusal("the store is closed"))) };
        match store.write(batch) {
            Ok(()) => {
                let mut pending = self.pending.lock();
                pending.written = None;
                pending.refused = None;
                drop(pending);
                self.finished.store(group.number, Ordering::Release);
                group.finish(&Ok(()));
            }
            Err(fault) if self.sync == Sync::Interval => self.keep_for_later(changes, fence, &fault),
            Err(fault) => self.take_back(store, changes, &group, &fault),
        }
    }

    /// Under `sync=interval` what was acknowledged stays and is tried again; new changes are refused until it is there.
    fn keep_for_later(&self, mut changes: Vec<Change>, fence: u64, fault: &Fault) {
        let mut pending = self.pending.lock();
        changes.append(&mut pending.changes);
        pending.changes = changes;
        pending.fence = pending.fence.max(fence);
        pending.written = None;
        pending.refused = Some(self.error(fault));
    }

    fn take_back(&self, store: &Store, mut changes: Vec<Change>, group: &Group, fault: &Fault) {
        let outcome = Err(self.error(fault));
        let _alone = self.gate.write();
        let mut pending = self.pending.lock();
        changes.append(&mut pending.changes);
        pending.fence = 0;
        pending.written = None;
        let next = Group::new(pending.open.number + 1);
        let later = std::mem::replace(&mut pending.open, next);
        drop(pending);
        let touched: BTreeSet<Touched> = changes.iter().map(Touched::from).collect();
        if let Some(memory) = self.image.get().and_then(Weak::upgrade)
            && image::restore(&memory, store, &touched).is_err()
        {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        self.finished.store(later.number, Ordering::Release);
        group.finish(&outcome);
        later.finish(&outcome);
    }

    fn error(&self, fault: &Fault) -> Error {
        match fault {
            Fault::Full { is_limit: true } => {
                self.refusal("the store has reached its size limit: remove something or open it with a larger one")
            }
            Fault::Full { is_limit: false } => self.refusal("the disk is full: free some space and try again"),
            Fault::Damaged(text) => self.refusal(&format!("the store is damaged: {text}: check it")),
            Fault::Unfit(text) | Fault::System(text) => self.refusal(text),
        }
    }

    fn refusal(&self, reason: &str) -> Error {
        Error::NotWritten { folder: self.folder.clone(), reason: reason.to_owned() }
    }

    fn call_background(&self) {
        let mut background = self.background.lock();
        if !background.has_work {
            background.has_work = true;
            self.background_changed.notify_one();
        }
    }

    /// The store's thread: writes what nobody waits for, until the store is closed.
    pub(super) fn run(&self) {
        loop {
            {
                let mut background = self.background.lock();
                while !background.has_work && !background.is_closed {
                    self.background_changed.wait(&mut background);
                }
                if background.is_closed {
                    return;
                }
                background.has_work = false;
            }
            if self.sync == Sync::Interval && self.rest(INTERVAL) {
                return;
            }
            let is_refused = self.write_in_background();
            if is_refused {
                if self.rest(REST) {
                    return;
                }
                self.call_background();
            }
        }
    }

    /// True when the disk refused and something is left to be written.
    fn write_in_background(&self) -> bool {
        let group = self.pending.lock().open.clone();
        loop {
            let mut store = self.store.lock();
            self.write_as(&mut store);
            let is_done = store.as_mut().is_none_or(|store| !store.shrink().unwrap_or(false));
            drop(store);
            self.pass_on();
            if is_done {
                break;
            }
        }
        matches!(group.outcome(), Some(Err(_))) || self.pending.lock().refused.is_some()
    }

    /// True when the store was closed meanwhile.
    fn rest(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut background = self.background.lock();
        while !background.is_closed && !self.background_changed.wait_until(&mut background, until).timed_out() {}
        background.is_closed
    }

    /// Writes what is left and ends the thread.
    pub(super) fn close(&self) {
        self.background.lock().is_closed = true;
        self.background_changed.notify_all();
        let mut store = self.store.lock();
        self.write_as(&mut store);
        *store = None;
    }

    /// Runs `act` on the store once all that is pending was written.
    pub(super) fn with_store(&self, act: impl FnOnce(&mut Store) -> Result<(), Fault>) -> Result<(), Error> {
        let mut store = self.store.lock();
        self.write_as(&mut store);
        let result = store.as_mut().map_or(Ok(()), act);
        drop(store);
        self.pass_on();
        result.map_err(|fault| self.error(&fault))
    }
}

impl Journal for Writer {
    fn record(&self, change: Change) {
        self.pending.lock().changes.push(change);
    }

    fn hold(&self, answer: Arc<dyn Held>) {
        if let Some(change) = answer.remembered() {
            self.record(change);
        }
        if self.sync == Sync::Interval {
            answer.settle(&Ok(()));
        } else {
            self.pending.lock().open.hold(answer);
        }
    }

    fn enclose(&self, act: &mut dyn FnMut()) {
        self.look(act);
    }

    fn reserve_fences(&self, last: u64) -> Result<(), Error> {
        self.check()?;
        let group = {
            let _inside = self.gate.read();
            let mut pending = self.pending.lock();
            pending.fence = pending.fence.max(last);
            pending.open.clone()
        };
        if self.sync == Sync::Interval {
            self.write_as(&mut self.store.lock());
            return self.check();
        }
        self.wait(&group)
    }

    fn group(&self) -> u64 {
        self.pending.lock().open.number
    }
}
