//! One connection to an instance's socket: calls in, answers out, within bounds.

use std::future::Future;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinSet;
use unidist::Stop;
use unidist::service::Request;

use super::busy;
use super::lines::{LineReader, Next};
use super::protocol::{REQUEST_BYTES_MAX, answer_line, parse_request};
use super::server::{Calls, Shared};
use super::store::{StoreStream, is_of_a_store};
use crate::host::{BoxFuture, Caller, HostError};
use crate::logging::{Page, RING_LINES_MAX, Ring};
use crate::value::{Map, Value, kind_name};

/// Calls under way at once; further ones wait unread.
const CALLS_MAX: usize = 16;

/// Answers that wait for the client to read.
const ANSWERS_MAX: usize = 4;

/// A connection without a call for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// A client that reads nothing for so long is cut off.
pub(super) const WRITE_MAX: Duration = Duration::from_secs(30);

/// A line is one of many that come fast when it comes so soon after the one before…
const FAST: Duration = Duration::from_millis(5);

/// … and so many before it did, too.
const FAST_CALLS: u32 = 16;

/// How often a client that only reads is checked to be there.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Lines in one answer of a followed log.
const PAGE_LINES: usize = 500;

/// Lines that `logs` begins with unless told otherwise.
const LOGS_LINES: usize = 100;

/// A connection at rest: every answer was written, and no call of it is under way but one.
pub(super) struct Rested {
    pub(super) stream: UnixStream,
    /// Was read of it, and not yet answered.
    pub(super) read: Vec<u8>,
    pub(super) waiting: Option<Answering>,
}

/// The line that will answer a call.
pub(super) type Answering = BoxFuture<'static, String>;

/// Why a task carries the connection no further.
enum Leave {
    Over,
    /// It turns out to be another process's store.
    Store,
    /// Its calls come fast, and there is a thread for them.
    Busy(OwnedSemaphorePermit),
}

/// Serves a client until it goes, is idle for too long, or breaks the protocol. One that turns out to be another
/// process's store goes on at a thread of its own; so does one whose calls come fast, until they do not.
pub(super) async fn serve(stream: UnixStream, shared: &Arc<Shared>) {
    let caller = Arc::new(shared.calls.opened());
    let mut hello = Some(format!("{}\n", shared.hello));
    let mut next = Some(Rested { stream, read: Vec::new(), waiting: None });
    while let Some(rested) = next.take() {
        match (talk(rested, hello.take(), shared, &caller).await, shared.calls.store()) {
            (Some((rested, Leave::Busy(slot))), _) => next = busy::serve(rested, slot, shared, &caller).await,
            (Some((rested, Leave::Store)), Some(store)) => {
                if let Some(stream) = StoreStream::of(rested.stream) {
                    stream.serve(store, rested.read, &shared.ending).await;
                }
            }
            _ => {}
        }
    }
    shared.calls.closed(&caller);
}

/// Carries a connection on the runtime. None: it is over.
async fn talk(rested: Rested, hello: Option<String>, shared: &Shared, caller: &Arc<Caller>) -> Option<(Rested, Leave)> {
    let (reader, writer) = rested.stream.into_split();
    let (answers, unsent) = mpsc::channel(ANSWERS_MAX);
    let mut lines = LineReader::after(rested.read, reader, REQUEST_BYTES_MAX);
    let conversation = async {
        if let Some(hello) = hello
            && answers.send(hello).await.is_err()
        {
            return (lines, Leave::Over);
        }
        let leave = converse(&mut lines, rested.waiting, (shared, caller), answers).await;
        (lines, leave)
    };
    let ((lines, leave), writer) = tokio::join!(conversation, write_all(writer, unsent));
    if matches!(leave, Leave::Over) {
        return None;
    }
    let (reader, read) = lines.into_parts();
    let stream = reader.reunite(writer).ok()?;
    Some((Rested { stream, read, waiting: None }, leave))
}

/// Writes answers until there are no more, or the client does not take them: then dropping the receiver tells senders.
async fn write_all(mut write: OwnedWriteHalf, mut waiting: mpsc::Receiver<String>) -> OwnedWriteHalf {
    while let Some(line) = waiting.recv().await {
        match tokio::time::timeout(WRITE_MAX, write.write_all(line.as_bytes())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    write
}

/// Reads calls; one that waits becomes a task. When it returns, every call has ended.
async fn converse(
    lines: &mut LineReader<OwnedReadHalf>,
    waiting: Option<Answering>,
    (shared, caller): (&Shared, &Arc<Caller>),
    answers: mpsc::Sender<String>,
) -> Leave {
    let mut tasks = JoinSet::new();
    let mut pace = Pace::default();
    if let Some(waiting) = waiting {
        tasks.spawn(send(waiting, answers.clone()));
    }
    loop {
        tokio::select! {
            biased;
            () = answers.closed() => return Leave::Over,
            Some(_) = tasks.join_next() => {}
            () = shared.ending.requested() => break,
            next = tokio::time::timeout(IDLE_MAX, lines.next()), if tasks.len() < CALLS_MAX => match next {
                Ok(Next::Line(line)) if tasks.is_empty() && is_of_a_store(&line) => {
                    lines.put_back(&line);
                    return Leave::Store;
                }
                Ok(Next::Line(line)) => {
                    if pace.is_fast() && tasks.is_empty() && let Ok(slot) = Arc::clone(&shared.threads).try_acquire_owned() {
                        lines.put_back(&line);
                        return Leave::Busy(slot);
                    }
                    begin(reply_to(&line, &shared.calls, caller), shared, &answers, &mut tasks);
                }
                Ok(Next::TooLong) => {
                    let _ = answers.send(too_long()).await;
                    return Leave::Over;
                }
                Ok(Next::End) => break,
                Err(_) if tasks.is_empty() => return Leave::Over,
                Err(_) => {}
            },
        }
    }
    // The client writes no more, or the instance ends; it may still read, as in `echo … | nc -U`.
    while !tasks.is_empty() && !is_gone(lines.get_ref()) {
        tokio::select! {
            () = answers.closed() => break,
            _ = tasks.join_next() => {}
            () = tokio::time::sleep(CHECK_EVERY) => {}
        }
    }
    Leave::Over
}

/// Whether lines come one soon after the other.
#[derive(Default)]
struct Pace {
    last: Option<Instant>,
    fast: u32,
}

impl Pace {
    /// A line came.
    fn is_fast(&mut self) -> bool {
        let now = Instant::now();
        let is_soon = self.last.replace(now).is_some_and(|last| now.duration_since(last) < FAST);
        self.fast = if is_soon { self.fast.saturating_add(1) } else { 0 };
        self.fast >= FAST_CALLS
    }
}

/// What answers a line.
pub(super) enum Reply {
    Now(String),
    Later(Answering),
    /// Lines of the log, to the call of this id.
    Logs(Value, LogsRequest),
}

/// Lets the call on the line answer at once if it can. Blocks for a write to the disk at most; inside a runtime.
pub(super) fn reply_to(line: &[u8], calls: &Arc<dyn Calls>, caller: &Arc<Caller>) -> Reply {
    let Request { id, call, args } = match parse_request(line) {
        Ok(request) => request,
        Err((id, error)) => return Reply::Now(answer_line(&id, Err(error))),
    };
    if call == "logs" {
        return match LogsRequest::read(&args) {
            Ok(request) => Reply::Logs(id, request),
            Err(error) => Reply::Now(answer_line(&id, Err(error))),
        };
    }
    let (calls, caller) = (Arc::clone(calls), Arc::clone(caller));
    let mut answering: Answering = Box::pin(async move {
        let answer = calls.call(&caller, &call, args).await;
        answer_line(&id, answer)
    });
    match answering.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(line) => Reply::Now(line),
        Poll::Pending => Reply::Later(answering),
    }
}

/// The answer to a line that is too long to be read.
pub(super) fn too_long() -> String {
    let text = format!("the request has over {REQUEST_BYTES_MAX} bytes");
    answer_line(&Value::Null, Err(HostError::new("too_large", text)))
}

/// Sends what is there; what waits, for its answer or for the client to read, becomes a task.
fn begin(reply: Reply, shared: &Shared, answers: &mpsc::Sender<String>, tasks: &mut JoinSet<()>) {
    match reply {
        Reply::Now(line) => {
            if let Err(TrySendError::Full(line)) = answers.try_send(line) {
                tasks.spawn(send(std::future::ready(line), answers.clone()));
            }
        }
        Reply::Later(answering) => drop(tasks.spawn(send(answering, answers.clone()))),
        Reply::Logs(id, request) => {
            let talk = Talk { answers: answers.clone(), ending: shared.ending.clone() };
            let ring = shared.calls.ring();
            tasks.spawn(async move { send_logs(&ring, &request, &id, &talk).await });
        }
    }
}

async fn send(line: impl Future<Output = String>, answers: mpsc::Sender<String>) {
    let _ = answers.send(line.await).await;
}

/// What a followed log knows of its connection.
struct Talk {
    answers: mpsc::Sender<String>,
    ending: Stop,
}

/// Whether the client has closed both directions.
fn is_gone(read: &OwnedReadHalf) -> bool {
    let stream: &UnixStream = read.as_ref();
    let mut descriptors = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    let polled = poll(&mut descriptors, PollTimeout::ZERO);
    let [descriptor] = descriptors;
    polled.is_err()
        || descriptor.revents().is_some_and(|found| found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
}

/// The options of `logs`.
pub(super) struct LogsRequest {
    lines: usize,
    is_followed: bool,
}

impl LogsRequest {
    fn read(args: &[Value]) -> Result<Self, HostError> {
        let refuse = |text: String| HostError::new("bad_argument", text);
        let mut request = LogsRequest { lines: LOGS_LINES, is_followed: false };
        let options = match args {
            [] => return Ok(request),
            [Value::Object(options)] => options,
            _ => return Err(refuse("logs takes a mapping: {lines, follow}".into())),
        };
        for (name, value) in options {
            match (name.as_str(), value) {
                ("lines", Value::Number(number)) if number.as_u64().is_some() => {
                    let lines = number.as_u64().and_then(|number| usize::try_from(number).ok());
                    request.lines = lines.unwrap_or(RING_LINES_MAX).min(RING_LINES_MAX);
                }
                ("lines", other) => {
                    return Err(refuse(format!("lines is a whole number from 0, found a {}", kind_name(other))));
                }
                ("follow", Value::Bool(follow)) => request.is_followed = *follow,
                ("follow", other) => {
                    return Err(refuse(format!("follow is true or false, found a {}", kind_name(other))));
                }
                (other, _) => return Err(refuse(format!("logs has no option {other:?}; there are: lines, follow"))),
            }
        }
        Ok(request)
    }
}

/// The newest lines; when they are followed, then each new one, until the client goes or the instance has ended.
async fn send_logs(ring: &Ring, request: &LogsRequest, id: &Value, talk: &Talk) {
    let mut page = ring.newest(request.lines);
    loop {
        let next = page.next;
        if talk.answers.send(answer_line(id, Ok(page_value(&page)))).await.is_err() || !request.is_followed {
            return;
        }
        tokio::select! {
            biased;
            () = ring.wait_for(next) => {}
            () = talk.ending.requested() => return,
        }
        page = ring.read(next, PAGE_LINES);
    }
}

/// Lines of the log as data.
pub(crate) fn page_value(page: &Page) -> Value {
    let mut map = Map::new();
    map.insert("lines".into(), page.lines.iter().map(|line| line.to_value()).collect());
    map.insert("missed".into(), page.missed.into());
    map.insert("next".into(), page.next.into());
    Value::Object(map)
}
