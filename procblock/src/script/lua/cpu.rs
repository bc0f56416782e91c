//! How much processor time a call has used, for `limits: {cpu}` of a Lua step.
//!
//! A call runs in stretches, each on one thread, so the thread's own clock counts it: waiting for a host function, or
//! for a place beside the workers, costs nothing. Without a limit no clock is read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The meter of one Lua state; only the call under way uses it.
#[derive(Debug, Default)]
pub(super) struct CpuMeter {
    /// In nanoseconds; 0 is none.
    max: AtomicU64,
    /// Of the stretches before this one.
    spent: AtomicU64,
    stretch_began: AtomicU64,
}

impl CpuMeter {
    /// Begins a call that may use so much.
    pub(super) fn begin_call(&self, max: Option<Duration>) {
        self.max.store(max.map_or(0, |max| nanos(max).max(1)), Relaxed);
        self.spent.store(0, Relaxed);
    }

    /// Begins a stretch on the current thread.
    pub(super) fn begin_stretch(&self) {
        if self.max.load(Relaxed) > 0 {
            self.stretch_began.store(thread_nanos(), Relaxed);
        }
    }

    /// Ends the stretch, on the same thread.
    pub(super) fn end_stretch(&self) {
        if self.max.load(Relaxed) > 0 {
            self.spent.store(self.used(), Relaxed);
        }
    }

    /// Whether the call under way has used all that it may. Asked on its own thread.
    pub(super) fn is_spent(&self) -> bool {
        let max = self.max.load(Relaxed);
        max > 0 && self.used() >= max
    }

    fn used(&self) -> u64 {
        self.spent.load(Relaxed) + thread_nanos().saturating_sub(self.stretch_began.load(Relaxed))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn thread_nanos() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| nanos(Duration::from(time)))
}
