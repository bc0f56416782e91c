//! `procblock state`: keys with values, in buckets.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::{EXIT_TIMED_OUT, Failure};
use super::instance::{FOLLOW_WAIT, InstanceArgs, duration};
use super::output::{Format, FormatArgs, ValueArgs, print};
use super::table::Table;
use crate::cli::EXIT_DONE;
use crate::value::{Map, Value, to_text};

#[derive(Subcommand)]
pub(crate) enum StateCommand {
    /// Print a key's value; a key that is absent is exit code 1.
    Get(GetArgs),
    /// Write a key.
    Set(SetArgs),
    /// List the keys of a bucket; without one, the buckets.
    Keys(KeysArgs),
    /// Remove a key; one that is absent is exit code 1.
    Remove(RemoveArgs),
    /// Print each change of a key as it is made, until Ctrl-C.
    Watch(WatchArgs),
    /// List the entries with a value that a regular expression matches, whatever the case.
    Search(SearchArgs),
}

#[derive(Args)]
pub(crate) struct GetArgs {
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    /// Print this when the key is absent.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    default: Option<String>,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
pub(crate) struct SetArgs {
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    #[command(flatten)]
    value: ValueArgs,
    /// The key ends after this time.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    time_to_live: Option<Duration>,
    /// Write it only if it still has this revision (0: it is absent), as `state watch -o json` tells it; else the exit
    /// code is 1.
    #[arg(long, value_name = "REVISION")]
    revision: Option<u64>,
    #[command(flatten)]
    instance: InstanceArgs,
}

#[derive(Args)]
pub(crate) struct KeysArgs {
    /// The bucket.
    bucket: Option<String>,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
pub(crate) struct RemoveArgs {
    /// The bucket.
    bucket: String,
    /// The key.
    key: String,
    /// Remove it only if it still has this revision, as `state watch -o json` tells it; else the exit code is 1.
    #[arg(long, value_name = "REVISION")]
    revision: Option<u64>,
    #[command(flatten)]
    instance: InstanceArgs,
}

#[derive(Args)]
pub(crate) struct WatchArgs {
    /// Only this bucket.
    bucket: Option<String>,
    /// Only keys that begin with this text.
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<String>,
    /// Begin after this revision; without it with what comes from now on.
    #[arg(long, value_name = "REVISION")]
    from: Option<u64>,
    /// End when nothing changes for this time; the exit code is 124.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
pub(crate) struct SearchArgs {
    /// A regular expression for values.
    pattern: String,
    /// A regular expression for buckets.
    #[arg(long, value_name = "PATTERN")]
    bucket: Option<String>,
    /// A regular expression for keys.
    #[arg(long, value_name = "PATTERN")]
    key: Option<String>,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(command: StateCommand) -> Result<u8, Failure> {
    match command {
        StateCommand::Get(arguments) => get(arguments),
        StateCommand::Set(arguments) => set(arguments),
        StateCommand::Keys(arguments) => keys(arguments),
        StateCommand::Remove(arguments) => remove(arguments),
        StateCommand::Watch(arguments) => watch(&arguments),
        StateCommand::Search(arguments) => search(arguments),
    }
}

fn get(arguments: GetArgs) -> Result<u8, Failure> {
    let mut positions: Vec<Value> = vec![arguments.bucket.into(), arguments.key.into()];
    if let Some(default) = arguments.default {
        positions.push(serde_json::from_str(&default).unwrap_or_else(|_| default.into()));
    }
    let value = arguments.instance.call("sharedstate.get", positions)?;
    arguments.format.print(&value);
    Ok(EXIT_DONE)
}

fn set(arguments: SetArgs) -> Result<u8, Failure> {
    let (bucket, key) = (arguments.bucket, arguments.key);
    let mut positions: Vec<Value> = vec![bucket.into(), key.clone().into()];
    positions.extend(arguments.revision.map(Value::from));
    positions.push(arguments.value.read());
    let mut options = Map::new();
    if let Some(time_to_live) = arguments.time_to_live {
        options.insert("time_to_live".into(), time_to_live.as_secs_f64().into());
    }
    // Without it, a value that is a mapping would be taken for the options.
    positions.push(Value::Object(options));
    match arguments.revision {
        None => drop(arguments.instance.call("sharedstate.set", positions)?),
        Some(revision) => {
            let compared = arguments.instance.call("sharedstate.compare_and_set", positions)?;
            done_if(&compared, "is_set", &key, revision)?;
        }
    }
    Ok(EXIT_DONE)
}

/// Whether the key had the revision.
fn done_if(compared: &Value, done: &str, key: &str, revision: u64) -> Result<(), Failure> {
    if compared.get(done) == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let found = compared.get("revision").and_then(Value::as_u64).unwrap_or(0);
    let has = if found == 0 { "it does not exist".to_owned() } else { format!("it has revision {found}") };
    Err(Failure::failed(format!("the key {key:?} does not have revision {revision}: {has}")))
}

fn keys(arguments: KeysArgs) -> Result<u8, Failure> {
    let names = match arguments.bucket {
        Some(bucket) => arguments.instance.call("sharedstate.keys", vec![bucket.into()])?,
        None => arguments.instance.call("sharedstate.buckets", Vec::new())?,
    };
    arguments.format.print_list(&names);
    Ok(EXIT_DONE)
}

fn remove(arguments: RemoveArgs) -> Result<u8, Failure> {
    let (bucket, key) = (arguments.bucket, arguments.key);
    if let Some(revision) = arguments.revision {
        let positions = vec![bucket.into(), key.clone().into(), revision.into()];
        let compared = arguments.instance.call("sharedstate.compare_and_remove", positions)?;
        return done_if(&compared, "is_removed", &key, revision).map(|()| EXIT_DONE);
    }
    let text = format!("the bucket {bucket:?} has no key {key:?}");
    let is_removed = arguments.instance.call("sharedstate.remove", vec![bucket.into(), key.into()])?;
    if is_removed == Value::Bool(true) { Ok(EXIT_DONE) } else { Err(Failure::failed(text)) }
}

/// A line for each change: JSON as it is, for people `BUCKET KEY VALUE`, or what happened instead.
fn watch(arguments: &WatchArgs) -> Result<u8, Failure> {
    let mut target = arguments.instance.open()?;
    let mut from = match arguments.from {
        Some(from) => Value::from(from),
        None => target.call("sharedstate.revision", Vec::new(), Duration::ZERO)?,
    };
    let wait = arguments.wait.unwrap_or(FOLLOW_WAIT);
    loop {
        let mut options = Map::new();
        for (name, text) in [("bucket", &arguments.bucket), ("key_prefix", &arguments.key_prefix)] {
            if let Some(text) = text {
                options.insert(name.into(), text.clone().into());
            }
        }
        options.insert("wait".into(), wait.as_secs_f64().into());
        let changes = target.call("sharedstate.changes", vec![from, Value::Object(options)], wait)?;
        let events = changes.get("events").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if events.is_empty() && arguments.wait.is_some() {
            return Err(Failure::new(EXIT_TIMED_OUT, "nothing changed"));
        }
        for event in events {
            if !arguments.format.print_line_of(event, || change_text(event)) {
                return Ok(EXIT_DONE);
            }
        }
        from = changes.get("revision").cloned().unwrap_or_default();
    }
}

fn change_text(event: &Value) -> String {
    let text = |name: &str| event.get(name).map(to_text).unwrap_or_default();
    let what = if text("change") == "set" { text("value") } else { format!("({})", text("change")) };
    format!("{} {} {what}", text("bucket"), text("key"))
}

fn search(arguments: SearchArgs) -> Result<u8, Failure> {
    let mut options = Map::new();
    for (name, pattern) in [("bucket", arguments.bucket), ("key", arguments.key)] {
        if let Some(pattern) = pattern {
            options.insert(name.into(), pattern.into());
        }
    }
    let found =
        arguments.instance.call("sharedstate.search", vec![arguments.pattern.into(), Value::Object(options)])?;
    match (arguments.format.output, &found) {
        (Format::Text, Value::Array(entries)) => {
            let mut table = Table::new(&["BUCKET", "KEY", "VALUE"]);
            for entry in entries {
                table.add(["bucket", "key", "value"].map(|name| entry.get(name).map(to_text).unwrap_or_default()));
            }
            print(&table.to_text());
        }
        _ => arguments.format.print(&found),
    }
    Ok(EXIT_DONE)
}
