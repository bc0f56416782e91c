//! Where log lines go: standard error, a file, and a ring in memory for `procblock logs`.
//!
//! The backend of the `log` crate. Lines on a terminal are for people, elsewhere each is one JSON object. A line never
//! shows the value of a secret ([`hide`]) or of an `Authorization` header, and never breaks its frame: no text can look
//! like a line of its own. Writing never waits for a reader: what a slow standard error can't take is kept in bounds,
//! then left out and counted.

mod backend;
mod escape;
mod file;
mod flood;
mod line;
mod ring;
mod secrets;
mod sink;

use std::borrow::Cow;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use log::LevelFilter;

pub use escape::for_terminal;
pub use file::{FILE_BYTES_MAX, FILES_MAX};
pub use flood::{FLOOD_BYTES_MAX, FLOOD_LINES_MAX};
pub use line::{Colors, Line};
pub use ring::{Page, RING_BYTES_MAX, RING_LINES_MAX, Ring};

use backend::Backend;
use secrets::{SHOWN, Secrets, is_header};

use crate::value::{Map, Value};

static SECRETS: Secrets = Secrets::new();
static BACKEND: OnceLock<Backend> = OnceLock::new();

tokio::task_local! {
    static RUN_THREAD: Arc<str>;
}

/// How lines are written to standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people when standard error is a terminal, else JSON.
    #[default]
    Auto,
    /// For people.
    Text,
    /// A JSON object a line: `time` (RFC 3339, UTC), `level`, `target`, `step`, `thread`, `text`.
    Json,
}

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggingOptions {
    /// What standard error and the file get. Default: warnings and worse.
    pub level: LevelFilter,
    /// What the ring keeps, whatever `level` is. Default: information and worse.
    pub kept: LevelFilter,
    /// Of lines on standard error; those in the file are JSON.
    pub format: Format,
    /// Gets the same lines as standard error; five files of 10 MiB, the older ones as `FILE.1` to `FILE.4`.
    pub file: Option<PathBuf>,
}

impl Default for LoggingOptions {
    fn default() -> Self {
        LoggingOptions { level: LevelFilter::Warn, kept: LevelFilter::Info, format: Format::Auto, file: None }
    }
}

impl LoggingOptions {
    /// The level for so many `-v`: none shows warnings, one information, more debugging.
    pub fn with_verbosity(verbosity: u8) -> Self {
        let level = match verbosity {
            0 => LevelFilter::Warn,
            1 => LevelFilter::Info,
            _ => LevelFilter::Debug,
        };
        LoggingOptions { level, ..Self::default() }
    }
}

/// Logging could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The log file can't be written; the reason says why and what to do.
    #[error("cannot write the log file {}: {reason}", path.display())]
    File {
        /// As it was given.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// It was started before, or something else is the process's logger.
    #[error("logging was started twice")]
    Twice,
}

/// Starts logging for the whole process, once. Opens the log file and creates its folder; starts no thread.
///
/// # Errors
/// The log file can't be written, or logging was started before.
pub fn start(options: &LoggingOptions) -> Result<(), LoggingError> {
    let backend = Backend::new(options)?;
    if BACKEND.set(backend).is_err() {
        return Err(LoggingError::Twice);
    }
    let backend = BACKEND.get().ok_or(LoggingError::Twice)?;
    log::set_logger(backend).map_err(|_| LoggingError::Twice)?;
    log::set_max_level(options.level.max(options.kept));
    Ok(())
}

/// What the ring keeps from now on; `Off` saves a short run the work.
pub fn keep(level: LevelFilter) {
    if let Some(backend) = BACKEND.get() {
        log::set_max_level(backend.keep(level));
    }
}

/// The newest lines in memory; empty before [`start`].
pub fn ring() -> Arc<Ring> {
    static EMPTY: OnceLock<Arc<Ring>> = OnceLock::new();
    let ring = BACKEND.get().map(Backend::ring);
    Arc::clone(ring.unwrap_or_else(|| EMPTY.get_or_init(Arc::default)))
}

/// Opens the log file anew, after a program such as logrotate renamed it. A file that can't be opened is told, and the
/// old one is written on.
pub fn reopen() {
    if let Some(backend) = BACKEND.get() {
        backend.reopen();
    }
}

/// From now on every log line, and [`hidden`], shows `***` in place of `secret`.
///
/// Of a secret of several lines each line counts too, and its spelling inside JSON. An empty text is ignored.
pub fn hide(secret: &str) {
    SECRETS.add(secret);
}

/// The text without secrets and `Authorization` values: for what is shown elsewhere than in the log.
pub fn hidden(text: &str) -> Cow<'_, str> {
    SECRETS.hide(text)
}

/// The value without secrets: in texts and keys they are replaced, a number that is one becomes a text.
pub fn hidden_value(value: &Value) -> Value {
    match value {
        Value::String(text) => SECRETS.hide(text).into(),
        Value::Array(items) => items.iter().map(hidden_value).collect(),
        Value::Object(map) => map.iter().map(hidden_entry).collect::<Map>().into(),
        Value::Number(number) if SECRETS.holds(&number.to_string()) => SHOWN.into(),
        Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
    }
}

fn hidden_entry((key, value): (&String, &Value)) -> (String, Value) {
    let shown = match value {
        Value::String(_) if is_header(key) => SHOWN.into(),
        _ => hidden_value(value),
    };
    (SECRETS.hide(key).into_owned(), shown)
}

/// Runs `future` so that its lines name the run-thread.
pub fn within<F: Future>(run_thread: Arc<str>, future: F) -> impl Future<Output = F::Output> {
    RUN_THREAD.scope(run_thread, future)
}

/// Waits, at most `limit`, until standard error has taken all lines: for the end of the process.
pub fn finish(limit: Duration) {
    if let Some(backend) = BACKEND.get() {
        backend.finish(limit);
    }
}

/// The run-thread that logs. Threads of our own making have names too, which say nothing to a user.
fn run_thread_name() -> Option<Arc<str>> {
    RUN_THREAD.try_with(Arc::clone).ok()
}
