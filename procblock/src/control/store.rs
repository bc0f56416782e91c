//! A connection that turns out to be another process's store: a thread of unidist carries it, which knows no runtime.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use tokio::sync::oneshot;
use unidist::Stop;
use unidist::service::{Begin, Service};

use super::connection::WRITE_MAX;
use super::protocol::parse_request;

/// Whether the line begins a session of another process's store.
pub(super) fn is_of_a_store(line: &[u8]) -> bool {
    line.windows(BEGIN.len()).any(|window| window == BEGIN)
        && parse_request(line).is_ok_and(|request| request.call.as_bytes() == BEGIN)
}

const BEGIN: &[u8] = b"node.begin";

/// The stream, which no runtime knows any more.
pub(super) struct StoreStream {
    stream: UnixStream,
    process: u32,
}

/// Ends the thread that carries a stream when it is dropped: with the runtime, too.
pub(super) struct Open(Option<UnixStream>);

impl Open {
    pub(super) fn new(stream: &UnixStream) -> std::io::Result<Self> {
        stream.try_clone().map(|stream| Open(Some(stream)))
    }

    /// Lets the thread read what has come already, and then the end.
    pub(super) fn end_reading(&self) {
        self.shutdown(Shutdown::Read);
    }

    /// The thread has ended, and the stream goes on.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }

    fn shutdown(&self, how: Shutdown) {
        // One that is closed already needs no end.
        let _ = self.0.as_ref().map(|stream| stream.shutdown(how));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shutdown(Shutdown::Both);
    }
}

impl StoreStream {
    /// None: the system does not know the caller.
    pub(super) fn of(stream: tokio::net::UnixStream) -> Option<Self> {
        let process = u32::try_from(stream.peer_cred().ok()?.pid()?).ok()?;
        Some(StoreStream { stream: stream.into_std().ok()?, process })
    }

    /// Serves until the client goes or the instance ends; `read` was read of the stream before.
    pub(super) async fn serve(self, store: &Service, read: Vec<u8>, ending: &Stop) {
        let StoreStream { stream, process } = self;
        let prepared = stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(WRITE_MAX)));
        let (Ok(()), Ok(open)) = (prepared, Open::new(&stream)) else { return };
        let (done, ended) = oneshot::channel::<()>();
        let carrier = store.carrier(process);
        let thread = std::thread::Builder::new().name("procblock store".into());
        let started = thread.spawn(move || {
            carrier.serve(stream, Begin::Read(read));
            drop(done);
        });
        if let Err(error) = started {
            log::warn!("the instance's socket: {error}");
            return;
        }
        tokio::select! {
            _ = ended => {}
            () = ending.requested() => {}
        }
        drop(open);
    }
}
