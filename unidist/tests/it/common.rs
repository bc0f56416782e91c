//! Stores to test with, and waiting for a condition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use unidist::{HostLocks, Limits, Unidist, VirtualClock};

/// An open store with its clock, which tests move by hand.
pub(crate) struct Store {
    pub(crate) shared: Unidist,
    pub(crate) clock: Arc<VirtualClock>,
}

impl Store {
    pub(crate) fn advance(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
    }
}

/// A fresh store of each engine, one after the other.
pub(crate) fn each_engine(rule: impl Fn(Store)) {
    each_engine_with(Limits::default(), rule);
}

/// The same with other limits.
pub(crate) fn each_engine_with(limits: Limits, rule: impl Fn(Store)) {
    rule(open("memory:", limits.clone()));
    #[cfg(feature = "file")]
    for sync in ["always", "interval"] {
        let Ok(folder) = tempfile::tempdir() else { panic!("no temporary folder") };
        rule(open(&format!("file:{}?sync={sync}", folder.path().display()), limits.clone()));
    }
}

fn open(url: &str, limits: Limits) -> Store {
    let clock = Arc::new(VirtualClock::new());
    let builder = Unidist::builder().clock(clock.clone()).host_locks(HostLocks::Off).limits(limits);
    match builder.open(url) {
        Ok(shared) => Store { shared, clock },
        Err(error) => panic!("{url}: {error}"),
    }
}

/// Waits until the condition holds: what other threads do shortly.
pub(crate) fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "the condition never held");
        std::thread::yield_now();
    }
}

/// One try.
pub(crate) const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

/// A whole number of seconds.
pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
