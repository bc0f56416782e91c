//! Child processes: every one is started, watched and ended by the keeper, a small process of its own.
//!
//! The runner's side is [`Keeper`]: it makes the pipes, sends their ends over, reads them itself and is told when
//! the child and everything the child started are gone. The invariant: [`Keeper::run`] reports an end only when no
//! process of the child's subtree is left, and a subtree outlives neither the runner nor the keeper. Nothing here
//! knows steps or scripts.
//!
//! - [`command`] what to run and what came of it; [`error`] why it did not start; [`reason`] how it ended, in words
//! - [`client`], [`launch`], [`connection`], [`running`], [`worker`], [`recovery`] the runner's side
//! - [`capture`], [`lines`] bounded output; [`find`] the program in `PATH`
//! - [`protocol`], [`socket`] what goes between the two; [`subtree`] reads of `/proc`
//! - [`keeper`] the keeper itself; [`trampoline`] the short-lived `__child` that sets limits and user, then executes

mod capture;
mod client;
mod command;
mod connection;
mod error;
mod find;
mod keeper;
mod launch;
mod lines;
pub(crate) mod open_files;
mod protocol;
mod reason;
mod recovery;
mod running;
mod socket;
mod subtree;
mod trampoline;
mod worker;

use std::process::ExitCode;

pub use capture::Captured;
pub use client::{CHILDREN_MAX, Keeper};
pub use command::{CAPTURE_MAX, Command, Ended, Finished, GRACE, Limits, Output, Status, Stdin};
pub use error::SpawnError;
pub use lines::{LineSink, OutputStream};
pub use reason::reason;
pub use recovery::OwnChild;
pub use worker::{Worker, WorkerLife};

/// The first argument that makes the binary a keeper.
pub(crate) const KEEPER_ARGUMENT: &str = "__keeper";
/// The first argument that makes the binary the trampoline of one child.
pub(crate) const CHILD_ARGUMENT: &str = "__child";
/// The environment variable by which the processes of one step are known.
pub const STEP_VARIABLE: &str = "PROCBLOCK_STEP";

/// Runs as a keeper or as a child's trampoline when the arguments say so, and gives the exit code; `None` when this
/// is an ordinary start. `main` calls it before anything else. Blocks for the keeper's whole life.
pub fn internal_command() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    if first == KEEPER_ARGUMENT {
        return Some(keeper::main(arguments.next()));
    }
    if first == CHILD_ARGUMENT {
        return Some(trampoline::main(arguments));
    }
    None
}
