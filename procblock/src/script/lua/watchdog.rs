//! Notices calls that hold a thread which nothing can free: a worker of the runtime, for which a spare one is called
//! in, or, after their deadline, any.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Control;
use crate::error::RunError;
use crate::spare_workers::SpareWorkers;

/// Threads that may be lost before Lua calls are refused. The runtime has so many workers that stand by.
pub(crate) const LOST_MAX: usize = 3;

/// How long a call may go on after its deadline before its thread counts as lost.
const GRACE: Duration = Duration::from_secs(1);

/// How long a call may hold a worker: a hundred times as long as one that can be moved off it.
const HELD_MAX: Duration = Duration::from_millis(200);

/// Between two looks while Lua runs.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One thread that looks at every state; it sleeps while no Lua runs.
pub(super) struct Watchdog {
    shared: Arc<Shared>,
}

struct Shared {
    states: Mutex<Vec<Weak<Control>>>,
    active: AtomicUsize,
    is_asleep: AtomicBool,
    is_over: Mutex<bool>,
    changed: Condvar,
    lost: AtomicUsize,
    spare: SpareWorkers,
}

/// Lua is running.
pub(super) struct Watched<'a>(&'a Shared);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Watchdog {
    pub(super) fn new(spare: SpareWorkers) -> Self {
        Watchdog {
            shared: Arc::new(Shared {
                states: Mutex::new(Vec::new()),
                active: AtomicUsize::new(0),
                is_asleep: AtomicBool::new(false),
                is_over: Mutex::new(false),
                changed: Condvar::new(),
                lost: AtomicUsize::new(0),
                spare,
            }),
        }
    }

    /// Threads that are lost at the moment.
    pub(super) fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Refuses when too many threads are lost.
    pub(super) fn check(&self) -> Result<(), RunError> {
        if self.lost() < LOST_MAX {
            return Ok(());
        }
        Err(RunError::failed(format!(
            "lua calls are refused: {LOST_MAX} threads are lost in calls that did not return after their time limit; \
             restart procblock"
        )))
    }

    /// Adds a new state, and starts the thread with the first.
    pub(super) fn add(&self, control: &Arc<Control>) {
        let mut states = self.shared.states.lock();
        let is_first = states.is_empty();
        states.retain(|state| state.strong_count() > 0);
        states.push(Arc::downgrade(control));
        drop(states);
        if is_first {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new().name("script-watchdog".into()).spawn(move || shared.watch());
            if let Err(error) = started {
                log::warn!("no thread for the scripts' watchdog: {error}");
            }
        }
    }

    /// Begins to watch a stretch of script time.
    pub(super) fn begin(&self) -> Watched<'_> {
        self.shared.active.fetch_add(1, Ordering::SeqCst);
        if self.shared.is_asleep.load(Ordering::SeqCst) {
            let _held = self.shared.is_over.lock();
            self.shared.changed.notify_one();
        }
        Watched(&self.shared)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.shared.is_over.lock() = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn watch(&self) {
        let mut called_in = 0;
        let mut is_over = self.is_over.lock();
        while !*is_over {
            if self.active.load(Ordering::SeqCst) == 0 {
                self.is_asleep.store(true, Ordering::SeqCst);
                // Asked again, since a call may have begun between the question and the note.
                if self.active.load(Ordering::SeqCst) == 0 {
                    self.changed.wait(&mut is_over);
                }
                self.is_asleep.store(false, Ordering::SeqCst);
                continue;
            }
            self.changed.wait_for(&mut is_over, LOOK_EVERY);
            called_in = self.look(called_in);
        }
    }

    /// Looks at every state; gives how many spare workers were called in up to now.
    fn look(&self, mut called_in: usize) -> usize {
        let states: Vec<Arc<Control>> = self.states.lock().iter().filter_map(Weak::upgrade).collect();
        let held = states.iter().filter(|control| control.holds_worker_for() > HELD_MAX).count();
        while called_in < held.min(LOST_MAX) {
            called_in += 1;
            self.spare.call_in();
        }
        let mut lost = 0;
        for control in states {
            let is_lost = control.overdue().is_some_and(|overdue| overdue > GRACE);
            lost += usize::from(is_lost);
            if control.set_lost(is_lost) {
                let script = control.with_context(|context| context.caller.script.clone());
                if is_lost {
                    log::error!("{script}: the call does not return after its time limit; its thread is lost");
                } else {
                    log::warn!("a lost thread of a script returned");
                }
            }
        }
        self.lost.store(lost, Ordering::Relaxed);
        called_in
    }
}
