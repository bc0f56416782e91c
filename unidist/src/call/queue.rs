//! `messagequeue` by name.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::{Waiting, watch};
use crate::error::Error;
use crate::messagequeue::{AddOptions, Claim, Failure, Message, QueueOptions, QueueStatus, WhenFull};
use crate::watch::{QueueChange, QueueEvent};
use crate::{Stop, Unidist};

type Answer = Result<Value, Error>;

/// The lease of a claim that names none.
const LEASE: Duration = Duration::from_secs(60);
/// How many messages `all` returns at most, unless told.
const LIMIT: usize = 1_000;

pub(super) fn ack(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let attempt = arguments.number_option("attempt")?;
    shared.messagequeue().ack(arguments.text(0)?, arguments.text(1)?, attempt).map(|()| Value::Bool(true))
}

pub(super) fn add<'a>(shared: &'a Unidist, arguments: Arguments<'a>) -> Waiting<'a> {
    Box::pin(async move {
        let (queue, message) = (arguments.text(0)?, arguments.value(1)?.clone());
        let options = AddOptions {
            priority: arguments.number_option("priority")?.unwrap_or(0),
            delay: arguments.duration_option("delay")?.unwrap_or(Duration::ZERO),
            id: arguments.text_option("id")?.map(str::to_owned),
            wait: arguments.duration_option("wait")?,
        };
        let added = shared.messagequeue().add_async(queue, message, &options, &Stop::new()).await?;
        Ok(json!({"id": added.id.to_string(), "is_new": added.is_new}))
    })
}

pub(super) fn all(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let limit = arguments.number_option("limit")?.unwrap_or(LIMIT);
    let all = shared.messagequeue().all(arguments.text(0)?, limit)?;
    Ok(Value::Array(all.into_iter().map(message_value).collect()))
}

pub(super) fn changes<'a>(shared: &'a Unidist, arguments: Arguments<'a>) -> Waiting<'a> {
    Box::pin(async move {
        let (from, filter) = (arguments.count_or(0, None)?, watch::filter(&arguments, "queue")?);
        let wait = arguments.duration_option("wait")?.unwrap_or(Duration::ZERO);
        watch::read(&shared.messagequeue().watch(filter, from)?, wait, event_value).await
    })
}

pub(super) fn claim<'a>(shared: &'a Unidist, arguments: Arguments<'a>) -> Waiting<'a> {
    Box::pin(async move {
        let lease = arguments.duration_option("lease")?.unwrap_or(LEASE);
        let wait = wait_of(&arguments)?;
        let claim = shared.messagequeue().claim_async(arguments.text(0)?, lease, wait, &Stop::new()).await?;
        Ok(claim.map_or(Value::Null, claim_value))
    })
}

pub(super) fn configure(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let mut options = QueueOptions::default();
    if let Some(length_max) = arguments.number_option("length_max")? {
        options.length_max = length_max;
    }
    if arguments.has_option("attempts_max") {
        options.attempts_max = arguments.number_option("attempts_max")?;
    }
    options.age_max = arguments.duration_option("age_max")?;
    options.dead_letters = arguments.text_option("dead_letters")?.map(str::to_owned);
    options.when_full = match arguments.text_option("when_full")? {
        None | Some("reject") => WhenFull::Reject,
        Some("drop oldest") => WhenFull::DropOldest,
        Some("wait") => WhenFull::Wait,
        Some(other) => {
            return Err(arguments.refuse(format!("when_full must be drop oldest, reject or wait, found {other:?}")));
        }
    };
    shared.messagequeue().configure(arguments.text(0)?, options).map(|()| Value::Bool(true))
}

pub(super) fn count(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.messagequeue().count(arguments.text(0)?).map(Value::from)
}

pub(super) fn delete(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.messagequeue().delete(arguments.text(0)?).map(Value::from)
}

pub(super) fn extend(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let (queue, id, lease) = (arguments.text(0)?, arguments.text(1)?, arguments.duration(2)?);
    let attempt = arguments.number_option("attempt")?;
    shared.messagequeue().extend(queue, id, attempt, lease).map(|()| Value::Bool(true))
}

pub(super) fn fail(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let (queue, id) = (arguments.text(0)?, arguments.text(1)?);
    let reason = match arguments.optional(2) {
        None | Some(Value::Null) => "failed",
        Some(_) => arguments.text(2)?,
    };
    let attempt = arguments.number_option("attempt")?;
    let delay = arguments.duration_option("delay")?.unwrap_or(Duration::ZERO);
    shared.messagequeue().fail(queue, id, attempt, Failure { reason, delay }).map(|()| Value::Bool(true))
}

pub(super) fn list(shared: &Unidist, _: &Arguments<'_>) -> Answer {
    shared.messagequeue().list().map(Value::from)
}

pub(super) fn newest(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    Ok(shared.messagequeue().newest(arguments.text(0)?)?.map_or(Value::Null, message_value))
}

pub(super) fn oldest(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    Ok(shared.messagequeue().oldest(arguments.text(0)?)?.map_or(Value::Null, message_value))
}

pub(super) fn purge(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.messagequeue().purge(arguments.text(0)?).map(Value::from)
}

pub(super) fn remove(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.messagequeue().remove(arguments.text(0)?, arguments.text(1)?).map(Value::from)
}

pub(super) fn status(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    Ok(shared.messagequeue().status(arguments.text(0)?)?.map_or(Value::Null, |status| status_value(&status)))
}

fn status_value(status: &QueueStatus) -> Value {
    json!({
        "count": status.count(),
        "ready": status.ready,
        "delayed": status.delayed,
        "claimed": status.claimed,
        "consumers_waiting": status.consumers_waiting,
        "producers_waiting": status.producers_waiting,
        "added": status.added,
        "dropped": status.dropped,
        "dead": status.dead,
        "oldest_age": status.oldest_age.map(|age| age.as_secs_f64()),
    })
}

pub(super) fn snapshot(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let snapshot = shared.messagequeue().snapshot(arguments.text(0)?)?;
    Ok(json!({"status": snapshot.status.as_ref().map(status_value), "revision": snapshot.revision}))
}

fn event_value(event: QueueEvent) -> Value {
    let (change, id) = match event.change {
        QueueChange::Added(id) => ("added", Some(id)),
        QueueChange::Ready(id) => ("ready", Some(id)),
        QueueChange::Taken(id) => ("taken", Some(id)),
        QueueChange::Claimed(id, _) => ("claimed", Some(id)),
        QueueChange::Acknowledged(id) => ("acknowledged", Some(id)),
        QueueChange::Returned(id) => ("returned", Some(id)),
        QueueChange::Dropped(id) => ("dropped", Some(id)),
        QueueChange::Dead(id) => ("dead", Some(id)),
        QueueChange::Removed(id) => ("removed", Some(id)),
        QueueChange::Purged => ("purged", None),
        QueueChange::Deleted => ("deleted", None),
        QueueChange::Restored => ("restored", None),
    };
    let (id, revision, count) = (id.map(|id| id.to_string()), event.revision, event.count);
    json!({"queue": *event.queue, "revision": revision, "change": change, "id": id, "count": count})
}

pub(super) fn take<'a>(shared: &'a Unidist, arguments: Arguments<'a>) -> Waiting<'a> {
    Box::pin(async move {
        let wait = wait_of(&arguments)?;
        let message = shared.messagequeue().take_async(arguments.text(0)?, wait, &Stop::new()).await?;
        Ok(message.map_or(Value::Null, message_value))
    })
}

/// One try unless told; null is for ever.
fn wait_of(arguments: &Arguments<'_>) -> Result<Option<Duration>, Error> {
    if arguments.has_option("wait") { arguments.duration_option("wait") } else { Ok(Some(Duration::ZERO)) }
}

fn message_value(message: Message) -> Value {
    let Message { id, message, priority, age, attempts } = message;
    let (id, age) = (id.to_string(), age.as_secs_f64());
    json!({"id": id, "message": message, "priority": priority, "age": age, "attempts": attempts})
}

fn claim_value(claim: Claim) -> Value {
    let Claim { id, message, attempt, priority, age } = claim;
    let (id, age) = (id.to_string(), age.as_secs_f64());
    json!({"id": id, "message": message, "attempt": attempt, "priority": priority, "age": age})
}
