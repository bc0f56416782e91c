//! `procblock lock`: locks of an instance, a store and this machine.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::instance::InstanceArgs;
use super::lock_run::{LockRunArgs, run_command};
use super::output::{Format, FormatArgs, print};
use super::table::{Table, duration};
use crate::cli::EXIT_DONE;
use crate::value::{Map, Value, to_text};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct LockArgs {
    #[command(subcommand)]
    command: Option<LockCommand>,
    #[command(flatten)]
    run: LockRunArgs,
}

#[derive(Subcommand)]
enum LockCommand {
    /// List the locks that are held, with their holders.
    List(ListArgs),
    /// Release a lock.
    Release(ReleaseArgs),
}

#[derive(Args)]
struct ListArgs {
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
struct ReleaseArgs {
    /// The lock.
    lock: String,
    /// Who holds it, when it was taken in a name of its own.
    #[arg(long, conflicts_with = "force")]
    owner: Option<String>,
    /// Release it whoever in the instance holds it.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    instance: InstanceArgs,
}

pub(super) fn run(arguments: LockArgs) -> Result<u8, Failure> {
    match arguments.command {
        Some(LockCommand::List(arguments)) => list(&arguments),
        Some(LockCommand::Release(arguments)) => release(arguments),
        None => run_command(&arguments.run),
    }
}

fn list(arguments: &ListArgs) -> Result<u8, Failure> {
    let locks = arguments.instance.call("sharedlock.find_all_locked", Vec::new())?;
    match (arguments.format.output, &locks) {
        (Format::Text, Value::Array(locks)) => {
            let mut table = Table::new(&["LOCK", "OWNER", "PROCESS", "AGE", "ENDS IN", "WAITING", "FENCE"]);
            for lock in locks {
                let text = |name: &str| lock.get(name).map(to_text).unwrap_or_default();
                let seconds = |name: &str| duration(lock.get(name).and_then(Value::as_f64));
                table.add([
                    text("name"),
                    text("owner"),
                    text("process"),
                    seconds("age"),
                    seconds("remaining"),
                    text("waiting"),
                    text("fence"),
                ]);
            }
            print(&table.to_text());
        }
        _ => arguments.format.print(&locks),
    }
    Ok(EXIT_DONE)
}

fn release(arguments: ReleaseArgs) -> Result<u8, Failure> {
    let lock = Value::from(arguments.lock.clone());
    if arguments.force {
        let released = arguments.instance.call("sharedlock.force_release", vec![lock])?;
        if released.as_array().is_some_and(Vec::is_empty) {
            let text = format!("nobody in this instance holds the lock {:?}", arguments.lock);
            return Err(Failure::failed(text));
        }
        return Ok(EXIT_DONE);
    }
    let mut options = Map::new();
    if let Some(owner) = arguments.owner {
        options.insert("owner".into(), owner.into());
    }
    arguments.instance.call("sharedlock.release", vec![lock, Value::Object(options)])?;
    Ok(EXIT_DONE)
}
