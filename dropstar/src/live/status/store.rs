//! What the store holds, for the status page: so much of each kind, and how much is left out.

use std::time::Duration;

use serde_json::json;
use unidist::{Error, Search, StateEntry, Unidist};

use crate::{Map, Value};

/// Things of one kind that are shown.
const SHOWN_MAX: usize = 500;

/// Queues that are shown, each with its first messages.
const QUEUES_MAX: usize = 100;

/// The first messages of a queue that are shown.
const FIRST_MAX: usize = 3;

/// Reads locks, counters, queues and state, of the state only what `search` finds if it is not empty. Blocks while the
/// store does.
///
/// # Errors
/// The store can't be read, or `search` is no regular expression.
pub(super) fn read(unidist: &Unidist, search: &str, page: &mut Map) -> Result<(), Error> {
    let mut left_out = Map::new();
    let mut bounded = |name: &str, all: usize, shown: usize, values: Value| {
        if all > shown {
            left_out.insert(name.into(), (all - shown).into());
        }
        page.insert(name.into(), values);
    };
    let locks = unidist.sharedlock().find_all_locked()?;
    bounded("locks", locks.len(), SHOWN_MAX, locks.iter().take(SHOWN_MAX).map(lock).collect());
    let counters = unidist.sharedcounter().all()?;
    let all = counters.len();
    let shown: Map = counters.into_iter().take(SHOWN_MAX).map(|(name, value)| (name, value.into())).collect();
    bounded("counters", all, SHOWN_MAX, Value::Object(shown));
    let names = unidist.messagequeue().list()?;
    let queues: Result<Vec<Value>, Error> = names.iter().take(QUEUES_MAX).map(|name| queue(unidist, name)).collect();
    bounded("queues", names.len(), QUEUES_MAX, queues?.into());
    let (entries, all) = state(unidist, search)?;
    bounded("state", all, SHOWN_MAX, entries.iter().take(SHOWN_MAX).map(entry).collect());
    page.insert("left_out".into(), Value::Object(left_out));
    Ok(())
}

fn lock(held: &unidist::LockInfo) -> Value {
    json!({
        "name": held.name, "owner": held.owner, "process": held.process, "age": held.age.as_secs_f64(),
        "remaining": held.remaining.as_ref().map(Duration::as_secs_f64), "waiting": held.waiting, "fence": held.fence,
    })
}

fn queue(unidist: &Unidist, name: &str) -> Result<Value, Error> {
    let status = unidist.messagequeue().status(name)?.unwrap_or_default();
    let first = unidist.messagequeue().all(name, FIRST_MAX)?;
    let first = first.into_iter().map(|message| {
        json!({
            "id": message.id.to_string(), "message": message.message, "age": message.age.as_secs_f64(),
            "attempts": message.attempts,
        })
    });
    Ok(json!({
        "name": name, "ready": status.ready, "delayed": status.delayed, "claimed": status.claimed,
        "consumers_waiting": status.consumers_waiting, "producers_waiting": status.producers_waiting,
        "added": status.added, "dropped": status.dropped, "dead": status.dead,
        "oldest_age": status.oldest_age.as_ref().map(Duration::as_secs_f64), "first": first.collect::<Vec<_>>(),
    }))
}

/// Some entries, at least [`SHOWN_MAX`] if there are so many, and how many there are.
fn state(unidist: &Unidist, search: &str) -> Result<(Vec<StateEntry>, usize), Error> {
    if !search.is_empty() {
        let found = unidist.sharedstate().search(&Search { pattern: search.into(), ..Search::default() })?;
        let all = found.len();
        return Ok((found, all));
    }
    let (mut entries, mut all) = (Vec::new(), 0);
    for bucket in unidist.sharedstate().buckets()? {
        if entries.len() >= SHOWN_MAX {
            all += unidist.sharedstate().keys(&bucket)?.len();
            continue;
        }
        let found = unidist.sharedstate().bucket(&bucket)?.entries;
        all += found.len();
        entries.extend(found.into_values().take(SHOWN_MAX - entries.len()));
    }
    Ok((entries, all))
}

fn entry(entry: &StateEntry) -> Value {
    json!({
        "bucket": entry.bucket, "key": entry.key, "value": *entry.value, "revision": entry.revision,
        "remaining": entry.remaining.as_ref().map(Duration::as_secs_f64),
    })
}
