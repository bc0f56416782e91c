//! Scripts of every language: Lua in process, Python in warm workers, anything else as a child.
//!
//! A script gets copies of what it is given, and only the mapping it returns counts. Every call ends: by itself, by
//! its time limit, or by a stop. This is the only module that names `mlua`.

mod allow;
mod executable;
#[cfg(test)]
mod executable_tests;
mod files;
mod identity;
mod kept_processes;
mod logging;
mod lua;
mod pattern;
#[cfg(test)]
mod plain_processes;
mod processes;
mod python;
pub(crate) mod syntax;
#[cfg(test)]
mod testing;
mod waiting;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use unidist::Stop;

use crate::error::{RunError, RunErrorKind};
use crate::host::{Caller, Host};
use crate::spare_workers::SpareWorkers;
use crate::value::{Map, Value};

pub use allow::Allow;
pub(crate) use identity::Identity;
pub(crate) use lua::LOST_MAX;
pub use processes::{Processes, Program, ProgramEnd, ProgramOutcome, WorkerProcess};

use crate::units;
use waiting::Ended;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// A file: `.lua` runs in process, `.py` in a worker, any other is executed. Absolute.
    File(PathBuf),
    /// Lua text of a block file: the body of a function with the arguments as locals, or code that defines
    /// `ProcessBlock`.
    Lua {
        /// The block file, for messages; its folder is where `require` looks.
        name: String,
        /// The text; the same `Arc` is compiled once.
        text: Arc<str>,
        /// The line of `name` on which the text begins, from 1.
        first_line: u32,
    },
    /// Python text of a block file, as [`Script::Lua`].
    Python {
        /// The block file, for messages; its folder is where `import` looks.
        name: String,
        /// The text.
        text: Arc<str>,
        /// The line of `name` on which the text begins, from 1.
        first_line: u32,
    },
}

/// Limits of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes. Default for Lua: [`ScriptConfig::memory`]; for others none.
    pub memory: Option<u64>,
    /// CPU time.
    pub cpu: Option<Duration>,
    /// Open files.
    pub files: Option<u64>,
    /// Processes of a child and everything below it.
    pub processes: Option<u64>,
}

/// One call of a script.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The data so far.
    pub pipe_data: &'a Map,
    /// The step's own mapping, or the block.
    pub block: &'a Value,
    /// The values of one request.
    pub request_state: &'a dyn RequestValues,
    /// What the block was given.
    pub input_data: &'a Map,
    /// The tag being processed.
    pub tag: &'a str,
    /// The folder of outputs and children.
    pub cwd: &'a Path,
    /// The environment of the step.
    pub env: &'a Map,
    /// The block around this one, or null.
    pub block_parent: &'a Value,
    /// Who calls, for the functions of the host.
    pub caller: &'a Arc<Caller>,
    /// The modules it may use.
    pub allow: Allow,
    /// Since when its time counts.
    pub begun: Instant,
    /// The longest it may take; none is for ever.
    pub timeout: Option<Duration>,
    /// Its limits.
    pub limits: Limits,
    /// Ends it when requested.
    pub stop: &'a Stop,
    /// Of whoever has just seen that the script's own file is the version that this stands for: it is not looked at again.
    pub seen: Option<&'a Seen>,
}

impl Call<'_> {
    /// When it must have ended; none is never.
    fn deadline(&self) -> Option<Instant> {
        self.timeout.and_then(|timeout| self.begun.checked_add(timeout))
    }
}

/// One version of a script's file, known by who made it: a clone stands for the same one.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<()>);

impl PartialEq for Seen {
    fn eq(&self, other: &Seen) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The values of one request. Made when a script can look at them: most pages do not.
pub trait RequestValues: std::fmt::Debug + Send + Sync {
    /// All of them.
    fn to_map(&self) -> Cow<'_, Map>;
}

impl RequestValues for Map {
    fn to_map(&self) -> Cow<'_, Map> {
        Cow::Borrowed(self)
    }
}

impl RequestValues for dropstar::RequestState {
    fn to_map(&self) -> Cow<'_, Map> {
        Cow::Owned(dropstar::RequestState::to_map(self))
    }
}

/// How scripts are run.
#[derive(Debug, Clone)]
pub struct ScriptConfig {
    /// The host's functions that scripts may call: `sharedcounter.increment`, `file.read`. Those of `process`, `http`,
    /// `file`, `timeseries` and `rpc` are modules of their own, others stand under `unidist`.
    pub functions: Vec<String>,
    /// The Python interpreter. Default: `python3`.
    pub python: String,
    /// Lua states at once; a call waits for a free one. Default: 1024.
    pub states_max: usize,
    /// Memory of one Lua state in bytes. Default: 64 MiB.
    pub memory: u64,
    /// Python workers at once. Default: 8.
    pub workers_max: usize,
    /// The runtime's workers that stand by: one is called in for each that a Lua call holds. Default: none.
    pub spare_workers: SpareWorkers,
}

impl Default for ScriptConfig {
    fn default() -> Self {
        ScriptConfig {
            functions: Vec::new(),
            python: "python3".into(),
            states_max: 1024,
            memory: 64 * 1024 * 1024,
            workers_max: 8,
            spare_workers: SpareWorkers::default(),
        }
    }
}

/// Runs scripts. Clones share states and workers.
#[derive(Clone)]
pub struct Scripts {
    lua: Arc<lua::Pool>,
    python: Arc<python::Pool>,
    processes: Arc<dyn Processes>,
}

impl Scripts {
    /// Starts nothing yet.
    pub fn new(host: Arc<dyn Host>, processes: Arc<dyn Processes>, config: ScriptConfig) -> Self {
        Scripts {
            lua: Arc::new(lua::Pool::new(Arc::clone(&host), config.clone())),
            python: python::Pool::new(host, Arc::clone(&processes), config),
            processes,
        }
    }

    /// Runs a script to its end and gives the mapping it returned ([`Value::Object`]).
    ///
    /// # Errors
    /// When it is not found, cannot be read or compiled, raises, returns another kind, or is ended by its time limit,
    /// a limit or a stop. The place is the script's own line where it is known.
    pub async fn call(&self, script: &Script, call: &Call<'_>) -> Result<Value, RunError> {
        let result = match Language::of(script) {
            Language::Lua => self.lua.call(script, call).await,
            // Boxed: calls of Lua are many and small, and would carry the room for these.
            Language::Python => Box::pin(self.python.call(script, call)).await,
            Language::Executable(path) => Box::pin(executable::call(&*self.processes, path, call)).await,
        };
        result.map(Value::Object)
    }

    /// Threads held by Lua calls that did not return after their time limit.
    pub fn lost_threads(&self) -> usize {
        self.lua.lost_threads()
    }
}

/// How a script is run.
enum Language<'a> {
    Lua,
    Python,
    Executable(&'a Path),
}

impl Language<'_> {
    fn of(script: &Script) -> Language<'_> {
        match script {
            Script::Lua { .. } => Language::Lua,
            Script::Python { .. } => Language::Python,
            Script::File(path) => match path.as_os_str().as_encoded_bytes() {
                [.., b'.', b'l', b'u', b'a'] => Language::Lua,
                [.., b'.', b'p', b'y'] => Language::Python,
                _ => Language::Executable(path),
            },
        }
    }
}

/// The words for a call that was ended.
fn ended_text(ended: Ended, call: &Call<'_>) -> (RunErrorKind, String) {
    match ended {
        Ended::TimedOut => {
            let limit = call.timeout.map(units::format_duration).unwrap_or_default();
            (RunErrorKind::TimedOut, format!("the script did not end within its time limit of {limit}"))
        }
        Ended::CpuSpent => {
            let limit = call.limits.cpu.map(units::format_duration).unwrap_or_default();
            (RunErrorKind::Limit, format!("the script used more CPU time than its limit of {limit}"))
        }
        Ended::Stopped => (RunErrorKind::Stopped, "the script was ended because a stop was requested".into()),
    }
}
