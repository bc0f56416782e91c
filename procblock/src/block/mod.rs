//! Blocks: a file's tags, compiled once and run in order.
//!
//! [`compile`] turns a marked tree into a [`Block`]; [`Block::process`] runs it with a [`Run`], which holds the pipe
//! data, the results so far and the locks taken. The invariant: whatever happens in a block, its locks are released
//! and its `always` list has run when `process` returns.

mod compile;
mod outcome;
mod process;
mod run;
mod top;

pub use compile::{
    CalledBlock, Compiled, Compiler, FileUse, FileUseKind, ScriptUse, Survey, compile, compile_branch, survey,
};
pub use outcome::{Failed, Processed, TagOutcome, TagResult};
pub use process::{Block, TagEntry};
pub use run::{InRequest, Input, Run, placed};
