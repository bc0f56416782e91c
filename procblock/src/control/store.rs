//! A connection that turns out to be another process's store: a thread of unidist carries it, which knows no runtime.

use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tokio::sync::oneshot;
use unidist::Stop;
use unidist::service::{Begin, Service};

use super::protocol::parse_request;

/// A client that reads nothing for so long is cut off.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// Whether the line begins a session of another process's store.
pub(super) fn is_of_a_store(line: &[u8]) -> bool {
    line.windows(BEGIN.len()).any(|window| window == BEGIN)
        && parse_request(line).is_ok_and(|request| request.call.as_bytes() == BEGIN)
}

const BEGIN: &[u8] = b"node.begin";

/// The stream, once more.
pub(super) struct StoreStream {
    stream: UnixStream,
    process: u32,
}

/// Ends the thread when it is dropped: with the runtime, too.
struct Open(UnixStream);

impl Drop for Open {
    fn drop(&mut self) {
        // One that is closed already needs no end.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl StoreStream {
    /// None: the system has no descriptor left, or does not know the caller.
    pub(super) fn of(stream: &tokio::net::UnixStream) -> Option<Self> {
        let process = u32::try_from(stream.peer_cred().ok()?.pid()?).ok()?;
        let stream = UnixStream::from(stream.as_fd().try_clone_to_owned().ok()?);
        Some(StoreStream { stream, process })
    }

    /// Serves until the client goes or the instance ends; `read` was read of the stream before.
    pub(super) async fn serve(self, store: &Service, read: Vec<u8>, ending: &Stop) {
        let StoreStream { stream, process } = self;
        let prepared = stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(WRITE_MAX)));
        let (Ok(()), Ok(copy)) = (prepared, stream.try_clone()) else { return };
        let open = Open(copy);
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
