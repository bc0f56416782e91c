//! Counters, which can be set and deleted.

use unidist::Unidist;

use super::change::{Changed, Refused};
use super::listing::part;
use super::visit::Visit;
use crate::answer::Problem;
use crate::{Map, Value};

/// What the page shows.
///
/// # Errors
/// The store can't be read.
pub(super) async fn read(visit: &Visit<'_>) -> Result<Map, Problem> {
    let counters = visit.with_store(|store| store.sharedcounter().all()).await?;
    let (shown, listing) = part(counters, |(name, _)| name, &visit.view);
    let shown: Map = shown.into_iter().map(|(name, value)| (name, value.into())).collect();
    let mut page = Map::new();
    page.insert("counters".into(), Value::Object(shown));
    page.insert("listing".into(), listing.to_value());
    Ok(page)
}

/// Gives a counter a value.
pub(super) fn set(store: &Unidist, name: &str, value: i64) -> Result<Changed, Refused> {
    let before = store.sharedcounter().get_set(name, value)?;
    log::warn!(target: "serve", "the counter {name:?} was set from {before} to {value}");
    Ok(Changed::new("set", 1))
}

/// Removes a counter.
pub(super) fn delete(store: &Unidist, name: &str) -> Result<Changed, Refused> {
    if !store.sharedcounter().delete(name)? {
        return Err(Refused::missing(format!("there is no counter {name:?}")));
    }
    log::warn!(target: "serve", "the counter {name:?} was deleted");
    Ok(Changed::new("deleted", 1))
}
