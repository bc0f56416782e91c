//! What the server runs, and who makes it: the seam between the server and the languages of its scripts.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use unidist::Stop;

use crate::{Declaration, Map, RequestState};

/// A boxed future that may be sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The script or block behind a page or RPC.
pub trait Program: Send + Sync {
    /// Runs it for one request. Must end soon after the request's deadline or stop.
    ///
    /// # Errors
    /// It failed, or did not end in time.
    fn run<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Answer, Failure>>;
}

/// What a program is given.
#[derive(Debug, Clone)]
pub struct Request {
    /// The arguments: of the query, and of the body over them.
    pub arguments: Arc<Map>,
    /// What else is known of the request, each value made when it is asked for.
    pub state: RequestState,
    /// Since when its time counts.
    pub begun: Instant,
    /// When it must have ended.
    pub deadline: Instant,
    /// Requested when the client is gone or the server ends.
    pub stop: Stop,
}

/// What a program answers: only what its scripts returned, none of its inputs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The values. `output` with `content-type`, and `__response` (`status`, `headers`, `cookies`, `redirect`), have a
    /// meaning to the server.
    pub values: Map,
}

/// Why a program gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What happened, for the log and for an administrator.
    pub text: String,
    /// `file:line`, where it is known.
    pub place: Option<String>,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The script raised, returned another kind, or a step failed.
    Failed,
    /// It did not end by its deadline.
    TimedOut,
    /// Too many run already.
    Busy,
    /// The client went away or the server ends.
    Stopped,
    /// What was asked for by name is not there.
    Missing,
}

/// What a file is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A page.
    Page,
    /// A remote procedure.
    Rpc,
}

/// A page's template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// A file. Absolute; its folder is where layouts and includes are looked for first.
    File(PathBuf),
    /// Text, and the folder in which layouts and includes are looked for.
    Text {
        /// The template.
        text: Arc<str>,
        /// The folder.
        folder: PathBuf,
    },
}

/// A page or RPC, ready to run.
#[derive(Clone)]
pub struct Loaded {
    /// What it says about itself.
    pub declaration: Arc<Declaration>,
    /// What it runs; a page may be a template alone.
    pub program: Option<Arc<dyn Program>>,
    /// A page's template, where the definition names one.
    pub template: Option<Template>,
}

/// What a package file names.
#[derive(Clone, Default)]
pub struct Package {
    /// The folder of static files. Absolute.
    pub static_folder: Option<PathBuf>,
    /// The folder of static files that anybody may read, log-in or not. Absolute.
    pub public_folder: Option<PathBuf>,
    /// Pages by name, without their mount.
    pub pages: BTreeMap<String, Loaded>,
    /// Procedures by name, without their mount.
    pub procedures: BTreeMap<String, Loaded>,
}

/// Makes programs from files. The server asks again when one of the files that it named has changed.
pub trait Loader: Send + Sync {
    /// The endings of files that are pages or RPCs when dropped into a folder, in the order in which they are looked
    /// for: `lua`, `py`, `sh`, `yaml`.
    fn endings(&self) -> &[&str];

    /// Loads a dropped-in file. Gives what was loaded and every file that was read for it.
    ///
    /// # Errors
    /// It can't be read, or is wrong.
    fn load(&self, file: &Path, purpose: Purpose) -> Result<(Loaded, Vec<PathBuf>), LoadFailure>;

    /// Loads a package file. Gives what was loaded and every file that was read for it.
    ///
    /// # Errors
    /// It can't be read, or is wrong.
    fn load_package(&self, file: &Path) -> Result<(Package, Vec<PathBuf>), LoadFailure>;
}

/// Why a file was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct LoadFailure {
    /// Every mistake with its place, for the log and for an administrator.
    pub text: String,
    /// The files that were read: a change in one of them is reason to try again.
    pub files: Vec<PathBuf>,
}
