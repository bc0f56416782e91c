//! What the cores of locks, queues and counters are locked with and wait by: in one place, so that `make interleavings`
//! can put a scheduler in its place (`--cfg shuttle`) that tries many orders in which threads may meet.
//!
//! Not everything goes through here: what is only ever held for a step that meets nobody else (timers, state, watchers'
//! inboxes) stays with parking_lot also under that scheduler.

#[cfg(not(shuttle))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(shuttle))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

#[cfg(shuttle)]
pub(crate) use self::scheduled::{Mutex, MutexGuard};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use std::sync::Arc;
use std::task::Wake;

/// Wakes the thread that made it, or has the scheduler know that it may go on.
#[cfg(not(shuttle))]
pub(crate) struct Sleeper(std::thread::Thread);

#[cfg(not(shuttle))]
impl Sleeper {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Sleeper(std::thread::current()))
    }

    /// Returns once it was woken since it last returned, perhaps also without that. Blocks.
    pub(crate) fn sleep(&self) {
        std::thread::park();
    }
}

#[cfg(not(shuttle))]
impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// A flag that nobody is scheduled by: it is raised inside event-listener's own lock.
#[cfg(shuttle)]
pub(crate) struct Sleeper(std::sync::atomic::AtomicBool);

#[cfg(shuttle)]
impl Sleeper {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Sleeper(std::sync::atomic::AtomicBool::new(false)))
    }

    pub(crate) fn sleep(&self) {
        while !self.0.swap(false, Ordering::SeqCst) {
            shuttle::thread::yield_now();
        }
    }
}

#[cfg(shuttle)]
impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[cfg(shuttle)]
mod scheduled {
    /// Without poisoning, as parking_lot's.
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    pub(crate) type MutexGuard<'a, T> = shuttle::sync::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}
