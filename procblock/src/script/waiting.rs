//! Waits that end with a deadline or a stop.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use unidist::Stop;

/// Why a call was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its time limit passed.
    TimedOut,
    /// It used more CPU time than it may.
    CpuSpent,
    /// A stop was requested.
    Stopped,
}

/// Completes with `future`, unless the deadline or a stop comes first. What is ready at once costs no timer.
pub(crate) async fn within<F: Future>(deadline: Option<Instant>, stop: &Stop, future: F) -> Result<F::Output, Ended> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return Ok(output);
    }
    tokio::select! {
        biased;
        output = future.as_mut() => Ok(output),
        () = passed(deadline) => Err(Ended::TimedOut),
        () = stop.requested() => Err(Ended::Stopped),
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
