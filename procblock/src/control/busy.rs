//! A connection whose calls come fast, each after the answer to the one before: a thread answers them.
//!
//! On the runtime such a connection goes from one worker to the next, because a worker that waits for the disk is
//! replaced and whoever polls the sockets wakes another. The thread only answers calls that answer at once. What has to
//! wait, the log and whatever ends the connection are the task's, which takes it back; so is a connection that has been
//! quiet for a moment. The calls, their limits and errors are the same on both ways.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use unidist::service::{Eager, LineReader, Next};

use super::connection::{Answering, Reply, Rested, WRITE_MAX, reply_to, too_long};
use super::protocol::REQUEST_BYTES_MAX;
use super::server::Shared;
use super::store::{Open, is_of_a_store};
use crate::host::Caller;

/// Such threads at once; a further connection stays on the runtime.
pub(super) const THREADS_MAX: usize = 16;

/// A connection without a call for so long goes back to the runtime.
const QUIET_MAX: Duration = Duration::from_millis(100);

/// What a thread leaves to the task.
struct Left {
    stream: UnixStream,
    read: Vec<u8>,
    waiting: Option<Answering>,
}

/// Carries the connection while its calls come fast; none: it is over. Dropping the future closes the connection.
pub(super) async fn serve(
    rested: Rested,
    slot: OwnedSemaphorePermit,
    shared: &Arc<Shared>,
    caller: &Arc<Caller>,
) -> Option<Rested> {
    let stream = rested.stream.into_std().ok()?;
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(QUIET_MAX)).ok()?;
    stream.set_write_timeout(Some(WRITE_MAX)).ok()?;
    let open = Open::new(&stream).ok()?;
    let (done, mut ended) = oneshot::channel();
    let (runtime, carried, caller) = (Handle::current(), Arc::clone(shared), Arc::clone(caller));
    let thread = std::thread::Builder::new().name("procblock calls".into());
    let started = thread.spawn(move || {
        let _inside = runtime.enter();
        let left = carry(stream, rested.read, &carried, &caller);
        drop(slot);
        // Nobody is there to take it when the runtime has ended.
        let _ = done.send(left);
    });
    if let Err(error) = started {
        log::warn!("the instance's socket: {error}");
        return None;
    }
    let left = tokio::select! {
        left = &mut ended => left,
        () = shared.ending.requested() => {
            open.end_reading();
            ended.await
        }
    };
    let Left { stream, read, waiting } = left.ok()??;
    stream.set_nonblocking(true).ok()?;
    let stream = tokio::net::UnixStream::from_std(stream).ok()?;
    open.keep();
    Some(Rested { stream, read, waiting })
}

/// Answers until a call waits, no further one comes, or the client is gone: none.
fn carry(stream: UnixStream, read: Vec<u8>, shared: &Shared, caller: &Arc<Caller>) -> Option<Left> {
    let mut writer = stream.try_clone().ok()?;
    let mut lines = LineReader::after(read, Eager::new(stream), REQUEST_BYTES_MAX);
    let mut unanswered = Vec::new();
    let mut waiting = None;
    loop {
        let line = match lines.next_line() {
            Ok(Next::Line(line)) => line,
            Ok(Next::TooLong) => {
                let _ = writer.write_all(too_long().as_bytes());
                return None;
            }
            // The task meets the end once more.
            Ok(Next::End) => break,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(_) => return None,
        };
        let reply = if is_of_a_store(line) { None } else { Some(reply_to(line, &shared.calls, caller)) };
        match reply {
            Some(Reply::Now(answer)) => writer.write_all(answer.as_bytes()).ok()?,
            Some(Reply::Later(answering)) => {
                waiting = Some(answering);
                break;
            }
            Some(Reply::Logs(..)) | None => {
                unanswered = [line, b"\n"].concat();
                break;
            }
        }
        if shared.ending.is_requested() {
            break;
        }
    }
    let (eager, read) = lines.into_parts();
    Some(Left { stream: eager.into_stream(), read: [unanswered, read].concat(), waiting })
}
