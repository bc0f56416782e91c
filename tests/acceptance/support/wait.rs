//! Waiting with a deadline for what another process does.

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; only a fault waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(180);

/// Between two looks at what gives no event.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// Waits until something holds that another process does and that gives no event.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {LONG:?}");
        std::thread::park_timeout(LOOK);
    }
}
