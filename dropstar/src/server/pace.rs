//! Whether a connection goes on: the time since it last did something, kept without a timer for each request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Limits;
use crate::answer::AnswerBody;
use crate::live::traffic::Traffic;
use crate::server::transport::Transport;
use crate::site::Moment;

/// Up to so many bytes are written as one piece: a copy costs less than what the kernel does for a list.
const SMALL: usize = 1024;

/// No such moment.
const NEVER: u64 = u64::MAX;

/// What a connection does and since when. Shared by its stream, its requests and who watches it.
pub(crate) struct Pace {
    /// When bytes last came.
    came: AtomicU64,
    /// Requests under way.
    requests: AtomicUsize,
    /// Since when no request is under way.
    idle_since: AtomicU64,
    /// When the first byte of a head came that is not whole yet.
    head_since: AtomicU64,
    /// Since when the client takes nothing of an answer.
    stalled_since: AtomicU64,
}

impl Pace {
    /// A new connection.
    pub(crate) fn new() -> Arc<Pace> {
        let now = Moment::now().nanoseconds();
        Arc::new(Pace {
            came: AtomicU64::new(now),
            requests: AtomicUsize::new(0),
            idle_since: AtomicU64::new(now),
            head_since: AtomicU64::new(NEVER),
            stalled_since: AtomicU64::new(NEVER),
        })
    }

    fn bytes_came(&self) {
        let now = Moment::now().nanoseconds();
        self.came.store(now, Ordering::Relaxed);
        if !self.has_requests() && self.head_since.load(Ordering::Relaxed) == NEVER {
            self.head_since.store(now, Ordering::Relaxed);
        }
    }

    /// When bytes last came.
    pub(crate) fn came(&self) -> Moment {
        Moment::of_nanoseconds(self.came.load(Ordering::Relaxed))
    }

    fn is_taken(&self) {
        if self.stalled_since.load(Ordering::Relaxed) != NEVER {
            self.stalled_since.store(NEVER, Ordering::Relaxed);
            self.idle_since.store(Moment::now().nanoseconds(), Ordering::Relaxed);
        }
    }

    fn is_not_taken(&self) {
        if self.stalled_since.load(Ordering::Relaxed) == NEVER {
            self.stalled_since.store(Moment::now().nanoseconds(), Ordering::Relaxed);
        }
    }

    /// A request's head is whole. It is under way until what is given is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(NEVER, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Whether a request is under way.
    fn has_requests(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Until when the connection may go on as it is; none if nothing is waited for from the client.
    pub(crate) fn until(&self, limits: &Limits) -> Option<Instant> {
        let after = |since: &AtomicU64, limit: Duration| {
            let since = since.load(Ordering::Relaxed);
            (since != NEVER).then(|| Moment::of_nanoseconds(since).instant() + limit)
        };
        let stalled = after(&self.stalled_since, limits.body_timeout);
        if self.has_requests() {
            return stalled;
        }
        stalled.or(after(&self.head_since, limits.header_timeout)).or(after(&self.idle_since, limits.idle_timeout))
    }
}

/// A request under way.
pub(crate) struct UnderWay(Arc<Pace>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.idle_since.store(Moment::now().nanoseconds(), Ordering::Relaxed);
        }
    }
}

impl UnderWay {
    /// An answer whose request is under way until its body is sent. One that is whole is the kernel's and the
    /// client's matter from now on.
    pub(crate) fn until_sent(self, body: AnswerBody) -> AnswerBody {
        match body {
            AnswerBody::Whole(bytes) => AnswerBody::Whole(bytes),
            AnswerBody::Stream(stream) => AnswerBody::Stream(Box::pin(Sent { stream, _under_way: self })),
        }
    }
}

struct Sent {
    stream: crate::answer::Stream,
    _under_way: UnderWay,
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.stream.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}

/// A connection's stream that notes what goes through it.
pub(crate) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    /// How long requests take.
    traffic: Arc<Traffic>,
    /// Whether the next answer has not yet let other requests go first.
    gives_way: bool,
}

impl<S> Paced<S> {
    /// A stream and where it is noted.
    pub(crate) fn new(stream: S, pace: Arc<Pace>, traffic: Arc<Traffic>) -> Self {
        Paced { stream, pace, traffic, gives_way: false }
    }
}

impl<S: Transport> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.pace.bytes_came();
            self.gives_way = true;
        }
        read
    }
}

impl<S> Paced<S> {
    /// Once for each request: answers that are written one right after the other wake their reader once, which on one
    /// machine costs more than a small page. So while requests are quick an answer waits until those that are ready too
    /// have had their turn.
    fn gives_way(&mut self, context: &Context<'_>) -> bool {
        let gives_way = std::mem::take(&mut self.gives_way) && self.traffic.is_quick();
        if gives_way {
            context.waker().wake_by_ref();
        }
        gives_way
    }

    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            self.pace.is_not_taken()
        } else {
            self.pace.is_taken()
        }
        written
    }
}

impl<S: Transport> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.gives_way(context) {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.gives_way(context) {
            return Poll::Pending;
        }
        let mut whole = [0; SMALL];
        let written = match joined(slices, &mut whole) {
            Some(bytes) => Pin::new(&mut self.stream).poll_write(context, bytes),
            None => Pin::new(&mut self.stream).poll_write_vectored(context, slices),
        };
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called whenever something has happened to the connection, also when there is nothing to flush: here is where a
    /// client is missed that left before its answer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pace.has_requests() && self.stream.poll_left(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The pieces in one, if they are small.
fn joined<'a>(slices: &[io::IoSlice<'_>], whole: &'a mut [u8; SMALL]) -> Option<&'a [u8]> {
    let mut end = 0;
    for slice in slices {
        let begin = end;
        end += slice.len();
        whole.get_mut(begin..end)?.copy_from_slice(slice);
    }
    whole.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_decides_how_long() {
        let limits = Limits::default();
        let begun = Instant::now();
        let pace = Pace::new();
        let in_seconds = |pace: &Pace| pace.until(&limits).map(|until| (until - begun).as_secs());
        assert_eq!(in_seconds(&pace), Some(limits.idle_timeout.as_secs()));
        pace.bytes_came();
        assert_eq!(in_seconds(&pace), Some(limits.header_timeout.as_secs()));
        let first = pace.begin();
        assert_eq!(in_seconds(&pace), None);
        pace.is_not_taken();
        assert_eq!(in_seconds(&pace), Some(limits.body_timeout.as_secs()));
        pace.is_taken();
        pace.bytes_came();
        let second = pace.begin();
        drop(first);
        assert_eq!(in_seconds(&pace), None);
        drop(second);
        assert_eq!(in_seconds(&pace), Some(limits.idle_timeout.as_secs()));
    }
}
