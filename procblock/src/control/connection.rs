//! One connection to an instance's socket: calls in, answers out, within bounds.

use std::future::Future;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use unidist::Stop;
use unidist::service::Request;

use super::lines::{LineReader, Next};
use super::protocol::{REQUEST_BYTES_MAX, answer_line, parse_request};
use super::server::{Calls, Shared};
use super::store::{StoreStream, is_of_a_store};
use crate::host::{Caller, HostError};
use crate::logging::{Page, RING_LINES_MAX, Ring};
use crate::value::{Map, Value, kind_name};

/// Calls under way at once; further ones wait unread.
const CALLS_MAX: usize = 16;

/// Answers that wait for the client to read.
const ANSWERS_MAX: usize = 4;

/// A connection without a call for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// A client that reads nothing for so long is cut off.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// How often a client that only reads is checked to be there.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Lines in one answer of a followed log.
const PAGE_LINES: usize = 500;

/// Lines that `logs` begins with unless told otherwise.
const LOGS_LINES: usize = 100;

/// Serves a client until it goes, is idle for too long, or breaks the protocol. One that turns out to be another
/// process's store goes on at a thread of its own.
pub(super) async fn serve(stream: UnixStream, shared: &Shared) {
    let copy = StoreStream::of(&stream);
    let (read, write) = stream.into_split();
    let (answers, waiting) = mpsc::channel(ANSWERS_MAX);
    let caller = shared.calls.opened();
    let talk = async {
        let hello = format!("{}\n", shared.hello);
        if answers.send(hello).await.is_err() {
            return None;
        }
        converse(read, shared, &caller, answers).await
    };
    let (begun, write) = tokio::join!(talk, write_all(write, waiting));
    if let (Some(begun), Some(copy), Some(store)) = (begun, copy, shared.calls.store()) {
        // Without the end of the stream, which goes on.
        write.forget();
        copy.serve(store, begun, &shared.ending).await;
    }
    shared.calls.closed(&caller);
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

/// Reads calls and starts each as a task of its own. When it returns, every call has ended; what it returns was read of
/// another process's store.
async fn converse(
    read: OwnedReadHalf,
    shared: &Shared,
    caller: &Caller,
    answers: mpsc::Sender<String>,
) -> Option<Vec<u8>> {
    let mut lines = LineReader::new(read, REQUEST_BYTES_MAX);
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = answers.closed() => return None,
            Some(_) = tasks.join_next() => {}
            () = shared.ending.requested() => break,
            next = tokio::time::timeout(IDLE_MAX, lines.next()), if tasks.len() < CALLS_MAX => match next {
                Ok(Next::Line(line)) if tasks.is_empty() && is_of_a_store(&line) => {
                    let rest = lines.into_rest();
                    return Some([&line[..], b"\n", &rest].concat());
                }
                Ok(Next::Line(line)) => {
                    let talk = Talk {
                        caller: caller.clone(),
                        answers: answers.clone(),
                        ending: shared.ending.clone(),
                    };
                    begin(Box::pin(answer(line, Arc::clone(&shared.calls), talk)), &mut tasks);
                }
                Ok(Next::TooLong) => {
                    let text = format!("the request has over {REQUEST_BYTES_MAX} bytes");
                    let _ = answers.send(answer_line(&Value::Null, Err(HostError::new("too_large", text)))).await;
                    return None;
                }
                Ok(Next::End) => break,
                Err(_) if tasks.is_empty() => return None,
                Err(_) => {}
            },
        }
    }
    // The client writes no more, or the instance ends; it may still read, as in `echo … | nc -U`.
    while !tasks.is_empty() && !is_gone(lines.get_ref()) {
        tokio::select! {
            () = answers.closed() => return None,
            _ = tasks.join_next() => {}
            () = tokio::time::sleep(CHECK_EVERY) => {}
        }
    }
    None
}

/// Lets a call answer at once if it can; one that waits becomes a task.
fn begin(mut call: Pin<Box<dyn Future<Output = ()> + Send>>, tasks: &mut JoinSet<()>) {
    if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        tasks.spawn(call);
    }
}

/// What a call knows of its connection.
struct Talk {
    caller: Caller,
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

async fn answer(line: Vec<u8>, calls: Arc<dyn Calls>, talk: Talk) {
    let answers = &talk.answers;
    let request = match parse_request(&line) {
        Ok(request) => request,
        Err((id, error)) => {
            let _ = answers.send(answer_line(&id, Err(error))).await;
            return;
        }
    };
    drop(line);
    let Request { id, call, args } = request;
    let answer = if call == "logs" {
        match LogsRequest::read(&args) {
            Ok(request) => return send_logs(&calls.ring(), &request, &id, &talk).await,
            Err(error) => Err(error),
        }
    } else {
        calls.call(&talk.caller, &call, args).await
    };
    let _ = answers.send(answer_line(&id, answer)).await;
}

/// The options of `logs`.
struct LogsRequest {
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
