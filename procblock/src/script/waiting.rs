//! Waits that end with a deadline or a stop.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use unidist::Stop;

use super::Call;

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

/// Completes with `future`, unless the call's deadline or its stop comes first. What is ready at once costs no timer,
/// and no room for one.
pub(super) async fn within<F: Future>(call: &Call<'_>, future: F) -> Result<F::Output, Ended> {
    let (mut future, mut end) = (pin!(future), None);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => {
            let end = end.get_or_insert_with(|| Box::pin(ended(call.deadline(), call.stop)));
            end.as_mut().poll(context).map(Err)
        }
    })
    .await
}

async fn ended(deadline: Option<Instant>, stop: &Stop) -> Ended {
    tokio::select! {
        biased;
        () = passed(deadline) => Ended::TimedOut,
        () = stop.requested() => Ended::Stopped,
    }
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
