//! Locks: who holds them and for how long; an administrator may take them away.

use std::time::Duration;

use serde_json::json;
use unidist::{Error, LockInfo, Unidist};

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
    let held = visit.with_store(|store| store.sharedlock().find_all_locked()).await?;
    let (shown, listing) = part(held, |lock| &lock.name, &visit.view);
    let mut page = Map::new();
    page.insert("locks".into(), shown.iter().map(lock).collect());
    page.insert("listing".into(), listing.to_value());
    Ok(page)
}

/// One that is held.
pub(super) fn lock(held: &LockInfo) -> Value {
    json!({
        "name": held.name, "owner": held.owner, "process": held.process, "age": held.age.as_secs_f64(),
        "remaining": held.remaining.as_ref().map(Duration::as_secs_f64), "waiting": held.waiting, "fence": held.fence,
    })
}

/// Takes a lock from all who hold it, unless `fence` is given and is none of theirs: then it has changed hands since
/// the visitor saw it.
pub(super) fn release(store: &Unidist, name: &str, fence: Option<u64>) -> Result<Changed, Refused> {
    let holders = store.sharedlock().holders(name)?;
    if fence.is_some_and(|fence| !holders.iter().any(|held| held.fence == fence)) {
        return Err(Refused::conflict(format!("the lock {name:?} is not held by whom you saw any more")));
    }
    match store.sharedlock().force_release(name) {
        Ok(holders) if !holders.is_empty() => {
            for held in &holders {
                log::warn!(
                    target: "serve",
                    "the lock {name:?} was taken from {:?} (process {}), who held it for {:.1} s",
                    held.owner, held.process, held.age.as_secs_f64()
                );
            }
            Ok(Changed::new("released", holders.len()))
        }
        Ok(_) | Err(Error::NoSuchLock { .. }) => Err(Refused::missing(format!("the lock {name:?} is not held"))),
        Err(error) => Err(error.into()),
    }
}
