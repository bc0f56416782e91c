//! `sharedstate` by name.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::{Waiting, watch};
use crate::Unidist;
use crate::error::Error;
use crate::sharedstate::{Compared, Search, SetOptions, StateEntry};
use crate::watch::{Change, StateEvent, WatchFilter};

type Answer = Result<Value, Error>;

pub(super) fn bucket(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let bucket = shared.sharedstate().bucket(arguments.text(0)?)?;
    let entries = bucket.entries.into_iter().map(|(key, entry)| (key, copy(entry.value)));
    Ok(Value::Object(entries.collect()))
}

pub(super) fn buckets(shared: &Unidist, _: &Arguments<'_>) -> Answer {
    shared.sharedstate().buckets().map(Value::from)
}

pub(super) fn changes<'a>(shared: &'a Unidist, arguments: Arguments<'a>) -> Waiting<'a> {
    Box::pin(async move {
        let state = shared.sharedstate();
        let from = arguments.count_or(0, None)?;
        let filter = WatchFilter {
            bucket: arguments.text_option("bucket")?.map(str::to_owned),
            key_prefix: arguments.text_option("key_prefix")?.unwrap_or("").to_owned(),
        };
        let wait = arguments.duration_option("wait")?.unwrap_or(Duration::ZERO);
        watch::read(&state.watch(filter, from)?, wait, event_value).await
    })
}

pub(super) fn compare_and_remove(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let (bucket, key) = (arguments.text(0)?, arguments.text(1)?);
    Ok(match shared.sharedstate().compare_and_remove(bucket, key, arguments.count(2)?)? {
        Compared::Set(revision, _) => json!({"is_removed": true, "revision": revision}),
        Compared::Differs(revision) => json!({"is_removed": false, "revision": revision}),
    })
}

pub(super) fn compare_and_set(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let (bucket, key, value) = (arguments.text(0)?, arguments.text(1)?, arguments.value(3)?.clone());
    let (revision, options) = (arguments.count(2)?, options(arguments)?);
    let compared = shared.sharedstate().compare_and_set_with(bucket, key, revision, (value, &options))?;
    Ok(match compared {
        Compared::Set(revision, ()) => json!({"is_set": true, "revision": revision}),
        Compared::Differs(revision) => json!({"is_set": false, "revision": revision}),
    })
}

pub(super) fn entry(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let entry = shared.sharedstate().entry(arguments.text(0)?, arguments.text(1)?)?;
    Ok(entry.map_or(Value::Null, |entry| {
        let remaining = entry.remaining.map(|remaining| remaining.as_secs_f64());
        json!({"value": *entry.value, "revision": entry.revision, "remaining": remaining})
    }))
}

pub(super) fn exists(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedstate().exists(arguments.text(0)?, arguments.text(1)?).map(Value::from)
}

pub(super) fn get(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let (bucket, key) = (arguments.text(0)?, arguments.text(1)?);
    match (shared.sharedstate().get(bucket, key)?, arguments.optional(2)) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(Error::NoSuchKey { bucket: bucket.to_owned(), key: key.to_owned() }),
    }
}

pub(super) fn get_set(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let (bucket, key, value) = (arguments.text(0)?, arguments.text(1)?, arguments.value(2)?.clone());
    let before = shared.sharedstate().get_set(bucket, key, value)?;
    Ok(before.or_else(|| arguments.optional(3).cloned()).unwrap_or(Value::Null))
}

pub(super) fn keys(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedstate().keys(arguments.text(0)?).map(Value::from)
}

pub(super) fn remove(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let removed = shared.sharedstate().remove(arguments.text(0)?, arguments.text(1)?)?;
    Ok(Value::Bool(removed.is_some()))
}

pub(super) fn remove_bucket(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedstate().remove_bucket(arguments.text(0)?).map(Value::from)
}

pub(super) fn revision(shared: &Unidist, _: &Arguments<'_>) -> Answer {
    shared.sharedstate().revision().map(Value::from)
}

pub(super) fn search(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let search = Search {
        pattern: arguments.text(0)?.to_owned(),
        bucket: arguments.text_option("bucket")?.map(str::to_owned),
        key: arguments.text_option("key")?.map(str::to_owned),
    };
    let found = |entry: StateEntry| json!({"bucket": *entry.bucket, "key": *entry.key, "value": *entry.value});
    Ok(Value::Array(shared.sharedstate().search(&search)?.into_iter().map(found).collect()))
}

pub(super) fn set(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let (bucket, key, value) = (arguments.text(0)?, arguments.text(1)?, arguments.value(2)?.clone());
    shared.sharedstate().set_with(bucket, key, value, &options(arguments)?).map(Value::from)
}

pub(super) fn set_if_missing(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let (bucket, key, value) = (arguments.text(0)?, arguments.text(1)?, arguments.value(2)?.clone());
    shared.sharedstate().set_if_missing(bucket, key, value, &options(arguments)?).map(Value::from)
}

fn options(arguments: &Arguments<'_>) -> Result<SetOptions, Error> {
    Ok(SetOptions { time_to_live: arguments.duration_option("time_to_live")? })
}

fn event_value(event: StateEvent) -> Value {
    let (change, value) = match event.change {
        Change::Set(value) => ("set", copy(value)),
        Change::Removed => ("removed", Value::Null),
        Change::Expired => ("expired", Value::Null),
    };
    json!({"bucket": *event.bucket, "key": *event.key, "revision": event.revision, "change": change, "value": value})
}

fn copy(value: Arc<Value>) -> Value {
    Arc::try_unwrap(value).unwrap_or_else(|value| Value::clone(&value))
}
