//! The runner's handle of its keeper.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use unidist::Stop;

use super::command::{Command, Finished, Output, Stdin};
use super::connection::{Connection, Waiting};
use super::error::SpawnError;
use super::keeper::ORPHANED_GRACE;
use super::launch::Launch;
use super::protocol::{ChildKind, Start};
use super::running::{Running, Supervision};
use super::worker::Worker;

/// How many children run at once, unless told; more wait for a place. Workers are not counted.
pub const CHILDREN_MAX: usize = 512;
/// How much of a worker's standard output and error is kept for its end.
const WORKER_CAPTURE_MAX: usize = 64 << 10;
/// A keeper that is not gone this long after the longest grace is killed.
const SHUTDOWN_SLACK: Duration = Duration::from_secs(10);
/// A request that meets a dead keeper is sent to the next one, this often.
const SENDS_MAX: usize = 3;

/// Starts children. A clone is the same keeper; when the last is dropped, every child is ended.
///
/// The keeper's process is started by the first child, and again by the next one after it died. It belongs to the
/// tokio runtime that started it.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    executable: PathBuf,
    children_max: usize,
    places: Arc<Semaphore>,
    connection: Mutex<Option<Arc<Connection>>>,
    /// Held while a keeper is started, so that it is started once.
    opening: tokio::sync::Mutex<()>,
    is_shut: AtomicBool,
}

/// A child that was sent to the keeper.
struct Launched {
    running: Running,
    supervision: Supervision,
    is_started: Option<oneshot::Receiver<u32>>,
    start: Start,
}

impl Keeper {
    /// A keeper that will be `executable` (the binary whose `main` calls [`super::internal_command`], for itself
    /// `/proc/self/exe`); starts nothing yet. At most [`CHILDREN_MAX`] children run at once.
    pub fn new(executable: PathBuf) -> Self {
        Self::with_children_max(executable, CHILDREN_MAX)
    }

    /// Like [`Keeper::new`], with another bound of children at once, at least 1.
    pub fn with_children_max(executable: PathBuf, children_max: usize) -> Self {
        let children_max = children_max.clamp(1, Semaphore::MAX_PERMITS);
        Keeper {
            inner: Arc::new(Inner {
                executable,
                children_max,
                places: Arc::new(Semaphore::new(children_max)),
                connection: Mutex::new(None),
                opening: tokio::sync::Mutex::new(()),
                is_shut: AtomicBool::new(false),
            }),
        }
    }

    /// Runs a child until it and everything it started are gone. `stop` and the time limit end it: TERM, after the
    /// grace KILL. A child that exits leaving others behind has them ended likewise. Dropped, the future ends the
    /// child. Lines go to the log (target `output`, level info) and to the command's sink as they come.
    ///
    /// # Errors
    /// [`SpawnError`] when the program was not executed, when no place came free in time, when the keeper died, and
    /// when processes do not end even by KILL. An exit code or signal is no error.
    pub async fn run(&self, command: Command, stop: &Stop) -> Result<Finished, SpawnError> {
        let deadline = command.timeout.and_then(|limit| Instant::now().checked_add(limit));
        let place = self.place(stop, deadline).await?;
        let launch = Launch::new(&command, None).await?;
        let launched = self.send(launch, Some(place)).await?;
        let supervision = Supervision { deadline, ..launched.supervision };
        let result = launched.running.supervise(supervision, stop).await;
        result.map_err(|lost| lost.into_error(&command, &launched.start))
    }

    /// Starts a long-lived child with one end of a socket pair as its descriptor 3. Its `stdin`, `output` and
    /// `timeout` are not used.
    ///
    /// # Errors
    /// [`SpawnError`]. With limits or a user, a program that can't be executed is told by [`Worker::wait`] instead.
    pub async fn spawn_worker(&self, command: Command) -> Result<Worker, SpawnError> {
        let command = Command { stdin: Stdin::Null, output: Output::Capture { max: WORKER_CAPTURE_MAX }, ..command };
        let (here, there) = UnixStream::pair().map_err(|source| system(&command, source))?;
        let there: OwnedFd = there
            .into_std()
            .and_then(|socket| socket.set_nonblocking(false).map(|()| socket.into()))
            .map_err(|source| system(&command, source))?;
        let launch = Launch::new(&command, Some(there)).await?;
        let launched = self.send(launch, None).await?;
        let stop = Stop::new();
        let own_stop = stop.clone();
        let finished = tokio::spawn(async move {
            let result = launched.running.supervise(launched.supervision, &own_stop).await;
            result.map_err(|lost| lost.into_error(&command, &launched.start))
        });
        let pid = match launched.is_started {
            Some(started) => started.await.ok(),
            None => None,
        };
        let mut worker = Worker::new(here, pid.unwrap_or_default(), stop, finished);
        match pid {
            Some(_) => Ok(worker),
            None => Err(worker.wait().await.err().unwrap_or(SpawnError::KeeperDied)),
        }
    }

    /// How many more children may run now.
    pub fn places_left(&self) -> usize {
        self.inner.places.available_permits()
    }

    /// Ends every child (TERM, after its grace but at most 5 s KILL) and the keeper, and waits for it. Children that
    /// wait for a place, and later ones, get [`SpawnError::Stopped`].
    pub async fn shutdown(&self) {
        self.inner.is_shut.store(true, Ordering::SeqCst);
        self.inner.places.close();
        // A keeper that is being started is waited for, or it would be missed.
        let _opening = self.inner.opening.lock().await;
        let connection = self.inner.connection.lock().take();
        let Some(connection) = connection else { return };
        connection.close();
        if timeout(ORPHANED_GRACE + SHUTDOWN_SLACK, connection.closed()).await.is_err() {
            connection.kill_keeper();
            connection.closed().await;
        }
    }

    /// A place among the children that may run at once.
    async fn place(&self, stop: &Stop, deadline: Option<Instant>) -> Result<OwnedSemaphorePermit, SpawnError> {
        if stop.is_requested() {
            return Err(SpawnError::Stopped);
        }
        let places = Arc::clone(&self.inner.places);
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            return Ok(place);
        }
        let no_place = || SpawnError::NoPlace { children_max: self.inner.children_max };
        tokio::select! {
            place = within(deadline, places.acquire_owned()) => match place {
                Some(Ok(place)) => Ok(place),
                Some(Err(_)) => Err(SpawnError::Stopped),
                None => Err(no_place()),
            },
            () = stop.requested() => Err(SpawnError::Stopped),
        }
    }

    /// Sends a child to the keeper, starting one if there is none.
    async fn send(&self, launch: Launch, mut place: Option<OwnedSemaphorePermit>) -> Result<Launched, SpawnError> {
        let Launch { mut start, descriptors, output, error } = launch;
        let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        for _ in 0..SENDS_MAX {
            let connection = self.connection().await?;
            let (ended, outcome) = oneshot::channel();
            let (started, is_started) = match start.kind {
                ChildKind::Once => (None, None),
                ChildKind::Worker => Some(oneshot::channel()).unzip(),
            };
            let waiting = Waiting { started, ended, place: place.take() };
            let mut running = match Running::register(&connection, waiting) {
                Ok(running) => running,
                Err(waiting) => {
                    place = waiting.place;
                    continue;
                }
            };
            start.id = running.id();
            match connection.send(&start.encode(), &descriptors).await {
                Ok(()) => {
                    running.sent();
                    let supervision = Supervision { outcome, output, error, deadline: None, grace: start.grace };
                    return Ok(Launched { running, supervision, is_started, start });
                }
                // The keeper just died: nothing was started, so the next one may be asked.
                Err(error) if is_gone(&error) => place = running.withdraw(),
                Err(source) => {
                    let program = start.program.to_string_lossy().into_owned();
                    return Err(SpawnError::System { program, source });
                }
            }
        }
        Err(SpawnError::KeeperDied)
    }

    /// The keeper there is, else a new one, after the last of an old one's children is gone.
    async fn connection(&self) -> Result<Arc<Connection>, SpawnError> {
        if let Some(connection) = self.open_connection() {
            return Ok(connection);
        }
        let _opening = self.inner.opening.lock().await;
        if let Some(connection) = self.open_connection() {
            return Ok(connection);
        }
        if self.inner.is_shut.load(Ordering::SeqCst) {
            return Err(SpawnError::Stopped);
        }
        let old = self.inner.connection.lock().clone();
        if let Some(old) = old {
            old.closed().await;
        }
        let connection = Connection::open(&self.inner.executable)
            .map_err(|source| SpawnError::Keeper { executable: self.inner.executable.clone(), source })?;
        *self.inner.connection.lock() = Some(Arc::clone(&connection));
        Ok(connection)
    }

    fn open_connection(&self) -> Option<Arc<Connection>> {
        self.inner.connection.lock().as_ref().filter(|connection| connection.is_open()).cloned()
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("executable", &self.inner.executable).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.get_mut() {
            connection.close();
        }
    }
}

async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::NotConnected)
}

fn system(command: &Command, source: io::Error) -> SpawnError {
    SpawnError::System { program: command.name.clone(), source }
}
