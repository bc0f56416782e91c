//! A long-lived child that is spoken to over a socket of its own.

use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use unidist::Stop;

use super::command::Finished;
use super::error::SpawnError;

/// A running worker. Its end of the socket is its descriptor 3; its standard input is `/dev/null`; what it prints
/// becomes log lines, of which the last and first, 64 KiB in all, are kept. Dropped, it is ended with its subtree.
#[derive(Debug)]
pub struct Worker {
    /// The runner's end. It reads an end when the worker is gone.
    pub socket: UnixStream,
    /// Its process.
    pub pid: u32,
    life: WorkerLife,
}

/// The life of a worker apart from its socket. Dropped, the worker is ended with its subtree.
#[derive(Debug)]
pub struct WorkerLife {
    stop: Stop,
    /// `None` once waited for.
    finished: Option<JoinHandle<Result<Finished, SpawnError>>>,
}

impl Worker {
    pub(super) fn new(
        socket: UnixStream,
        pid: u32,
        stop: Stop,
        finished: JoinHandle<Result<Finished, SpawnError>>,
    ) -> Self {
        Worker { socket, pid, life: WorkerLife { stop, finished: Some(finished) } }
    }

    /// Has it ended: TERM, after its grace KILL. Does not wait.
    pub fn kill(&self) {
        self.life.kill();
    }

    /// Waits until it and its subtree are gone.
    ///
    /// # Errors
    /// As [`WorkerLife::wait`].
    pub async fn wait(&mut self) -> Result<Finished, SpawnError> {
        self.life.wait().await
    }

    /// The socket and the life apart, for two owners.
    pub fn into_parts(self) -> (UnixStream, WorkerLife) {
        (self.socket, self.life)
    }
}

impl WorkerLife {
    /// Has it ended: TERM, after its grace KILL. Does not wait.
    pub fn kill(&self) {
        self.stop.request();
    }

    /// Waits until it and its subtree are gone. May be dropped and called again until it gave its result; after that
    /// it is an error.
    ///
    /// # Errors
    /// [`SpawnError`]: its program could not be executed, the keeper died, or processes of it do not end.
    pub async fn wait(&mut self) -> Result<Finished, SpawnError> {
        let Some(finished) = &mut self.finished else {
            return Err(SpawnError::Invalid("this worker has been waited for".to_owned()));
        };
        let result = finished.await;
        self.finished = None;
        result.unwrap_or(Err(SpawnError::KeeperDied))
    }
}

impl Drop for WorkerLife {
    fn drop(&mut self) {
        self.stop.request();
    }
}
