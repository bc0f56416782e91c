//! `sharedlog` by name.

use std::time::Duration;

use serde_json::{Value, json};

use super::Waiting;
use super::arguments::Arguments;
use crate::error::Error;
use crate::sharedlog::{LogEntry, LogOptions};
use crate::{Stop, Unidist};

type Answer = Result<Value, Error>;

/// How many entries `read` returns at most, unless told.
const LIMIT: usize = 1_000;

pub(super) fn append(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedlog().append(arguments.text(0)?, arguments.value(1)?.clone()).map(Value::from)
}

pub(super) fn configure(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let mut options = LogOptions::default();
    if let Some(entries_max) = arguments.number_option("entries_max")? {
        options.entries_max = entries_max;
    }
    if let Some(bytes_max) = arguments.number_option("bytes_max")? {
        options.bytes_max = bytes_max;
    }
    options.age_max = arguments.duration_option("age_max")?;
    shared.sharedlog().configure(arguments.text(0)?, options).map(|()| Value::Bool(true))
}

pub(super) fn delete(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedlog().delete(arguments.text(0)?).map(Value::from)
}

pub(super) fn list(shared: &Unidist, _: &Arguments<'_>) -> Answer {
    shared.sharedlog().list().map(Value::from)
}

pub(super) fn read<'a>(shared: &'a Unidist, arguments: Arguments<'a>) -> Waiting<'a> {
    Box::pin(async move {
        let (logs, log) = (shared.sharedlog(), arguments.text(0)?);
        let offset = arguments.count_or(1, Some(0))?.unwrap_or(0);
        let limit = arguments.number_option("limit")?.unwrap_or(LIMIT);
        let wait = arguments.duration_option("wait")?.unwrap_or(Duration::ZERO);
        let mut page = logs.read(log, offset, limit)?;
        if page.entries.is_empty() && limit > 0 && !wait.is_zero() {
            // What the follower reads is read again below: it only tells that something is there.
            let waited = logs.follow(log, Some(page.next))?.next_async(Some(wait), &Stop::new()).await;
            if !matches!(waited, Err(Error::FellBehind { .. })) {
                waited?;
            }
            page = logs.read(log, offset, limit)?;
        }
        let entries: Vec<Value> = page.entries.iter().map(entry_value).collect();
        Ok(json!({"entries": entries, "missing": page.missing, "next": page.next}))
    })
}

pub(super) fn status(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let status = shared.sharedlog().status(arguments.text(0)?)?;
    Ok(status.map_or(Value::Null, |status| {
        json!({"first": status.first, "next": status.next, "count": status.next - status.first, "bytes": status.bytes})
    }))
}

fn entry_value(entry: &LogEntry) -> Value {
    json!({"offset": entry.offset, "time": entry.time.as_secs_f64(), "value": *entry.value})
}
