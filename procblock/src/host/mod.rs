//! The functions that scripts of every language may call, by name: `sharedcounter.increment`, `timeseries.fetch`.
//!
//! Lua's modules, Python's `import unidist` and the control socket all end here, so that a function is written and
//! documented once. The trait keeps the script engines free of what the functions do.

pub(crate) mod api;
mod file;
mod http;
mod owner;
mod process;
mod random;
mod rpc;
mod timeseries;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use crate::value::Value;

pub use owner::LockOwner;

/// A boxed future that may be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who calls: the owner of locks it takes, and the base of its relative paths.
#[derive(Debug)]
pub struct Caller {
    /// The running block or request.
    pub owner: Arc<LockOwner>,
    /// The folder that relative paths are resolved against.
    pub folder: Arc<Path>,
    /// The script's name, for log lines.
    pub script: Arc<str>,
}

impl Default for Caller {
    /// Nobody, nowhere.
    fn default() -> Self {
        Caller { owner: Arc::default(), folder: Path::new("").into(), script: Arc::default() }
    }
}

/// A host function refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct HostError {
    /// A short fixed word for programs: `unknown_function`, `bad_argument`, `not_found`, `not_holder`, `timed_out`…
    pub code: String,
    /// One sentence for people, lower case.
    pub text: String,
}

impl HostError {
    /// An error with a code and a text.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        HostError { code: code.into(), text: text.into() }
    }
}

/// Implemented by the instance: finds the function by name and runs it.
pub trait Host: Send + Sync {
    /// Runs a function that answers at once, without a future. None for one that may wait; then nothing was done.
    ///
    /// # Errors
    /// As [`Host::call`].
    fn call_now(&self, _caller: &Caller, _name: &str, _arguments: &[Value]) -> Option<Result<Value, HostError>> {
        None
    }

    /// Runs the function `name` (`module.function`). A trailing mapping in `arguments` holds named options.
    ///
    /// # Errors
    /// `unknown_function`, `bad_argument`, or what the function itself reports.
    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        name: &'a str,
        arguments: Vec<Value>,
    ) -> BoxFuture<'a, Result<Value, HostError>>;
}
