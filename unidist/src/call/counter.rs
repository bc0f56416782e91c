//! `sharedcounter` by name.

use serde_json::Value;

use super::arguments::Arguments;
use crate::Unidist;
use crate::error::Error;

type Answer = Result<Value, Error>;

pub(super) fn all(shared: &Unidist, _: &Arguments<'_>) -> Answer {
    let all = shared.sharedcounter().all()?;
    Ok(Value::Object(all.into_iter().map(|(name, value)| (name, Value::from(value))).collect()))
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
