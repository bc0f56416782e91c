//! Commands that talk to a running instance, and those beside them: `unit`, `completions`.
//!
//! Each command is one file with its arguments and a `run` that returns an exit code or a [`Failure`]. Texts that come
//! from an instance are shown so that no terminal acts on them.

mod completions;
mod counter;
mod failure;
mod instance;
mod list;
mod lock;
mod lock_run;
mod log;
mod logs;
mod output;
mod queue;
mod reload;
mod state;
mod status;
mod stop;
mod store;
pub(super) mod table;
mod unit;

use std::process::ExitCode;

use clap::Subcommand;

use failure::Failure;

/// The commands for running instances.
#[derive(Subcommand)]
pub(crate) enum ControlCommand {
    /// List the running instances: name, process, since when, file.
    List(list::ListArgs),
    /// Show what an instance does: its run-threads, how late they start, their newest numbers.
    Status(status::StatusArgs),
    /// Show the newest lines of an instance's log.
    Logs(logs::LogsArgs),
    /// Load an instance's file anew; a wrong file is refused and the old one goes on.
    Reload(reload::ReloadArgs),
    /// Stop an instance and wait until it has ended.
    Stop(stop::StopArgs),
    /// Print a systemd unit that runs a file.
    Unit(unit::UnitArgs),
    /// Counters of an instance or a store.
    #[command(subcommand)]
    Counter(counter::CounterCommand),
    /// State of an instance or a store: keys with values, in buckets.
    #[command(subcommand)]
    State(state::StateCommand),
    /// Queues of an instance or a store.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Run a command while holding a lock; list and release locks.
    Lock(lock::LockArgs),
    /// Logs of an instance or a store: entries that programs append and follow.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Copy stores and bring copies back.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Check every row of a store; damage is named and is exit code 1.
    Fsck(store::FsckArgs),
    /// Print the completions of a shell.
    Completions(completions::CompletionsArgs),
}

impl ControlCommand {
    /// Runs the command and says how it ended; a failure is told on standard error.
    pub(crate) fn run(self) -> ExitCode {
        let ended = match self {
            ControlCommand::List(arguments) => list::run(&arguments),
            ControlCommand::Status(arguments) => status::run(&arguments),
            ControlCommand::Logs(arguments) => logs::run(&arguments),
            ControlCommand::Reload(arguments) => reload::run(&arguments),
            ControlCommand::Stop(arguments) => stop::run(&arguments),
            ControlCommand::Unit(arguments) => unit::run(&arguments),
            ControlCommand::Counter(command) => counter::run(command),
            ControlCommand::State(command) => state::run(command),
            ControlCommand::Queue(command) => queue::run(command),
            ControlCommand::Lock(arguments) => lock::run(arguments),
            ControlCommand::Log(command) => log::run(command),
            ControlCommand::Store(command) => store::run(command),
            ControlCommand::Fsck(arguments) => store::fsck(&arguments),
            ControlCommand::Completions(arguments) => completions::run(&arguments),
        };
        ExitCode::from(ended.unwrap_or_else(Failure::tell))
    }
}
