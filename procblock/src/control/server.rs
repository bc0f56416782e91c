//! The listening side of an instance's socket.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use unidist::Stop;
use unidist::service::Service;

use super::busy::THREADS_MAX;
use super::claim::Claim;
use super::connection::serve;
use super::folder::FolderError;
use super::protocol::{Hello, answer_line};
use crate::host::{BoxFuture, Caller, HostError};
use crate::logging::Ring;
use crate::value::Value;

/// Connections at once; one more is told so and closed.
pub const CONNECTIONS_MAX: usize = 256;

/// A pause after the system refused a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a refused client is waited for.
const REFUSAL_MAX: Duration = Duration::from_millis(100);

/// How long clients may take to read the last lines of a log.
const END_MAX: Duration = Duration::from_millis(500);

/// What the calls of a socket end in.
pub trait Calls: Send + Sync {
    /// Answers a call. Dropping the future, as when the client is gone, ends it.
    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        name: &'a str,
        arguments: Vec<Value>,
    ) -> BoxFuture<'a, Result<Value, HostError>>;

    /// A connection begins: who calls over it.
    fn opened(&self) -> Caller;

    /// A connection has ended, with all its calls.
    fn closed(&self, caller: &Caller);

    /// The lines that `logs` shows.
    fn ring(&self) -> Arc<Ring>;

    /// The store, for other processes that open it as `node:unix:SOCKET`; none: it is not served.
    fn store(&self) -> Option<&Service> {
        None
    }
}

/// What connections share.
pub(super) struct Shared {
    /// The first line.
    pub(super) hello: Value,
    pub(super) calls: Arc<dyn Calls>,
    /// Requested when the instance has ended: connections send what they have and close.
    pub(super) ending: Stop,
    /// Threads for connections whose calls come fast.
    pub(super) threads: Arc<Semaphore>,
}

/// Answers on a socket until it is dropped, which removes the socket and frees the name.
pub struct Server {
    accepting: JoinHandle<()>,
    claim: Claim,
    slots: Arc<Semaphore>,
    ending: Stop,
}

impl Server {
    /// Listens on the claim's socket; one that a killed process left is replaced. Must be called inside a runtime.
    ///
    /// # Errors
    /// The socket can't be made: its path is too long, or the folder can't be written.
    pub fn start(claim: Claim, hello: Hello, calls: Arc<dyn Calls>) -> Result<Self, FolderError> {
        let socket = claim.socket();
        let refuse = |error: std::io::Error| {
            let remedy = match error.kind() {
                ErrorKind::InvalidInput => "; set XDG_RUNTIME_DIR to a folder with a shorter path",
                _ => "",
            };
            FolderError { path: socket.to_path_buf(), reason: format!("{error}{remedy}") }
        };
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(refuse(error)),
            _ => {}
        }
        let listener = UnixListener::bind(socket).map_err(refuse)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(refuse)?;
        let (slots, ending) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Stop::new());
        let hello = first_line(&hello, calls.store());
        let threads = Arc::new(Semaphore::new(THREADS_MAX));
        let shared = Arc::new(Shared { hello, calls, ending: ending.clone(), threads });
        let accepting = tokio::spawn(accept(listener, shared, Arc::clone(&slots)));
        Ok(Server { accepting, claim, slots, ending })
    }

    /// Takes no more calls and lets those who follow the log have its last lines; waits for that at most 500 ms.
    pub async fn end(self) {
        self.accepting.abort();
        self.ending.request();
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(END_MAX, self.slots.acquire_many(all)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(self.claim.socket());
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>, slots: Arc<Semaphore>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                log::warn!("the instance's socket: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(text) = check_peer(&stream) {
            log::warn!("the instance's socket: {text}");
            continue;
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            refuse(stream, &shared.hello).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            serve(stream, &shared).await;
            drop(slot);
        });
    }
}

/// Only this user and root may call.
fn check_peer(stream: &UnixStream) -> Result<(), String> {
    let peer = stream.peer_cred().map_err(|error| error.to_string())?.uid();
    let own = geteuid().as_raw();
    if peer == own || peer == 0 { Ok(()) } else { Err(format!("user {peer} was refused")) }
}

/// Who answers, also to those who are after the store.
fn first_line(hello: &Hello, store: Option<&Service>) -> Value {
    let mut line = hello.to_value();
    let store = store.and_then(|store| serde_json::to_value(store.hello()).ok());
    if let (Value::Object(line), Some(Value::Object(store))) = (&mut line, store) {
        line.extend(store);
    }
    line
}

async fn refuse(mut stream: UnixStream, hello: &Value) {
    let text = format!("the instance has {CONNECTIONS_MAX} connections already; try again");
    let error = answer_line(&Value::Null, Err(HostError::new("busy", text)));
    let lines = format!("{hello}\n{error}");
    let _ = tokio::time::timeout(REFUSAL_MAX, stream.write_all(lines.as_bytes())).await;
}
