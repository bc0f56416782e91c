//! One connection: HTTP/1.1, or HTTP/2 where TLS agreed on it, watched and ended in good order.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::Limits;
use crate::answer::AnswerBody;
use crate::request::Ends;
use crate::server::handle::{Opened, handle};
use crate::server::listener::Listening;
use crate::server::pace::{Pace, Paced};
use crate::server::transport::Transport;

/// hyper's least buffer.
const BUFFER_MIN: usize = 8192;

/// Streams of one HTTP/2 connection at once.
const STREAMS_MAX: u32 = 100;

/// A connection that nothing is waited for from is looked at this often.
const FAR: Duration = Duration::from_secs(3600);

/// The versions of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.0 and 1.1.
    One,
    /// HTTP/2.
    Two,
}

/// Serves a connection until it is closed, expires, or is asked to end and has no request under way.
pub(crate) async fn serve<S>(
    stream: S,
    protocol: Protocol,
    ends: Ends,
    listening: Arc<Listening>,
    end: oneshot::Receiver<()>,
) where
    S: Transport,
{
    let serving = listening.serving.load_full();
    let (limits, traffic) = (serving.config.limits.clone(), Arc::clone(&serving.surroundings.traffic));
    drop(serving);
    let pace = Pace::new();
    let stream = TokioIo::new(Paced::new(stream, Arc::clone(&pace), traffic));
    let requests = requests(listening, ends, Arc::clone(&pace));
    match protocol {
        Protocol::One => {
            let connection = http1::Builder::new()
                .header_read_timeout(None)
                // Else hyper looks for the end by reading, into a buffer that it makes for each request.
                .half_close(S::TELLS_LEAVING)
                .max_buf_size(limits.header_bytes.max(BUFFER_MIN))
                .max_header_size(limits.header_bytes)
                .serve_connection(stream, requests);
            watch(pin!(connection), &pace, &limits, end).await;
        }
        Protocol::Two => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
                .serve_connection(stream, requests);
            watch(pin!(connection), &pace, &limits, end).await;
        }
    }
}

/// How a connection's requests are answered. Its future has no name and so no box: hyper keeps one place for it in each
/// connection.
fn requests(
    listening: Arc<Listening>,
    ends: Ends,
    pace: Arc<Pace>,
) -> impl HttpService<Incoming, ResBody = AnswerBody, Error = Infallible, Future: Send + 'static> {
    service_fn(move |request| {
        let serving = listening.serving.load_full();
        let (under_way, came) = (pace.begin(), pace.came());
        let request = Opened::new(&serving, request, (ends, came));
        async move {
            let is_quick = serving.surroundings.traffic.is_quick();
            if is_quick {
                give_way().await;
            }
            let answer = handle(&serving, request).await;
            Ok(answer.map(|body| under_way.until_sent(body)))
        }
    })
}

/// Once for each request while requests are quick: those that are ready too are read first. What is then asked of the
/// file system counts for all of them.
async fn give_way() {
    let mut has_given_way = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_given_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A connection that can be asked to end.
trait Endable: Future {
    /// No request after those under way.
    fn finish(self: Pin<&mut Self>);
}

impl<I, S> Endable for http1::Connection<I, S>
where
    Self: Future,
    S: HttpService<Incoming, ResBody = AnswerBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Endable for http2::Connection<I, S, TokioExecutor>
where
    Self: Future,
    S: HttpService<Incoming, ResBody = AnswerBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn watch<C: Endable>(mut connection: Pin<&mut C>, pace: &Pace, limits: &Limits, end: oneshot::Receiver<()>) {
    let mut sleep = pin!(tokio::time::sleep(limits.idle_timeout));
    let mut is_armed = false;
    let mut end = Some(end);
    poll_fn(|context| {
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if end.as_mut().is_some_and(|end| has_ended(end, is_armed, context)) {
            end = None;
            connection.as_mut().finish();
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
        }
        expired(pace, limits, (sleep.as_mut(), &mut is_armed), context)
    })
    .await;
}

/// Whether a connection was asked to end. Where the task waits for it already, which stays the same one, looking is
/// enough.
fn has_ended(end: &mut oneshot::Receiver<()>, is_armed: bool, context: &mut Context<'_>) -> bool {
    if is_armed {
        return !matches!(end.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }
    Pin::new(end).poll(context).is_ready()
}

/// Ready when the client let the connection wait too long. The timer is only set anew when it fires or when something
/// is due before it, so a request costs none.
fn expired(
    pace: &Pace,
    limits: &Limits,
    (mut sleep, is_armed): (Pin<&mut Sleep>, &mut bool),
    context: &mut Context<'_>,
) -> Poll<()> {
    loop {
        let until = pace.until(limits).map(Instant::from);
        if until.is_some_and(|until| until < sleep.deadline()) {
            sleep.as_mut().reset(until.unwrap_or_else(|| Instant::now() + FAR));
            *is_armed = false;
        }
        if *is_armed && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        *is_armed = sleep.as_mut().poll(context).is_pending();
        if *is_armed {
            return Poll::Pending;
        }
        let now = Instant::now();
        match until {
            Some(until) if until <= now => return Poll::Ready(()),
            Some(until) => sleep.as_mut().reset(until),
            None => sleep.as_mut().reset(now + FAR),
        }
    }
}
