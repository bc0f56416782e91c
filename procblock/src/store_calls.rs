//! Calls of the shared store that wait without a future, for its disk or the process that owns it: another thread takes
//! over their worker of the runtime meanwhile, so that many wait at once and share one write.

use tokio::runtime::{Handle, RuntimeFlavor};

/// How calls of a store are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreCalls {
    may_wait: bool,
}

impl StoreCalls {
    /// Those of the store that a URL names: only one in this process's memory answers at once.
    pub(crate) fn of(url: &str) -> StoreCalls {
        StoreCalls { may_wait: !url.starts_with("memory:") }
    }

    /// Whether they may wait.
    pub(crate) fn may_wait(self) -> bool {
        self.may_wait
    }

    /// Makes a call. It blocks the thread as long as the call does.
    pub(crate) fn make<T>(self, call: impl FnOnce() -> T) -> T {
        let is_worker =
            || Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
        if self.may_wait && is_worker() { tokio::task::block_in_place(call) } else { call() }
    }
}
