//! The limit on programs at once, with a bounded number that wait for their turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Turns for programs.
pub(crate) struct Turns {
    free: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// Too many wait already, or the turn did not come in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Busy;

impl Turns {
    /// So many at once, and so many that wait.
    pub(crate) fn new(at_once: usize, waiting_max: usize) -> Turns {
        let at_once = at_once.clamp(1, Semaphore::MAX_PERMITS);
        Turns { free: Semaphore::new(at_once), waiting: AtomicUsize::new(0), waiting_max }
    }

    /// How many have a turn, of `at_once`, and how many wait.
    pub(crate) fn counts(&self, at_once: usize) -> (usize, usize) {
        (at_once.saturating_sub(self.free.available_permits()), self.waiting.load(Ordering::Relaxed))
    }

    /// Waits for a turn, in the order of asking. The turn ends when what is given is dropped.
    ///
    /// # Errors
    /// Too many wait already, or it is past the deadline.
    pub(crate) async fn take(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Busy> {
        if let Ok(turn) = self.free.try_acquire() {
            return Ok(turn);
        }
        Box::pin(self.wait(deadline)).await
    }

    async fn wait(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Busy> {
        let _waiting = Waiting::begin(&self.waiting, self.waiting_max)?;
        match tokio::time::timeout_at(deadline.into(), self.free.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Busy),
        }
    }
}

/// One that waits; it is counted until it is dropped, also when its client goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize, max: usize) -> Result<Waiting<'a>, Busy> {
        let waiting = Waiting(count);
        if count.fetch_add(1, Ordering::Relaxed) < max { Ok(waiting) } else { Err(Busy) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn past_the_limit_some_wait_and_the_rest_are_refused() {
        let turns = Turns::new(1, 1);
        let deadline = Instant::now() + Duration::from_secs(60);
        let first = turns.take(deadline).await.unwrap();
        let second = turns.take(deadline);
        tokio::pin!(second);
        assert!(futures_pending(second.as_mut()).await);
        assert_eq!(turns.take(deadline).await.err(), Some(Busy));
        drop(first);
        assert!(second.await.is_ok());
        assert!(turns.take(deadline).await.is_ok());
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_in_time_is_refused() {
        let turns = Turns::new(1, 1);
        let _first = turns.take(Instant::now()).await.unwrap();
        assert_eq!(turns.take(Instant::now()).await.err(), Some(Busy));
        assert_eq!(turns.waiting.load(Ordering::Relaxed), 0);
    }

    async fn futures_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }
}
