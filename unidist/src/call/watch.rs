//! What watches of state, counters and queues have in common by name.

use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::Arguments;
use crate::Stop;
use crate::error::Error;
use crate::watch::{NameFilter, WatchEvent, Watcher};

/// The changes that are there, or the first ones that come, with the revision to go on from.
pub(super) async fn read<E: WatchEvent>(
    watcher: &Watcher<E>,
    wait: Duration,
    value: fn(E) -> Value,
) -> Result<Value, Error> {
    let stop = Stop::new();
    let mut events = Vec::new();
    let mut next = watcher.next_async(Some(wait), &stop).await?;
    while let Some(event) = next {
        events.push(value(event));
        next = watcher.next_async(Some(Duration::ZERO), &stop).await?;
    }
    Ok(json!({"events": events, "revision": watcher.revision()}))
}

/// The option `one` (the name of a counter or queue), else the option `prefix`, else all.
pub(super) fn filter(arguments: &Arguments<'_>, one: &str) -> Result<NameFilter, Error> {
    match (arguments.text_option(one)?, arguments.text_option("prefix")?) {
        (Some(_), Some(_)) => Err(arguments.refuse(format!("{one} and prefix exclude each other: give one of them"))),
        (Some(name), None) => Ok(NameFilter::One(name.to_owned())),
        (None, Some(prefix)) => Ok(NameFilter::Prefix(prefix.to_owned())),
        (None, None) => Ok(NameFilter::All),
    }
}
