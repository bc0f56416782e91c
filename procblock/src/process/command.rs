//! What to run, and what came of it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::capture::Captured;
use super::lines::LineSink;

/// How long an ended child may take between TERM and KILL, unless told: 5 s.
pub const GRACE: Duration = Duration::from_secs(5);
/// How many bytes of each stream are kept, unless told: 8 MiB.
pub const CAPTURE_MAX: usize = 8 << 20;

/// One child process: what it executes and within which bounds.
///
/// ```
/// use procblock::process::Command;
/// let command = Command { name: "list".into(), ..Command::new(["ls", "-l"]) };
/// assert_eq!(command.arguments.len(), 2);
/// ```
#[derive(Clone)]
pub struct Command {
    /// The program, then its arguments. A program without `/` is looked for in `PATH`: that of `environment`, else
    /// the runner's own. One with `/` is relative to `folder`.
    pub arguments: Vec<OsString>,
    /// Variables on top of the runner's own. `PROCBLOCK_STEP` is set in any case.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs. Empty: the runner's working directory.
    pub folder: PathBuf,
    /// The user it runs as, by name or number, with that user's groups, `HOME`, `USER` and `LOGNAME` (those not set
    /// in `environment`). Needs root, unless it is the runner's own user.
    pub user: Option<String>,
    /// Bounds of it and what it starts.
    pub limits: Limits,
    /// What it reads.
    pub stdin: Stdin,
    /// What becomes of what it prints on standard output.
    pub output: Output,
    /// For the whole, waiting for a free place included. Default: none.
    pub timeout: Option<Duration>,
    /// Between TERM and KILL. Default: 5 s.
    pub grace: Duration,
    /// The step's name, for the log.
    pub name: String,
    /// Gets each line as it comes, beside the log.
    pub sink: Option<Arc<dyn LineSink>>,
}

impl Command {
    /// A child with no input, captured output, no time limit and the default grace.
    pub fn new<I, S>(arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let name = arguments.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
        Command {
            arguments,
            environment: Vec::new(),
            folder: PathBuf::new(),
            user: None,
            limits: Limits::default(),
            stdin: Stdin::Null,
            output: Output::Capture { max: CAPTURE_MAX },
            timeout: None,
            grace: GRACE,
            name,
            sink: None,
        }
    }
}

impl std::fmt::Debug for Command {
    /// Without the environment and the input, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command")
            .field("name", &self.name)
            .field("arguments", &self.arguments)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Bounds of one child. The kernel keeps the first three, which each process below it has too, each for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Address space in bytes (`RLIMIT_AS`); beyond it allocations fail.
    pub memory: Option<u64>,
    /// CPU time, rounded up to seconds (`RLIMIT_CPU`); beyond it the child gets XCPU, one second later KILL.
    pub cpu: Option<Duration>,
    /// Open descriptors (`RLIMIT_NOFILE`).
    pub files: Option<u64>,
    /// Processes of the child and everything below it, itself included. The keeper counts them, every 5 ms; the
    /// kernel's own limit (`RLIMIT_NPROC`) is one of a whole user, and none of root. A child that has more is killed.
    pub processes: Option<u64>,
}

/// What a child reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// These bytes, then the end; as a file in memory, so that a child that does not read them blocks nobody.
    Bytes(Vec<u8>),
}

/// What becomes of standard output. Standard error is always captured, within the same bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Kept up to `max` bytes, and each line logged as it comes.
    Capture {
        /// Bytes of each stream that are kept.
        max: usize,
    },
    /// Written to this file, which is created or emptied; the folder must exist.
    File(PathBuf),
    /// Sent to `/dev/null`, not logged.
    Discard,
}

impl Output {
    /// How many bytes of standard error are kept beside this.
    pub(super) fn error_max(&self) -> usize {
        match self {
            Output::Capture { max } => *max,
            Output::File(_) | Output::Discard => CAPTURE_MAX,
        }
    }
}

/// A child that ended, with everything it started.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How the child itself ended.
    pub status: Status,
    /// Whether it ended by itself or was ended.
    pub ended: Ended,
    /// Standard output, when captured.
    pub output: Captured,
    /// Standard error.
    pub error: Captured,
    /// CPU time of the child and of those below it that it waited for.
    pub cpu: Duration,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

impl Status {
    /// The exit code, or 128 + signal number, as a shell gives it.
    pub fn code(self) -> i32 {
        match self {
            Status::Exited(code) => code,
            Status::Signaled(signal) => 128 + signal,
        }
    }

    /// Whether it exited with 0.
    pub fn is_success(self) -> bool {
        self == Status::Exited(0)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Status::Exited(code) => write!(f, "exited with {code}"),
            Status::Signaled(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "was killed by signal {signal} ({})", name.as_str()),
                Err(_) => write!(f, "was killed by signal {signal}"),
            },
        }
    }
}

/// Why a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, before anybody asked.
    Itself,
    /// Its time limit passed first.
    TimedOut,
    /// A stop was requested first.
    Stopped,
    /// It and what it started were so many processes, more than its limit.
    Crowded(u64),
}
