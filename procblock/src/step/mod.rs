//! Steps: the items of a `run` list. Each has one file with its declaration and its code, and one line in [`ALL`].

mod assert;
mod attributes;
mod call;
mod cd;
mod child;
mod collect;
mod compiled;
mod counter;
mod exec;
mod foreign_words;
mod http;
pub(crate) mod limits;
mod list;
mod log;
mod lua;
mod python;
mod queue;
mod repeat;
mod retry;
mod rpc;
mod script;
mod set;
mod shared;
mod shell;
mod sleep;
pub mod spec;
mod state;
mod system;
mod thread;

pub use attributes::{ATTRIBUTES, Attributes, OnError, OutputAs};
pub use collect::{COLLECT_FIELDS, Collect};
pub use compiled::CompiledStep;
pub use list::StepList;
pub use repeat::Repeat;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::block::{Compiler, Run};
use crate::error::RunError;
use crate::host::{BoxFuture, Caller};
use crate::load::{Entry, Source};
use crate::value::{Map, Value};
use spec::StepSpec;

/// A step's declaration and the way from its YAML to its action.
pub trait Step: Sync {
    /// The declaration.
    fn spec(&self) -> &'static StepSpec;

    /// Reads the value once; mistakes go to the compiler's problems, and then `None` may be returned.
    fn compile(&self, entry: &Entry, attributes: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>>;
}

/// A step while it runs once.
pub struct StepRun<'r> {
    /// The block it belongs to.
    pub run: &'r mut Run,
    /// The step's attributes.
    pub attributes: &'r Attributes,
    /// The step's YAML, for scripts that look at it.
    pub item: &'r Value,
    /// The step's name, else its kind: for messages and log lines.
    pub name: &'r str,
    /// The file that the step stands in.
    pub source: &'r Source,
    /// How long this attempt may take; `None` is without limit.
    pub timeout: Option<Duration>,
}

impl StepRun<'_> {
    /// The base of the step's relative outputs, and the folder of its children.
    pub fn folder(&self) -> &Path {
        self.run.folder_of(self.source)
    }

    /// Who calls, for functions of the host.
    pub fn caller(&self) -> Caller {
        Caller { owner: Arc::clone(&self.run.owner), folder: self.folder().into(), script: self.name.into() }
    }
}

/// A failure of a step with what it has to leave in pipe data all the same.
#[derive(Debug)]
pub struct StepFailure {
    /// What failed.
    pub error: Box<RunError>,
    /// What is merged if the list goes on (`on error: continue`).
    pub result: Map,
}

impl From<RunError> for StepFailure {
    fn from(error: RunError) -> Self {
        StepFailure { error: Box::new(error), result: Map::new() }
    }
}

/// What a step returns: the mapping that is merged into pipe data.
pub type StepResult = Result<Map, StepFailure>;

/// A compiled step.
pub trait StepAction: Send + Sync {
    /// Whether `status`, `output` and `output_error` of its result are added to those of earlier steps.
    fn gathers(&self) -> bool {
        false
    }

    /// Whether it ends by itself when [`StepRun::timeout`] has passed; others are dropped then.
    fn keeps_time(&self) -> bool {
        false
    }

    /// Does what the step says. Awaits, never blocks a thread.
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult>;
}

/// Every step, in the order of the reference.
pub const ALL: &[&dyn Step] = &[
    &script::Script,
    &lua::Lua,
    &python::Python,
    &shell::Shell,
    &exec::Exec,
    &set::Set,
    &call::Call,
    &thread::Thread,
    &system::System,
    &queue::Queue,
    &counter::Counter,
    &state::State,
    &http::Http,
    &rpc::Rpc,
    &log::Log,
    &sleep::Sleep,
    &assert::Assert,
    &cd::Cd,
];

/// Steps that the design names and a later version brings; refused by name until then.
pub(crate) const COMING_STEPS: &[&str] = &["sql"];
