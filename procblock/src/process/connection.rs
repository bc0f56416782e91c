//! The runner's end of the keeper's socket: requests go out from any task, one task reads the reports and hands each
//! to the one that waits for it. When the keeper is gone, that task ends its orphans before anybody is told.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use super::KEEPER_ARGUMENT;
use super::open_files;
use super::protocol::{ChildId, End, Failure, Report, Request};
use super::recovery::{self, OwnChild};
use super::socket::{self, Buffer};

/// How long a killed keeper is waited for between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What became of a child.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It and its subtree are gone.
    Gone(End),
    /// Its program was not executed.
    Failed(Failure),
    /// The keeper died; the child was ended.
    KeeperDied,
}

/// Who waits for a child's reports.
pub(super) struct Waiting {
    /// Told of the start, for a worker.
    pub(super) started: Option<oneshot::Sender<u32>>,
    /// Told of the end.
    pub(super) ended: oneshot::Sender<Outcome>,
    /// The child's place among those that may run at once, given back with the end.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// A keeper and its socket.
pub(super) struct Connection {
    /// Of the kind SOCK_SEQPACKET, which tokio has no type for: this one waits for it, [`socket`] reads and writes. It
    /// waits for reports alone: were room waited for too, each request that the keeper takes would wake a thread.
    socket: Receiver,
    /// `None` once the keeper is gone.
    waiting: Mutex<Option<HashMap<ChildId, Waiting>>>,
    newest: AtomicU64,
    /// The keeper, until it is reaped.
    keeper: Mutex<Option<Pid>>,
    is_closed: watch::Receiver<bool>,
}

impl Connection {
    /// Starts a keeper. Needs a tokio runtime, and belongs to it. Blocks for about a millisecond.
    pub(super) fn open(executable: &Path) -> io::Result<Arc<Connection>> {
        // Should the keeper die, its children come to this process.
        nix::sys::prctl::set_child_subreaper(true)?;
        let (here, there) = socket::pair()?;
        let mut command = Command::new(executable);
        command.arg0("procblock").arg(KEEPER_ARGUMENT);
        command.args(open_files::started_with().map(|limit| limit.to_string()));
        command.stdin(Stdio::from(there)).stdout(Stdio::null());
        let (child, own) = OwnChild::spawn(&mut command)?;
        let (closed, is_closed) = watch::channel(false);
        let connection = Arc::new(Connection {
            socket: Receiver::from_owned_fd_unchecked(here)?,
            waiting: Mutex::new(Some(HashMap::new())),
            newest: AtomicU64::new(0),
            keeper: Mutex::new(Some(Pid::from_child(&child))),
            is_closed,
        });
        tokio::spawn(Arc::clone(&connection).read(child, own, closed));
        Ok(connection)
    }

    /// Whether the keeper is there, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.waiting.lock().is_some()
    }

    /// Completes when the keeper and everything below it are gone.
    pub(super) async fn closed(&self) {
        // A sender that is gone is one whose task ended, with the runtime.
        let _ = self.is_closed.clone().wait_for(|is_closed| *is_closed).await;
    }

    /// A number for a child whose reports `waiting` gets; gives it back when the keeper is gone.
    pub(super) fn register(&self, waiting: Waiting) -> Result<ChildId, Waiting> {
        let mut all = self.waiting.lock();
        let Some(all) = all.as_mut() else { return Err(waiting) };
        let id = self.newest.fetch_add(1, Ordering::Relaxed) + 1;
        all.insert(id, waiting);
        Ok(id)
    }

    /// Takes back a registration whose request was not sent.
    pub(super) fn withdraw(&self, id: ChildId) -> Option<Waiting> {
        self.waiting.lock().as_mut()?.remove(&id)
    }

    /// Sends a request, waiting while the keeper is behind. Dropped while it waits, nothing was sent.
    pub(super) async fn send(&self, request: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let send = || socket::send(self.socket.as_fd(), request, descriptors);
        match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
        let room = Sender::from_owned_fd_unchecked(self.socket.as_fd().try_clone_to_owned()?)?;
        loop {
            room.writable().await?;
            match room.try_io(send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Asks for the end of a child; does not wait.
    pub(super) fn end(self: &Arc<Self>, id: ChildId) {
        let request = Request::End(id).encode();
        let Err(error) = socket::send(self.socket.as_fd(), &request, &[]) else { return };
        // Any other error means that the keeper is gone, and with it the child.
        if error.kind() == io::ErrorKind::WouldBlock
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let connection = Arc::clone(self);
            runtime.spawn(async move { connection.send(&request, &[]).await });
        }
    }

    /// Tells the keeper to end everything and exit; its reports still come.
    pub(super) fn close(&self) {
        let _ = rustix::net::shutdown(self.socket.as_fd(), rustix::net::Shutdown::Write);
    }

    /// Ends a keeper that does not answer; its children are then ended from here.
    pub(super) fn kill_keeper(&self) {
        if let Some(keeper) = *self.keeper.lock() {
            let _ = kill_process(keeper, Signal::KILL);
        }
    }

    async fn read(self: Arc<Self>, keeper: Child, own: OwnChild, closed: watch::Sender<bool>) {
        let mut buffer = Buffer::new();
        loop {
            if self.socket.readable().await.is_err() {
                break;
            }
            match self.socket.try_io(|| socket::receive(self.socket.as_fd(), &mut buffer)) {
                Ok(Some(packet)) => match Report::decode(&packet.bytes) {
                    Some(report) => self.deliver(report),
                    None => log::error!("the keeper of child processes sent a message that is none"),
                },
                Ok(None) => break,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(_) => break,
            }
        }
        let waiting = self.waiting.lock().take().unwrap_or_default();
        if !waiting.is_empty() {
            log::error!("the keeper of child processes died; ending its {} children", waiting.len());
        }
        self.reap(keeper).await;
        drop(own);
        recovery::end_orphans().await;
        for waiting in waiting.into_values() {
            let _ = waiting.ended.send(Outcome::KeeperDied);
        }
        // The socket first: whoever is told may count what is left open.
        drop(self);
        closed.send_replace(true);
    }

    fn deliver(&self, report: Report) {
        let mut waiting = self.waiting.lock();
        let Some(waiting) = waiting.as_mut() else { return };
        let (id, outcome) = match report {
            Report::Started { id, pid } => {
                if let Some(started) = waiting.get_mut(&id).and_then(|waiting| waiting.started.take()) {
                    let _ = started.send(pid);
                }
                return;
            }
            Report::Failed { id, failure } => (id, Outcome::Failed(failure)),
            Report::Gone { id, end } => (id, Outcome::Gone(end)),
        };
        if let Some(waiting) = waiting.remove(&id) {
            // The place first: whoever is told may start the next child at once.
            drop(waiting.place);
            let _ = waiting.ended.send(outcome);
        }
    }

    /// A keeper whose socket closed has exited, or is broken and is killed.
    async fn reap(&self, mut keeper: Child) {
        let mut is_killed = false;
        while let Ok(None) = keeper.try_wait() {
            tokio::time::sleep(LOOK_EVERY).await;
            if !is_killed {
                is_killed = true;
                self.kill_keeper();
            }
        }
        *self.keeper.lock() = None;
    }
}
