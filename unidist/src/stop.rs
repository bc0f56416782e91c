//! A request to stop that every wait in the project listens to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use event_listener::{Event, Listener};

/// Shared by everything that should end together; a clone is the same request. Once requested it stays requested.
#[derive(Clone, Default)]
pub struct Stop {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    is_requested: AtomicBool,
    event: Event,
}

impl Stop {
    /// Not requested.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everyone to stop and wakes every waiter. Does not block.
    pub fn request(&self) {
        self.inner.is_requested.store(true, Ordering::SeqCst);
        self.inner.event.notify(usize::MAX);
    }

    /// Whether it was requested.
    pub fn is_requested(&self) -> bool {
        self.inner.is_requested.load(Ordering::SeqCst)
    }

    /// Blocks for at most `limit`; true as soon as a stop is requested, false when the time is over.
    pub fn wait(&self, limit: Duration) -> bool {
        let deadline = Instant::now().checked_add(limit);
        loop {
            if self.is_requested() {
                return true;
            }
            let listener = self.inner.event.listen();
            if self.is_requested() {
                return true;
            }
            let Some(deadline) = deadline else {
                listener.wait();
                continue;
            };
            if listener.wait_deadline(deadline).is_none() {
                return self.is_requested();
            }
        }
    }

    /// Notified when a stop is requested; ask `is_requested` after it was made.
    pub(crate) fn listen(&self) -> event_listener::EventListener {
        self.inner.event.listen()
    }

    /// Completes when a stop is requested.
    pub async fn requested(&self) {
        while !self.is_requested() {
            let listener = self.inner.event.listen();
            if self.is_requested() {
                return;
            }
            listener.await;
        }
    }
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stop({})", self.is_requested())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_a_stop_is_requested_elsewhere() {
        let stop = Stop::new();
        let other = stop.clone();
        let thread = std::thread::spawn(move || other.wait(Duration::from_secs(60)));
        stop.request();
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_wait_ends_when_its_time_is_over() {
        assert!(!Stop::new().wait(Duration::from_millis(1)));
    }
}
