//! `procblock log`: shared logs, which programs append to and follow.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::{EXIT_TIMED_OUT, Failure};
use super::instance::{FOLLOW_WAIT, InstanceArgs, Target, duration};
use super::output::{FormatArgs, ValueArgs};
use crate::cli::EXIT_DONE;
use crate::value::{Map, Value, to_text};

/// Entries that are read at once.
const PAGE: u32 = 1_000;

#[derive(Subcommand)]
pub(crate) enum LogCommand {
    /// Append an entry and print its offset.
    Append(AppendArgs),
    /// Print the entries from an offset on.
    Read(ReadArgs),
    /// Print each entry as it comes, until Ctrl-C.
    Follow(FollowArgs),
    /// List the logs.
    List(ListArgs),
}

#[derive(Args)]
pub(crate) struct AppendArgs {
    /// The log.
    log: String,
    #[command(flatten)]
    value: ValueArgs,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
pub(crate) struct ReadArgs {
    /// The log.
    log: String,
    /// The first entry's offset; offsets count from 0.
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    from: u64,
    /// How many entries at most.
    #[arg(short = 'n', long, value_name = "N", default_value_t = PAGE)]
    count: u32,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
pub(crate) struct FollowArgs {
    /// The log.
    log: String,
    /// Begin with the entry of this offset; without it with what comes from now on.
    #[arg(long, value_name = "OFFSET")]
    from: Option<u64>,
    /// End when nothing comes for this time; the exit code is 124.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(command: LogCommand) -> Result<u8, Failure> {
    match command {
        LogCommand::Append(arguments) => {
            let positions = vec![arguments.log.into(), arguments.value.read()];
            arguments.format.print(&arguments.instance.call("sharedlog.append", positions)?);
            Ok(EXIT_DONE)
        }
        LogCommand::Read(arguments) => {
            let mut target = arguments.instance.open()?;
            let page = read(&mut target, &arguments.log, (arguments.from, arguments.count), Duration::ZERO)?;
            show(&page, &arguments.format);
            Ok(EXIT_DONE)
        }
        LogCommand::Follow(arguments) => follow(&arguments),
        LogCommand::List(arguments) => {
            arguments.format.print_list(&arguments.instance.call("sharedlog.list", Vec::new())?);
            Ok(EXIT_DONE)
        }
    }
}

fn follow(arguments: &FollowArgs) -> Result<u8, Failure> {
    let mut target = arguments.instance.open()?;
    let mut next = match arguments.from {
        Some(from) => from,
        None => {
            let status = target.call("sharedlog.status", vec![arguments.log.clone().into()], Duration::ZERO)?;
            status.get("next").and_then(Value::as_u64).unwrap_or(0)
        }
    };
    let wait = arguments.wait.unwrap_or(FOLLOW_WAIT);
    loop {
        let page = read(&mut target, &arguments.log, (next, PAGE), wait)?;
        if !show(&page, &arguments.format) {
            return Ok(EXIT_DONE);
        }
        let reached = page.get("next").and_then(Value::as_u64).unwrap_or(next);
        if reached == next && arguments.wait.is_some() {
            return Err(Failure::new(EXIT_TIMED_OUT, format!("nothing was appended to the log {:?}", arguments.log)));
        }
        next = reached;
    }
}

fn read(target: &mut Target, log: &str, (from, count): (u64, u32), wait: Duration) -> Result<Value, Failure> {
    let mut options = Map::new();
    options.insert("limit".into(), count.into());
    options.insert("wait".into(), wait.as_secs_f64().into());
    target.call("sharedlog.read", vec![log.into(), from.into(), Value::Object(options)], wait)
}

/// A line for each entry: for people its value, in JSON with offset and time. False when nobody reads it any more.
fn show(page: &Value, format: &FormatArgs) -> bool {
    let missing = page.get("missing").and_then(Value::as_u64).unwrap_or(0);
    if missing > 0 {
        eprintln!("({missing} entries are no longer kept)");
    }
    let entries = page.get("entries").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    entries.iter().all(|entry| format.print_line_of(entry, || entry.get("value").map(to_text).unwrap_or_default()))
}
