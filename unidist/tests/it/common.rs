//! Stores to test with, and waiting for a condition.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use unidist::{HostLocks, Limits, Unidist, VirtualClock};

/// An open store with its clock, which tests move by hand.
pub(crate) struct Store {
    pub(crate) shared: Unidist,
    pub(crate) clock: Arc<VirtualClock>,
    /// The process that has the store, as another opening of it, when `shared` goes through its socket.
    _owner: Option<Unidist>,
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
    #[cfg(feature = "node")]
    {
        let Ok(folder) = tempfile::tempdir() else { panic!("no temporary folder") };
        let socket = folder.path().join("socket");
        let owner = open("memory:", limits.clone());
        let Ok(_server) = unidist::service::Server::start(&owner.shared, &socket) else { panic!("no socket") };
        rule(open_beside(&format!("node:unix:{}", socket.display()), limits.clone(), owner));
    }
    #[cfg(feature = "file")]
    {
        let Ok(folder) = tempfile::tempdir() else { panic!("no temporary folder") };
        // Without a sync for each change; `node` tests those that are synced.
        let url = format!("file:{}?sync=interval", folder.path().display());
        let owner = open(&url, limits.clone());
        rule(open_beside(&url, limits, owner));
    }
}

/// A second opening, which goes through the socket of the first.
#[cfg(feature = "node")]
fn open_beside(url: &str, limits: Limits, owner: Store) -> Store {
    let builder = Unidist::builder().clock(owner.clock.clone()).limits(limits);
    match builder.open(url) {
        Ok(shared) => Store { shared, clock: owner.clock, _owner: Some(owner.shared) },
        Err(error) => panic!("{url}: {error}"),
    }
}

fn open(url: &str, limits: Limits) -> Store {
    let clock = Arc::new(VirtualClock::new());
    let builder = Unidist::builder().clock(clock.clone()).host_locks(HostLocks::Off).limits(limits);
    match builder.open(url) {
        Ok(shared) => Store { shared, clock, _owner: None },
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

/// Polls until the future is ready: at once, or as soon as another process has told its outcome.
pub(crate) fn polled_until_ready<F: Future>(mut future: Pin<&mut F>, context: &mut Context<'_>) -> F::Output {
    let start = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return output;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the future never was ready");
        std::thread::yield_now();
    }
}

/// One try.
pub(crate) const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

/// A whole number of seconds.
pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
