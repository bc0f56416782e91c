//! What scripts need of the process side: a child with input and output, and a worker with a socket.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::UnixStream;
use unidist::Stop;

use crate::host::BoxFuture;
use crate::script::Limits;

/// A child to be started.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The program and its arguments; one without `/` is looked for in `PATH`.
    pub arguments: Vec<OsString>,
    /// Variables on top of the runner's own.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs; empty is the runner's own folder.
    pub folder: PathBuf,
    /// What it reads; a worker reads nothing.
    pub input: Vec<u8>,
    /// The longest it may run.
    pub timeout: Option<Duration>,
    /// Its limits.
    pub limits: Limits,
    /// Its name in the log.
    pub name: String,
}

/// Why a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramEnd {
    /// By itself.
    Itself,
    /// Its time limit passed.
    TimedOut,
    /// A stop was requested.
    Stopped,
    /// It became so many processes, more than its limit.
    Crowded(u64),
}

/// What came of a program.
#[derive(Debug, Clone)]
pub struct ProgramOutcome {
    /// Exit code, or 128 + signal number.
    pub status: i32,
    /// How it ended, in words: `exited with code 3`.
    pub reason: String,
    /// One of its limits ended it.
    pub is_limit: bool,
    /// Why it ended.
    pub end: ProgramEnd,
    /// Standard output, bounded.
    pub output: Vec<u8>,
    /// Bytes of the output beyond the bound.
    pub output_cut: u64,
    /// Standard error, bounded.
    pub error: Vec<u8>,
}

/// A running worker; dropping it ends it.
pub trait WorkerProcess: Send + Sync {
    /// Ends it with everything it started. Does not wait.
    fn kill(&self);

    /// Completes when it is gone, with the words for how it ended: `exited with 3`.
    fn ended(&mut self) -> BoxFuture<'_, String>;
}

/// Starts children and sees that none is left behind.
pub trait Processes: Send + Sync {
    /// Runs a program to its end.
    ///
    /// # Errors
    /// When it cannot be started; `NotFound` when there is no such program.
    fn run<'a>(&'a self, program: Program, stop: &'a Stop) -> BoxFuture<'a, io::Result<ProgramOutcome>>;

    /// Starts a worker whose descriptor 3 is the other end of the socket.
    ///
    /// # Errors
    /// When it cannot be started; `NotFound` when there is no such program.
    fn spawn_worker(&self, program: Program) -> BoxFuture<'_, io::Result<(UnixStream, Box<dyn WorkerProcess>)>>;
}
