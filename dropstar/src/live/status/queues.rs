//! Queues: counts and ages of all, the messages of one without taking them; dead letters can be moved back.

use std::time::Duration;

use serde_json::json;
use unidist::{AddOptions, Error, Message, Stop, Unidist};

use super::change::{Changed, Refused};
use super::listing::{part, part_of};
use super::visit::Visit;
use crate::answer::Problem;
use crate::{Map, Value};

/// The first messages of a queue that are shown among all queues.
const FIRST_MAX: usize = 1;

/// Messages of a queue that are looked at, the first to leave before the others.
const LOOKED_AT_MAX: usize = 500;

/// What the page shows.
///
/// # Errors
/// There is no such queue, or the store can't be read.
pub(super) async fn read(visit: &Visit<'_>) -> Result<Map, Problem> {
    let view = visit.view.clone();
    let Some(name) = visit.place.name.clone() else {
        return visit
            .with_store(move |store| {
                let (names, listing) = part(store.messagequeue().list()?, |name| name.as_str(), &view);
                let queues: Result<Vec<Value>, Error> = names.iter().map(|name| queue(store, name)).collect();
                Ok(Map::from_iter([("queues".to_string(), queues?.into()), ("listing".into(), listing.to_value())]))
            })
            .await;
    };
    let page = visit.with_store(move |store| {
        if store.messagequeue().status(&name)?.is_none() {
            return Ok(None);
        }
        let messages = store.messagequeue().all(&name, LOOKED_AT_MAX)?;
        let all = messages.len();
        let search = view.search.to_lowercase();
        let is_found =
            |message: &Message| search.is_empty() || message.message.to_string().to_lowercase().contains(&search);
        let found = messages.into_iter().filter(is_found).collect();
        let (shown, listing) = part_of(found, all, &view);
        let mut page = Map::new();
        page.insert("name".into(), name.as_str().into());
        page.insert("queue".into(), queue(store, &name)?);
        page.insert("messages".into(), shown.iter().map(message).collect());
        page.insert("looked_at_max".into(), LOOKED_AT_MAX.into());
        page.insert("listing".into(), listing.to_value());
        Ok(Some(page))
    });
    let missing = || Problem::new(http::StatusCode::NOT_FOUND, "there is no such queue");
    page.await?.ok_or_else(missing)
}

/// A queue's counts, with its first messages.
pub(super) fn queue(unidist: &Unidist, name: &str) -> Result<Value, Error> {
    let status = unidist.messagequeue().status(name)?.unwrap_or_default();
    let first = unidist.messagequeue().all(name, FIRST_MAX)?;
    Ok(json!({
        "name": name, "count": status.count(),
        "ready": status.ready, "delayed": status.delayed, "claimed": status.claimed,
        "consumers_waiting": status.consumers_waiting, "producers_waiting": status.producers_waiting,
        "added": status.added, "dropped": status.dropped, "dead": status.dead,
        "oldest_age": status.oldest_age.as_ref().map(Duration::as_secs_f64),
        "first": first.iter().map(message).collect::<Vec<_>>(),
    }))
}

fn message(message: &Message) -> Value {
    json!({
        "id": message.id.to_string(), "message": message.message, "age": message.age.as_secs_f64(),
        "priority": message.priority, "attempts": message.attempts,
        "came_from": dead_letter(message).map(|(queue, ..)| queue),
    })
}

/// Of a dead letter the queue that it came from, its id there and the message.
fn dead_letter(message: &Message) -> Option<(&str, &str, &Value)> {
    let letter = message.message.as_object()?;
    let text = |key: &str| letter.get(key).and_then(Value::as_str);
    let is_one = letter.contains_key("attempts") && letter.contains_key("reasons");
    is_one.then_some((text("queue")?, text("id")?, letter.get("message")?))
}

/// Puts a dead letter, or all of them, back into the queue that it came from. Each is added there before it is removed
/// here, so none is lost; one whose id is there already stays here.
pub(super) fn move_back(store: &Unidist, queue: &str, id: Option<&str>) -> Result<Changed, Refused> {
    let messages = store.messagequeue().all(queue, LOOKED_AT_MAX)?;
    let (mut moved, mut stayed, mut others) = (0, 0, 0);
    let mut outcome = Ok(());
    for message in messages.iter().filter(|message| id.is_none_or(|id| message.id.to_string() == id)) {
        match dead_letter(message).map(|letter| move_one(store, (queue, message), letter)) {
            Some(Ok(true)) => moved += 1,
            Some(Ok(false)) => stayed += 1,
            None => others += 1,
            Some(Err(error)) => {
                outcome = Err(error);
                break;
            }
        }
    }
    if moved > 0 {
        log::warn!(target: "serve", "{moved} dead letters of {queue:?} were moved back");
    }
    outcome?;
    match (moved, stayed, others, id) {
        (0, 0, 0, Some(id)) => Err(Refused::missing(format!("the message {id:?} is not in {queue:?}, or is taken"))),
        (0, 0, _, None) => Err(Refused::missing(format!("there are no dead letters in {queue:?}"))),
        (0, 0, _, Some(id)) => Err(Refused::conflict(format!("the message {id:?} is no dead letter"))),
        (0, ..) => Err(Refused::conflict("a message of the same id is in its queue already; the dead letter stays")),
        _ => Ok(Changed::new("moved", moved)),
    }
}

/// False if it stays because a message of its id is there already.
fn move_one(
    store: &Unidist,
    (queue, message): (&str, &Message),
    (home, id, content): (&str, &str, &Value),
) -> Result<bool, Refused> {
    let queues = store.messagequeue();
    // Two who press at once add one message: it is known by where it comes from.
    let id = if id.starts_with('#') { format!("{queue} {}", message.id) } else { id.to_string() };
    let options =
        AddOptions { priority: message.priority, id: Some(id), wait: Some(Duration::ZERO), ..AddOptions::default() };
    let added = queues.add(home, content.clone(), &options, &Stop::new())?;
    Ok(added.is_new && queues.remove(queue, &message.id.to_string())?)
}

/// Removes a message that nobody has claimed.
pub(super) fn remove(store: &Unidist, queue: &str, id: &str) -> Result<Changed, Refused> {
    if !store.messagequeue().remove(queue, id)? {
        return Err(Refused::missing(format!("the message {id:?} is not in {queue:?}, or is taken")));
    }
    log::warn!(target: "serve", "the message {id:?} of {queue:?} was removed");
    Ok(Changed::new("removed", 1))
}
