//! The socket of a `file:` store: a thread that accepts, and one for each connection.
//!
//! The folder is its user's alone and so is the socket; the user of each caller is checked too. Everything that a
//! connection can make grow is bounded. Stopping closes all connections and waits for their threads.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use parking_lot::Mutex;
use serde_json::Value;

#[cfg(feature = "file")]
use super::Lasting;
#[cfg(feature = "file")]
use super::kept::KeptLocks;
use super::session::Session;
use super::tasks::Task;
use super::{Connection, Inner, Service, random_name};
use crate::Unidist;
#[cfg(feature = "file")]
use crate::engine::Engine;
use crate::sharedlock::Owner;
use crate::wait::block_on;
use crate::wire::{LINE_BYTES_MAX, LineReader, Next, Request, answer_line, fault_of, line_of, plain_fault};

/// Connections at once; one more is closed.
const CONNECTIONS_MAX: usize = 1_024;
/// Calls of one connection that wait at once; a further one is refused.
const WAITING_MAX: usize = 64;
/// A client that reads nothing for so long is cut off.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// How often a session without a connection is looked after.
const LOOK_EVERY: u16 = 20;
/// After the system refused a connection, such as for want of descriptors.
const REST: u16 = 100;
/// The stack of a connection's thread, in bytes: values nest 128 deep.
const STACK_BYTES: usize = 1024 * 1024;

/// Serves a store on a socket until it is dropped.
///
/// ```
/// use unidist::Unidist;
/// use unidist::service::Server;
/// let folder = tempfile::tempdir().unwrap();
/// let socket = folder.path().join("socket");
/// let shared = Unidist::open("memory:")?;
/// let server = Server::start(&shared, &socket).unwrap();
/// let elsewhere = Unidist::open(&format!("node:unix:{}", socket.display()))?;
/// elsewhere.sharedcounter().increment("requests", 1)?;
/// assert_eq!(shared.sharedcounter().get("requests")?, 1);
/// # Ok::<(), unidist::Error>(())
/// ```
pub struct Server {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    service: Service,
    socket: PathBuf,
    /// Written to, it wakes the accepting thread; closed, it ends it.
    wake: Mutex<Option<UnixStream>>,
    connections: Mutex<HashMap<u64, Open>>,
    numbers: AtomicU64,
}

struct Open {
    stream: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the store; only processes of this user and root are answered. A socket that is there is replaced, and the
    /// socket is removed at the end.
    ///
    /// # Errors
    /// The socket can't be made, or the system refuses a thread.
    pub fn start(shared: &Unidist, socket: &Path) -> io::Result<Self> {
        Self::serve(Service::new(shared), socket.to_owned())
    }

    /// Serves the store in this folder, which is this process's.
    #[cfg(feature = "file")]
    pub(crate) fn start_lasting(
        engine: Arc<dyn Engine>,
        lasting: Arc<dyn Lasting>,
        folder: &Path,
        socket: PathBuf,
    ) -> io::Result<Self> {
        let kept = KeptLocks::new(folder);
        kept.observe(&*lasting);
        let survivors = kept.survivors();
        let service = Service::build(engine, Some(lasting), Some(kept));
        for survivor in survivors {
            service.inner.adopt(survivor.session, survivor.held);
        }
        Self::serve(service, socket)
    }

    fn serve(service: Service, socket: PathBuf) -> io::Result<Self> {
        let listener = listen(&socket)?;
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            service,
            socket,
            wake: Mutex::new(Some(wake)),
            connections: Mutex::default(),
            numbers: AtomicU64::new(1),
        });
        let accepting = shared.clone();
        let thread = std::thread::Builder::new().name("unidist socket".to_owned());
        let thread = Some(thread.spawn(move || accepting.accept_all(&listener, &woken))?);
        Ok(Server { shared, thread })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.shared.socket);
        drop(self.shared.wake.lock().take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked accepts nothing.
            let _ = thread.join();
        }
        // Before their connections are closed, which would end them: the next owner goes on with them.
        self.shared.service.close_sessions();
        let open = std::mem::take(&mut *self.shared.connections.lock());
        for connection in open.values() {
            let _ = connection.stream.shutdown(std::net::Shutdown::Both);
        }
        for connection in open.into_values() {
            if let Some(thread) = connection.thread {
                let _ = thread.join();
            }
        }
        self.shared.service.inner.tidy();
    }
}

/// Listens at a path of any length, with an entry of a killed process replaced.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = crate::engine::node::at_short_path(socket, |path| UnixListener::bind(path))?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Shared {
    fn accept_all(self: &Arc<Self>, listener: &UnixListener, woken: &UnixStream) {
        loop {
            let timeout =
                if self.service.inner.end_dead_sessions() { PollTimeout::from(LOOK_EVERY) } else { PollTimeout::NONE };
            let mut ready =
                [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut ready, timeout);
            let mut byte = [0; 16];
            let is_woken = ready.get(1).and_then(PollFd::revents).is_some_and(|events| !events.is_empty());
            if is_woken
                && matches!(
                    {
                        let mut woken = woken;
                        woken.read(&mut byte)
                    },
                    Ok(0)
                )
            {
                return;
            }
            match listener.accept() {
                Ok((stream, _)) => self.begin(stream),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => {
                    let _ = poll(&mut [PollFd::new(woken.as_fd(), PollFlags::POLLIN)], PollTimeout::from(REST));
                }
            }
        }
    }

    /// A caller of this user or root gets a thread; others, and one too many, are closed.
    fn begin(self: &Arc<Self>, stream: UnixStream) {
        let Ok(peer) = getsockopt(&stream, PeerCredentials) else { return };
        if peer.uid() != geteuid().as_raw() && peer.uid() != 0 {
            return;
        }
        let process = u32::try_from(peer.pid()).unwrap_or(0);
        let prepared = stream.set_nonblocking(false).and_then(|()| stream.set_write_timeout(Some(WRITE_MAX)));
        let (Ok(()), Ok(own)) = (prepared, stream.try_clone()) else { return };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut connections = self.connections.lock();
        if connections.len() >= CONNECTIONS_MAX {
            return;
        }
        let shared = self.clone();
        let thread = std::thread::Builder::new().name("unidist client".to_owned()).stack_size(STACK_BYTES);
        let started = thread.spawn(move || {
            shared.serve(stream, process, number);
            shared.connections.lock().remove(&number);
            shared.wake();
        });
        if let Ok(thread) = started {
            connections.insert(number, Open { stream: own, thread: Some(thread) });
        }
    }

    fn wake(&self) {
        if let Some(wake) = &mut *self.wake.lock() {
            // A full pipe wakes as well.
            let _ = wake.write(b"w");
        }
    }

    fn serve(&self, stream: UnixStream, process: u32, number: u64) {
        let Ok(writer) = stream.try_clone() else { return };
        let talk = Arc::new(Talk {
            writer: Mutex::new(writer),
            connection: self.service.connect(process),
            shared: Unidist { engine: self.service.inner.engine.clone() },
            owner: format!("process {process}.{number}.{}", random_name()),
            waiting: Mutex::default(),
        });
        if talk.send(&line_of(&self.service.hello())).is_err() {
            return;
        }
        let mut lines = LineReader::new(stream, LINE_BYTES_MAX);
        let mut notes = None;
        loop {
            match lines.next() {
                Ok(Next::Line(line)) => {
                    if talk.answer(line, &self.service.inner, &mut notes).is_err() {
                        break;
                    }
                }
                Ok(Next::TooLong) => {
                    let text = format!("the request has over {LINE_BYTES_MAX} bytes");
                    let _ = talk.send(&answer_line(&Value::Null, Err(plain_fault("too_large", &text))));
                    break;
                }
                Ok(Next::End) | Err(_) => break,
            }
        }
        let waiting = std::mem::take(&mut *talk.waiting.lock());
        waiting.into_values().flatten().for_each(|task| task.abort());
        if let Ok(owner) = Owner::named(&talk.owner) {
            let _ = talk.shared.sharedlock().release_all(&owner);
        }
        let _ = lines.get_ref().shutdown(std::net::Shutdown::Both);
        if let Some(notes) = notes {
            let notes: JoinHandle<()> = notes;
            talk.connection.stop_notes();
            let _ = notes.join();
        }
    }
}

/// One connection under way.
struct Talk {
    writer: Mutex<UnixStream>,
    connection: Connection,
    shared: Unidist,
    /// Of the locks that its functions by name take.
    owner: String,
    /// Functions by name that wait, by a number.
    waiting: Mutex<HashMap<u64, Option<Arc<Task>>>>,
}

impl Talk {
    fn send(&self, line: &[u8]) -> io::Result<()> {
        self.writer.lock().write_all(line)
    }

    /// Answers a line, now or when it is done; an error is the end of the connection.
    fn answer(self: &Arc<Self>, line: &[u8], service: &Inner, notes: &mut Option<JoinHandle<()>>) -> io::Result<()> {
        let Request { id, call, args } = match Request::parse(line) {
            Ok(request) => request,
            Err((id, text)) => return self.send(&answer_line(&id, Err(plain_fault("bad_request", &text)))),
        };
        if call == "node.events" && notes.is_none() {
            let talk = self.clone();
            let thread = std::thread::Builder::new().name("unidist notes".to_owned()).stack_size(STACK_BYTES);
            *notes = Some(thread.spawn(move || talk.send_notes(&id))?);
            return Ok(());
        }
        if call.starts_with("node.") {
            return self.send(&answer_line(&id, self.connection.call(&call, &args)));
        }
        match crate::call::call_now(&self.shared, &call, &args, &self.owner) {
            Some(result) => self.send(&answer_line(&id, result.map_err(|error| fault_of(&error)))),
            None => self.answer_later(service, id, call, args),
        }
    }

    fn answer_later(self: &Arc<Self>, service: &Inner, id: Value, call: String, args: Vec<Value>) -> io::Result<()> {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            drop(waiting);
            let text = format!("{WAITING_MAX} calls of this connection wait already");
            return self.send(&answer_line(&id, Err(plain_fault("too_many", &text))));
        }
        let number = (0..).find(|number| !waiting.contains_key(number)).unwrap_or(0);
        let talk = self.clone();
        let task = service.tasks.spawn(async move {
            let result = crate::call::call(&talk.shared, &call, &args, &talk.owner).await;
            talk.waiting.lock().remove(&number);
            // One who does not read is cut off when the write takes too long.
            let _ = talk.send(&answer_line(&id, result.map_err(|error| fault_of(&error))));
        });
        waiting.insert(number, task);
        Ok(())
    }

    fn send_notes(&self, id: &Value) {
        while let Some(note) = block_on(self.connection.next_note()) {
            if self.send(&answer_line(id, Ok(note))).is_err() {
                return;
            }
        }
    }
}

impl Service {
    /// Ends all sessions as the store's owner ends: others may go on serving them.
    fn close_sessions(&self) {
        let sessions: Vec<Arc<Session>> = self.inner.sessions.lock().values().cloned().collect();
        for session in sessions {
            session.close();
        }
    }
}
