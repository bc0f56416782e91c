//! `sharedcounter` by name.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::{Waiting, watch};
use crate::Unidist;
use crate::error::Error;
use crate::watch::CounterEvent;

type Answer = Result<Value, Error>;

pub(super) fn all(shared: &Unidist, _: &Arguments<'_>) -> Answer {
    let all = shared.sharedcounter().all()?;
    Ok(Value::Object(all.into_iter().map(|(name, value)| (name, Value::from(value))).collect()))
}

pub(super) fn changes<'a>(shared: &'a Unidist, arguments: Arguments<'a>) -> Waiting<'a> {
    Box::pin(async move {
        let (from, filter) = (arguments.count_or(0, None)?, watch::filter(&arguments, "name")?);
        let wait = arguments.duration_option("wait")?.unwrap_or(Duration::ZERO);
        watch::read(&shared.sharedcounter().watch(filter, from)?, wait, event_value).await
    })
}

pub(super) fn decrement(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let by = arguments.integer_or(1, 1)?;
    shared.sharedcounter().decrement(arguments.text(0)?, by).map(Value::from)
}

pub(super) fn delete(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedcounter().delete(arguments.text(0)?).map(Value::from)
}

pub(super) fn get(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedcounter().get(arguments.text(0)?).map(Value::from)
}

pub(super) fn get_increment(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let by = arguments.integer_or(1, 1)?;
    shared.sharedcounter().get_increment(arguments.text(0)?, by).map(Value::from)
}

pub(super) fn get_set(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedcounter().get_set(arguments.text(0)?, arguments.integer(1)?).map(Value::from)
}

pub(super) fn increment(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let by = arguments.integer_or(1, 1)?;
    shared.sharedcounter().increment(arguments.text(0)?, by).map(Value::from)
}

pub(super) fn set(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedcounter().set(arguments.text(0)?, arguments.integer(1)?).map(Value::from)
}

pub(super) fn snapshot(shared: &Unidist, _: &Arguments<'_>) -> Answer {
    let snapshot = shared.sharedcounter().snapshot()?;
    Ok(json!({"values": snapshot.values, "revision": snapshot.revision}))
}

fn event_value(event: CounterEvent) -> Value {
    json!({"name": *event.name, "revision": event.revision, "value": event.value})
}
