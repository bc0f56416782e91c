//! `sharedlock` by name: locks are held in the owner's name, without guards.

use serde_json::{Value, json};

use super::Waiting;
use super::arguments::Arguments;
use crate::error::Error;
use crate::sharedlock::{AcquireOptions, LockInfo};
use crate::{Stop, Unidist};

type Answer = Result<Value, Error>;

pub(super) fn acquire<'a>(shared: &'a Unidist, arguments: Arguments<'a>) -> Waiting<'a> {
    Box::pin(async move {
        let name = arguments.text(0)?;
        let options = AcquireOptions {
            wait: arguments.duration_option("wait")?,
            lease: arguments.duration_option("lease")?,
            owner: None,
            permits: arguments.number_option("permits")?.unwrap_or(1),
            rank: arguments.number_option("rank")?,
        };
        let owner = arguments.owner()?;
        match shared.sharedlock().acquire_as_async(name, &owner, &options, &Stop::new()).await {
            Ok(fence) => Ok(Value::from(fence)),
            Err(Error::Busy { .. }) => Ok(Value::Bool(false)),
            Err(error) => Err(error),
        }
    })
}

pub(super) fn find_all_locked(shared: &Unidist, _: &Arguments<'_>) -> Answer {
    Ok(Value::Array(shared.sharedlock().find_all_locked()?.iter().map(info).collect()))
}

pub(super) fn force_release(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Array(shared.sharedlock().force_release(arguments.text(0)?)?.iter().map(info).collect()))
}

pub(super) fn holder(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    Ok(shared.sharedlock().holder(arguments.text(0)?)?.as_ref().map_or(Value::Null, info))
}

pub(super) fn is_locked(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedlock().is_locked(arguments.text(0)?).map(Value::from)
}

pub(super) fn release(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let name = arguments.text(0)?;
    shared.sharedlock().release(name, &arguments.owner()?).map(|()| Value::Bool(true))
}

pub(super) fn release_all(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedlock().release_all(&arguments.owner()?).map(Value::from)
}

pub(super) fn remaining(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let remaining = shared.sharedlock().remaining(arguments.text(0)?)?;
    Ok(remaining.map_or(Value::Null, |remaining| Value::from(remaining.as_secs_f64())))
}

pub(super) fn renew(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    let name = arguments.text(0)?;
    let lease = match arguments.value(1)? {
        Value::Null => None,
        _ => Some(arguments.duration(1)?),
    };
    shared.sharedlock().renew(name, &arguments.owner()?, lease).map(|()| Value::Bool(true))
}

pub(super) fn waiting(shared: &Unidist, arguments: &Arguments<'_>) -> Answer {
    shared.sharedlock().waiting(arguments.text(0)?).map(Value::from)
}

fn info(info: &LockInfo) -> Value {
    json!({
        "name": info.name,
        "owner": info.owner,
        "fence": info.fence,
        "age": info.age.as_secs_f64(),
        "remaining": info.remaining.map(|remaining| remaining.as_secs_f64()),
        "process": info.process,
        "waiting": info.waiting,
    })
}
