//! The state: buckets, keys, one key with an editor. What somebody else changed meanwhile is never written over.

use std::time::Duration;

use serde_json::json;
use unidist::{Compared, Error, Search, StateEntry, Unidist};

use super::change::{Changed, Refused};
use super::listing::{part, part_of};
use super::view::View;
use super::visit::Visit;
use crate::answer::Problem;
use crate::{Map, Value};

/// A longer value can be looked at here but not edited, in bytes of JSON.
const EDITED_BYTES_MAX: usize = 256 * 1024;

/// What the page shows: one key, the keys of a bucket, what a search finds, or the buckets.
///
/// # Errors
/// The search is no regular expression, there is no such key, or the store can't be read.
pub(super) async fn read(visit: &Visit<'_>) -> Result<Map, Problem> {
    let view = visit.view.clone();
    match (visit.place.name.clone(), view.key.clone()) {
        (Some(bucket), Some(key)) => one_key(visit, bucket, key).await,
        (Some(bucket), None) => visit.with_store(move |store| one_bucket(store, &bucket, &view)).await,
        (None, _) if view.search.is_empty() => visit.with_store(move |store| buckets(store, &view)).await,
        (None, _) => {
            let found = visit.with_store(move |store| {
                let found = search(store, &view.search)?;
                let all = found.len();
                Ok(keys(found, all, &view))
            });
            found.await
        }
    }
}

fn buckets(store: &Unidist, view: &View) -> Result<Map, Error> {
    let (names, listing) = part(store.sharedstate().buckets()?, |name| name.as_str(), view);
    let count = |name: &String| Ok(json!({"name": name, "keys": store.sharedstate().keys(name)?.len()}));
    let buckets: Result<Vec<Value>, Error> = names.iter().map(count).collect();
    Ok(Map::from_iter([("buckets".to_string(), buckets?.into()), ("listing".into(), listing.to_value())]))
}

fn one_bucket(store: &Unidist, bucket: &str, view: &View) -> Result<Map, Error> {
    let entries: Vec<StateEntry> = store.sharedstate().bucket(bucket)?.entries.into_values().collect();
    let all = entries.len();
    let found = if view.search.is_empty() {
        entries
    } else {
        let mut found = search(store, &view.search)?;
        found.retain(|entry| *entry.bucket == *bucket);
        found
    };
    let mut page = keys(found, all, view);
    page.insert("name".into(), bucket.into());
    Ok(page)
}

fn keys(found: Vec<StateEntry>, all: usize, view: &View) -> Map {
    let (shown, listing) = part_of(found, all, view);
    let state = shown.iter().map(entry).collect();
    Map::from_iter([("state".to_string(), state), ("listing".into(), listing.to_value())])
}

fn search(store: &Unidist, pattern: &str) -> Result<Vec<StateEntry>, Error> {
    store.sharedstate().search(&Search { pattern: pattern.into(), ..Search::default() })
}

async fn one_key(visit: &Visit<'_>, bucket: String, key: String) -> Result<Map, Problem> {
    let mut page = Map::new();
    page.insert("name".into(), bucket.as_str().into());
    page.insert("key".into(), key.as_str().into());
    let found = visit.with_store(move |store| store.sharedstate().entry(&bucket, &key)).await?;
    let Some(found) = found else {
        return Err(Problem::new(http::StatusCode::NOT_FOUND, "there is no such key"));
    };
    page.insert("entry".into(), entry(&found));
    Ok(page)
}

fn entry(entry: &StateEntry) -> Value {
    json!({
        "bucket": entry.bucket, "key": entry.key, "value": *entry.value, "revision": entry.revision,
        "remaining": entry.remaining.as_ref().map(Duration::as_secs_f64),
    })
}

/// Adds what only people look at: the value as text to edit.
pub(super) fn draw(page: &mut Map) {
    let Some(value) = page.get("entry").and_then(|entry| entry.get("value")) else { return };
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let is_edited = text.len() <= EDITED_BYTES_MAX;
    page.insert("text".into(), text.into());
    page.insert("is_edited".into(), is_edited.into());
}

/// Writes a key that has the revision which the visitor saw; 0 is a key that is not there.
pub(super) fn set(
    store: &Unidist,
    (bucket, key): (&str, &str),
    revision: u64,
    value: Value,
) -> Result<Changed, Refused> {
    match store.sharedstate().compare_and_set(bucket, key, revision, value)? {
        Compared::Set(..) => {
            log::warn!(target: "serve", "the key {key:?} of the bucket {bucket:?} was set");
            Ok(Changed::new("set", 1))
        }
        Compared::Differs(0) => Err(Refused::conflict(format!("the key {key:?} is not there any more"))),
        Compared::Differs(_) if revision == 0 => Err(Refused::conflict(format!("the key {key:?} is there already"))),
        Compared::Differs(found) => Err(Refused::conflict(format!(
            "the key {key:?} has changed meanwhile: it has revision {found}, you saw {revision}; look at its new value first"
        ))),
    }
}

/// Removes a key that has the revision which the visitor saw.
pub(super) fn delete(store: &Unidist, (bucket, key): (&str, &str), revision: u64) -> Result<Changed, Refused> {
    match store.sharedstate().compare_and_remove(bucket, key, revision)? {
        Compared::Set(..) => {
            log::warn!(target: "serve", "the key {key:?} of the bucket {bucket:?} was deleted");
            Ok(Changed::new("deleted", 1))
        }
        Compared::Differs(0) => Err(Refused::missing(format!("there is no key {key:?}"))),
        Compared::Differs(found) => Err(Refused::conflict(format!(
            "the key {key:?} has changed meanwhile: it has revision {found}, you saw {revision}; look at its new value first"
        ))),
    }
}
