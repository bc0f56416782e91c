//! How many processes a step with `limits: {processes}` is, counted again and again.
//!
//! Counted here and not by the kernel: `RLIMIT_NPROC` counts all processes of a user, wherever they come from, and
//! none of root's; a cgroup with `pids.max` needs a delegated hierarchy, which a login shell or a container rarely has,
//! and answers a fork beyond it with an error, where a limit of ours ends the step everywhere alike.

use std::time::{Duration, Instant};

use rustix::process::{getpriority_process, setpriority_process};

/// Between two counts.
const COUNT_EVERY: Duration = Duration::from_millis(5);

/// A count may take one part in so many of the keeper's time: on a machine with very many processes it comes later.
const TIME_SHARE: u32 = 4;

/// The keeper's niceness while it counts, where it may set it: a fork bomb has hundreds of processes that want the
/// processors, and is many more by the time one of the same niceness gets its turn.
const NICENESS: i32 = -15;

/// The keeper's place among the processes that want to run.
#[derive(Default)]
pub(super) struct Precedence {
    /// The niceness to go back to.
    usual: Option<i32>,
}

impl Precedence {
    /// The niceness that children are to have, while this process has another.
    pub(super) fn usual(&self) -> Option<i32> {
        self.usual
    }

    /// Takes or gives up precedence. Without the right to it everything stays as it is.
    pub(super) fn set(&mut self, is_wanted: bool) {
        match (is_wanted, self.usual) {
            (true, None) => {
                let usual = getpriority_process(None).unwrap_or(0);
                if setpriority_process(None, NICENESS.min(usual)).is_ok() {
                    self.usual = Some(usual);
                }
            }
            (false, Some(usual)) => {
                let _ = setpriority_process(None, usual);
                self.usual = None;
            }
            _ => {}
        }
    }
}

/// The limit of one step and what was counted last.
pub(super) struct Census {
    max: u64,
    count_at: Instant,
    crowd: Option<u64>,
}

impl Census {
    /// Nothing counted yet.
    pub(super) fn new(max: u64, now: Instant) -> Self {
        Census { max, count_at: now + COUNT_EVERY, crowd: None }
    }

    /// When it is counted next.
    pub(super) fn count_at(&self) -> Instant {
        self.count_at
    }

    /// The number of processes for which the step was ended.
    pub(super) fn crowd(&self) -> Option<u64> {
        self.crowd
    }

    /// Takes a count that was begun at `began`; true when it is over the limit.
    pub(super) fn takes(&mut self, count: u64, began: Instant) -> bool {
        let now = Instant::now();
        let cost = now.saturating_duration_since(began);
        self.count_at = now + COUNT_EVERY.max(cost * TIME_SHARE);
        self.crowd = (count > self.max).then_some(count);
        self.crowd.is_some()
    }
}
