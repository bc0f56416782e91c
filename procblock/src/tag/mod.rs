//! Tags: the keys of a block that do something. Each has one file with its declaration and its code, and one line
//! in [`ALL`].

mod blocks;
mod conditions;
mod data;
mod if_;
mod list;
mod number;
mod on_error;
mod plain;
mod put;
mod release_lock;
mod require_lock;
mod run;
mod run_simultaneous;
mod run_workers;
mod serve;
mod set;
pub mod spec;
mod special;
mod template;

pub(crate) use if_::expression_error;
pub(crate) use on_error::HANDLER_FIELDS;
pub use on_error::Handler;
pub(crate) use plain::{NestedBlock, PlainValue};
pub(crate) use special::COMING_TAGS;

use crate::block::{Compiler, Run, TagOutcome, TagResult};
use crate::host::BoxFuture;
use crate::load::{Entry, Node};
use spec::TagSpec;

/// A key that was recognised as a tag, with what surrounds it.
pub struct Found<'n> {
    /// The variable part of the key: the expression behind `if`, the name behind `set`.
    pub variable: &'n str,
    /// The key and its value.
    pub entry: &'n Entry,
    /// The block that holds it.
    pub parent: &'n Node,
}

/// A tag's declaration and the way from its YAML to its action.
pub trait Tag: Sync {
    /// The declaration.
    fn spec(&self) -> &'static TagSpec;

    /// Reads the value once; mistakes go to the compiler's problems, and then `None` may be returned.
    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>>;
}

/// When a tag's action runs with respect to a failure earlier in its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Only while nothing failed.
    Normal,
    /// Only after a failure, with the error in scope.
    AfterFailure,
    /// In both cases.
    Always,
}

/// A compiled tag.
pub trait TagAction: Send + Sync {
    /// Whether it runs after a failure. Default: only while nothing failed.
    fn when(&self) -> When {
        When::Normal
    }

    /// Does what the tag says. May take as long as its scripts; awaits, never blocks a thread.
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult>;
}

/// A future that is an outcome already: for tags that never wait.
pub(crate) fn ready<'a>(result: TagResult) -> BoxFuture<'a, TagResult> {
    Box::pin(std::future::ready(result))
}

/// Shorthand of actions that only change pipe data and leave nothing in the result.
pub(crate) const DISCARD: TagResult = Ok(TagOutcome::Discard);

/// Every tag, in the order of the reference.
pub const ALL: &[&dyn Tag] = &[
    &special::Usage,
    &special::Import,
    &special::Load,
    &special::Priority,
    &special::ReturnTag,
    &special::ScriptPathPrefix,
    &blocks::Blocks,
    &data::Data,
    &require_lock::RequireLock,
    &set::Set,
    &list::ListAdd,
    &list::ListDel,
    &number::Increment,
    &number::Decrement,
    &if_::If,
    &conditions::Conditions,
    &run::RunList,
    &run_simultaneous::RunSimultaneous,
    &run_workers::RunWorkers,
    &serve::Serve,
    &template::Template,
    &on_error::OnError,
    &on_error::Always,
    &put::PutTag,
    &release_lock::ReleaseLock,
];

/// The tag that `key` is, with the variable part of the key.
pub fn find(key: &str) -> Option<(&'static dyn Tag, &str)> {
    ALL.iter().find_map(|tag| Some((*tag, tag.spec().pattern.matches(key)?)))
}
