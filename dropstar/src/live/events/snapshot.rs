//! How things are: what a reader is told first.

use unidist::Error;

use super::EventKind;
use super::hub::Hub;
use super::selection::Wanted;
use crate::{Map, Value};

/// Keys of one bucket that are told at first.
const KEYS_MAX: usize = 1000;

/// How one followed thing is.
pub(super) struct Found {
    /// The data of its events.
    pub(super) events: Vec<Map>,
    /// Changes up to this revision are among them.
    pub(super) revision: u64,
}

/// How a followed thing is now.
///
/// # Errors
/// The store can't be read.
pub(super) fn find(hub: &Hub, wanted: &Wanted) -> Result<Found, Error> {
    let store = hub.unidist();
    match wanted.kind {
        EventKind::Counter => {
            let revision = store.sharedstate().revision()?;
            let value = store.sharedcounter().get(&wanted.name)?;
            Ok(Found { events: vec![named(wanted, "value", value.into())], revision })
        }
        EventKind::Queue => {
            let snapshot = store.messagequeue().snapshot(&wanted.name)?;
            let count = snapshot.status.as_ref().map_or(0, unidist::QueueStatus::count);
            Ok(Found { events: vec![named(wanted, "count", count.into())], revision: snapshot.revision })
        }
        EventKind::State => {
            let bucket = store.sharedstate().bucket(&wanted.name)?;
            let entries = bucket.entries.into_values().filter(|entry| wanted.has_key(&entry.key)).take(KEYS_MAX);
            let events = entries.map(|entry| {
                let mut data = Map::new();
                data.insert("bucket".into(), entry.bucket.as_ref().into());
                data.insert("key".into(), entry.key.as_ref().into());
                data.insert("revision".into(), entry.revision.into());
                data.insert("value".into(), Value::clone(&entry.value));
                data
            });
            Ok(Found { events: events.collect(), revision: bucket.revision })
        }
        kind @ (EventKind::Thread | EventKind::Series | EventKind::Log) => {
            let mut newest = hub.instance.newest(kind, &wanted.name);
            if let Some(lines) = newest.as_mut().filter(|_| kind == EventKind::Log) {
                // Told apart from later lines: a reader may have these already.
                lines.insert("first".into(), true.into());
            }
            Ok(Found { events: newest.into_iter().collect(), revision: 0 })
        }
    }
}

fn named(wanted: &Wanted, key: &str, value: Value) -> Map {
    Map::from_iter([("name".to_string(), wanted.name.clone().into()), (key.to_string(), value)])
}
