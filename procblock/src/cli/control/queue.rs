//! `procblock queue`: queues of messages.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::{EXIT_TIMED_OUT, Failure};
use super::instance::{FOLLOW_WAIT, InstanceArgs, duration};
use super::output::{Format, FormatArgs, ValueArgs};
use crate::cli::EXIT_DONE;
use crate::value::{Map, Value, to_text};

#[derive(Subcommand)]
pub(crate) enum QueueCommand {
    /// Add a message and print its id.
    Add(AddArgs),
    /// Remove the next message and print it; an empty queue is exit code 1.
    Take(TakeArgs),
    /// Hold the next message under a lease and print it as JSON with its id and attempt; an empty queue is exit code 1.
    Claim(ClaimArgs),
    /// End a claim well: the message is done.
    Ack(AckArgs),
    /// End a claim badly: the message comes again, or goes to the dead letters.
    Fail(FailArgs),
    /// Print the next messages and leave them; an empty queue is exit code 1.
    Peek(PeekArgs),
    /// List the queues.
    List(ListArgs),
    /// Print how many messages a queue holds.
    Count(CountArgs),
}

#[derive(Args)]
pub(crate) struct AddArgs {
    /// The queue.
    queue: String,
    #[command(flatten)]
    message: ValueArgs,
    /// Higher ones leave first.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Hide the message for this time.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    delay: Option<Duration>,
    /// The message's id; a second message with it is not added.
    #[arg(long)]
    id: Option<String>,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
pub(crate) struct TakeArgs {
    /// The queue.
    queue: String,
    /// Wait for a message so long; then the exit code is 124.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    /// Go on with each message as it comes, until Ctrl-C or for as long as --wait says without one.
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Args)]
pub(crate) struct ClaimArgs {
    /// The queue.
    queue: String,
    /// For how long the message is held.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    lease: Duration,
    /// Wait for a message so long; then the exit code is 124.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    #[command(flatten)]
    instance: InstanceArgs,
}

#[derive(Args)]
pub(crate) struct AckArgs {
    /// The queue.
    queue: String,
    /// The message's id.
    id: String,
    /// The attempt that the claim said: a later one's claim is then left alone.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    #[command(flatten)]
    instance: InstanceArgs,
}

#[derive(Args)]
pub(crate) struct FailArgs {
    /// The queue.
    queue: String,
    /// The message's id.
    id: String,
    /// Why, kept for its dead letter.
    reason: Option<String>,
    /// The attempt that the claim said: a later one's claim is then left alone.
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Hide the message for this time.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    delay: Option<Duration>,
    #[command(flatten)]
    instance: InstanceArgs,
}

#[derive(Args)]
pub(crate) struct PeekArgs {
    /// The queue.
    queue: String,
    /// How many messages at most.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    count: u32,
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

#[derive(Args)]
pub(crate) struct CountArgs {
    /// The queue.
    queue: String,
    #[command(flatten)]
    instance: InstanceArgs,
}

pub(super) fn run(command: QueueCommand) -> Result<u8, Failure> {
    match command {
        QueueCommand::Add(arguments) => add(arguments),
        QueueCommand::Take(arguments) => take(arguments),
        QueueCommand::Claim(arguments) => claim(&arguments),
        QueueCommand::Ack(arguments) => settle(&arguments.instance, "messagequeue.ack", ack_of(&arguments)),
        QueueCommand::Fail(arguments) => settle(&arguments.instance, "messagequeue.fail", fail_of(&arguments)),
        QueueCommand::Peek(arguments) => peek(arguments),
        QueueCommand::List(arguments) => {
            arguments.format.print_list(&arguments.instance.call("messagequeue.list", Vec::new())?);
            Ok(EXIT_DONE)
        }
        QueueCommand::Count(arguments) => count(arguments),
    }
}

fn add(arguments: AddArgs) -> Result<u8, Failure> {
    let mut options = Map::new();
    if let Some(priority) = arguments.priority {
        options.insert("priority".into(), priority.into());
    }
    if let Some(delay) = arguments.delay {
        options.insert("delay".into(), delay.as_secs_f64().into());
    }
    if let Some(id) = arguments.id {
        options.insert("id".into(), id.into());
    }
    options.insert("wait".into(), 0.into());
    let positions = vec![arguments.queue.into(), arguments.message.read(), Value::Object(options)];
    let added = arguments.instance.call("messagequeue.add", positions)?;
    match arguments.format.output {
        Format::Json => arguments.format.print(&added),
        Format::Text => arguments.format.print(added.get("id").unwrap_or(&Value::Null)),
    }
    Ok(EXIT_DONE)
}

/// Takes one message after the other; what was taken is printed before the next one is.
fn follow(arguments: &TakeArgs) -> Result<u8, Failure> {
    let mut target = arguments.instance.open()?;
    let wait = arguments.wait.unwrap_or(FOLLOW_WAIT);
    let mut options = Map::new();
    options.insert("wait".into(), wait.as_secs_f64().into());
    let positions = vec![arguments.queue.clone().into(), Value::Object(options)];
    loop {
        let taken = target.call("messagequeue.take", positions.clone(), wait)?;
        match taken.get("message") {
            None if arguments.wait.is_some() => return Ok(EXIT_DONE),
            None => {}
            Some(message) if arguments.format.print_line_of(&taken, || to_text(message)) => {}
            Some(_) => return Ok(EXIT_DONE),
        }
    }
}

fn claim(arguments: &ClaimArgs) -> Result<u8, Failure> {
    let wait = arguments.wait.unwrap_or_default();
    let mut options = Map::new();
    options.insert("wait".into(), wait.as_secs_f64().into());
    options.insert("lease".into(), arguments.lease.as_secs_f64().into());
    let positions = vec![arguments.queue.clone().into(), Value::Object(options)];
    let claimed = arguments.instance.call_waiting("messagequeue.claim", positions, wait)?;
    if claimed.is_null() && !wait.is_zero() {
        return Err(Failure::new(EXIT_TIMED_OUT, format!("the queue {:?} stayed empty", arguments.queue)));
    }
    print_message(&arguments.queue, &claimed, &FormatArgs { output: Format::Json })
}

fn ack_of(arguments: &AckArgs) -> Vec<Value> {
    let mut options = Map::new();
    if let Some(attempt) = arguments.attempt {
        options.insert("attempt".into(), attempt.into());
    }
    vec![arguments.queue.clone().into(), arguments.id.clone().into(), Value::Object(options)]
}

fn fail_of(arguments: &FailArgs) -> Vec<Value> {
    let mut options = Map::new();
    if let Some(attempt) = arguments.attempt {
        options.insert("attempt".into(), attempt.into());
    }
    if let Some(delay) = arguments.delay {
        options.insert("delay".into(), delay.as_secs_f64().into());
    }
    let reason = arguments.reason.clone().unwrap_or_else(|| "failed by a command".into());
    vec![arguments.queue.clone().into(), arguments.id.clone().into(), reason.into(), Value::Object(options)]
}

fn settle(instance: &InstanceArgs, call: &str, positions: Vec<Value>) -> Result<u8, Failure> {
    instance.call(call, positions)?;
    Ok(EXIT_DONE)
}

fn take(arguments: TakeArgs) -> Result<u8, Failure> {
    if arguments.follow {
        return follow(&arguments);
    }
    let wait = arguments.wait.unwrap_or_default();
    let mut options = Map::new();
    options.insert("wait".into(), wait.as_secs_f64().into());
    let positions = vec![arguments.queue.clone().into(), Value::Object(options)];
    let taken = arguments.instance.call_waiting("messagequeue.take", positions, wait)?;
    if taken.is_null() && !wait.is_zero() {
        return Err(Failure::new(EXIT_TIMED_OUT, format!("the queue {:?} stayed empty", arguments.queue)));
    }
    print_message(&arguments.queue, &taken, &arguments.format)
}

fn peek(arguments: PeekArgs) -> Result<u8, Failure> {
    let mut options = Map::new();
    options.insert("limit".into(), arguments.count.into());
    let positions = vec![arguments.queue.clone().into(), Value::Object(options)];
    let all = arguments.instance.call("messagequeue.all", positions)?;
    match (arguments.format.output, &all) {
        (_, Value::Array(messages)) if messages.is_empty() => Err(empty(&arguments.queue)),
        (Format::Text, Value::Array(messages)) => {
            messages
                .iter()
                .try_for_each(|message| print_message(&arguments.queue, message, &arguments.format).map(drop))?;
            Ok(EXIT_DONE)
        }
        _ => {
            arguments.format.print(&all);
            Ok(EXIT_DONE)
        }
    }
}

/// For people the message alone, in JSON with its id, priority, age and attempts.
fn print_message(queue: &str, message: &Value, format: &FormatArgs) -> Result<u8, Failure> {
    match (format.output, message.get("message")) {
        (_, None) => return Err(empty(queue)),
        (Format::Text, Some(content)) => format.print(content),
        (Format::Json, Some(_)) => format.print(message),
    }
    Ok(EXIT_DONE)
}

fn count(arguments: CountArgs) -> Result<u8, Failure> {
    let count = arguments.instance.call("messagequeue.count", vec![arguments.queue.clone().into()])?;
    if count.is_null() {
        return Err(Failure::failed(format!("there is no queue {:?}", arguments.queue)));
    }
    FormatArgs { output: Format::Text }.print(&count);
    Ok(EXIT_DONE)
}

fn empty(queue: &str) -> Failure {
    Failure::failed(format!("the queue {queue:?} is empty"))
}
