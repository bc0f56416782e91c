//! What administrators change through the status pages. The guard has let them in, and the audit log names each change.

use std::fmt;

use http::StatusCode;
use serde_json::json;
use unidist::{Error, Unidist};

use super::place::{Kind, Place};
use super::{counters, locks, queues, state};
use crate::answer::{Problem, below};
use crate::{Map, Value};

/// A change that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    ReleaseLock { name: String, fence: Option<u64> },
    SetCounter { name: String, value: i64 },
    DeleteCounter { name: String },
    MoveBack { queue: String, id: Option<String> },
    RemoveMessage { queue: String, id: String },
    SetKey { bucket: String, key: String, revision: u64, value: Value },
    DeleteKey { bucket: String, key: String, revision: u64 },
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    /// In one word, which pages know.
    pub(super) word: &'static str,
    /// How many things it concerned.
    pub(super) count: usize,
}

/// A change that was not made, and nothing else either.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Problem);

impl Changed {
    pub(super) fn new(word: &'static str, count: usize) -> Self {
        Changed { word, count }
    }
}

impl Refused {
    /// Somebody else was faster.
    pub(super) fn conflict(text: impl Into<String>) -> Self {
        Refused(Problem::new(StatusCode::CONFLICT, text.into()))
    }

    /// There is no such thing.
    pub(super) fn missing(text: impl Into<String>) -> Self {
        Refused(Problem::new(StatusCode::NOT_FOUND, text.into()))
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused(super::visit::refused(error))
    }
}

/// The arguments of a change.
struct Arguments<'a> {
    given: &'a Map,
    /// Whether they came as JSON: then a value is itself, else the JSON text of itself.
    are_json: bool,
}

impl Arguments<'_> {
    fn text(&self, name: &str) -> Result<String, Problem> {
        self.optional(name).ok_or_else(|| wrong(format!("{name} is missing, expected a text")))
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.given.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_string)
    }

    fn number<T: std::str::FromStr + TryFrom<i64>>(&self, name: &str) -> Result<T, Problem> {
        let value = self.given.get(name);
        let found = match value {
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(number) => number.as_i64().and_then(|number| T::try_from(number).ok()),
            None => None,
        };
        let what = value.map_or("missing".to_string(), Value::to_string);
        found.ok_or_else(|| wrong(format!("{name} is {what}, expected a whole number")))
    }

    fn value(&self) -> Result<Value, Problem> {
        match self.given.get("value") {
            None => Err(wrong("value is missing, expected JSON".to_string())),
            Some(Value::String(text)) if !self.are_json => {
                let text = text.trim();
                serde_json::from_str(text).map_err(|error| {
                    wrong(format!("the value is no JSON: {error}; a text stands in quotation marks: \"text\""))
                })
            }
            Some(value) => Ok(value.clone()),
        }
    }
}

fn wrong(text: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, text)
}

impl Change {
    /// Reads what a form or JSON asks for on a page.
    ///
    /// # Errors
    /// The page knows no such change, or an argument is wrong.
    pub(super) fn read(place: &Place, given: &Map, are_json: bool) -> Result<Change, Problem> {
        let arguments = Arguments { given, are_json };
        let action = arguments.text("action")?;
        match (place.kind, &place.name, action.as_str()) {
            (Kind::Locks, None, "release") => {
                let fence = given.contains_key("fence").then(|| arguments.number("fence")).transpose()?;
                Ok(Change::ReleaseLock { name: arguments.text("name")?, fence })
            }
            (Kind::Counters, None, "set") => {
                Ok(Change::SetCounter { name: arguments.text("name")?, value: arguments.number("value")? })
            }
            (Kind::Counters, None, "delete") => Ok(Change::DeleteCounter { name: arguments.text("name")? }),
            (Kind::Queues, Some(queue), "move back") => {
                Ok(Change::MoveBack { queue: queue.clone(), id: arguments.optional("id") })
            }
            (Kind::Queues, Some(queue), "remove") => {
                Ok(Change::RemoveMessage { queue: queue.clone(), id: arguments.text("id")? })
            }
            (Kind::State, Some(bucket), "set") => Ok(Change::SetKey {
                bucket: bucket.clone(),
                key: arguments.text("key")?,
                revision: arguments.number("revision")?,
                value: arguments.value()?,
            }),
            (Kind::State, Some(bucket), "delete") => Ok(Change::DeleteKey {
                bucket: bucket.clone(),
                key: arguments.text("key")?,
                revision: arguments.number("revision")?,
            }),
            (kind, name, _) => Err(wrong(format!("action is {action:?}, expected {}", known(kind, name.is_some())))),
        }
    }

    /// Makes it. Blocks while the store does.
    pub(super) fn make(self, store: &Unidist) -> Result<Changed, Refused> {
        match self {
            Change::ReleaseLock { name, fence } => locks::release(store, &name, fence),
            Change::SetCounter { name, value } => counters::set(store, &name, value),
            Change::DeleteCounter { name } => counters::delete(store, &name),
            Change::MoveBack { queue, id } => queues::move_back(store, &queue, id.as_deref()),
            Change::RemoveMessage { queue, id } => queues::remove(store, &queue, &id),
            Change::SetKey { bucket, key, revision, value } => state::set(store, (&bucket, &key), revision, value),
            Change::DeleteKey { bucket, key, revision } => state::delete(store, (&bucket, &key), revision),
        }
    }

    /// Where to look afterwards, below the status pages.
    pub(super) fn place_after(&self, changed: &Changed) -> String {
        let (kind, name) = match self {
            Change::ReleaseLock { .. } => (Kind::Locks, None),
            Change::SetCounter { .. } | Change::DeleteCounter { .. } => (Kind::Counters, None),
            Change::MoveBack { queue, .. } | Change::RemoveMessage { queue, .. } => (Kind::Queues, Some(queue)),
            Change::SetKey { bucket, .. } | Change::DeleteKey { bucket, .. } => (Kind::State, Some(bucket)),
        };
        let below = name.map(|name| below(name)).unwrap_or_default();
        let mark = if below.contains('?') { '&' } else { '?' };
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Change::SetKey { key, .. } = self {
            query.append_pair("key", key);
        }
        query.append_pair("done", changed.word);
        format!("/{}{below}{mark}{}", kind.word(), query.finish())
    }
}

/// The actions of a page.
fn known(kind: Kind, has_name: bool) -> &'static str {
    match (kind, has_name) {
        (Kind::Locks, _) => "release",
        (Kind::Counters, _) => "set or delete",
        (Kind::Queues, true) => "move back or remove",
        (Kind::State, true) => "set or delete",
        _ => "none: name what is to be changed in the path",
    }
}

/// For the audit log: what, not the value.
impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::ReleaseLock { name, .. } => write!(formatter, "release lock {name:?}"),
            Change::SetCounter { name, value } => write!(formatter, "set counter {name:?} to {value}"),
            Change::DeleteCounter { name } => write!(formatter, "delete counter {name:?}"),
            Change::MoveBack { queue, id: Some(id) } => write!(formatter, "move back {id:?} of queue {queue:?}"),
            Change::MoveBack { queue, id: None } => write!(formatter, "move back all of queue {queue:?}"),
            Change::RemoveMessage { queue, id } => write!(formatter, "remove {id:?} of queue {queue:?}"),
            Change::SetKey { bucket, key, .. } => write!(formatter, "set key {key:?} of bucket {bucket:?}"),
            Change::DeleteKey { bucket, key, .. } => write!(formatter, "delete key {key:?} of bucket {bucket:?}"),
        }
    }
}

impl Changed {
    /// For who asked with JSON.
    pub(super) fn to_value(&self) -> Value {
        json!({"done": self.word, "count": self.count})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, given: Value, are_json: bool) -> Result<Change, String> {
        let place = Place::read(path, "/status", "").unwrap();
        Change::read(&place, given.as_object().unwrap(), are_json).map_err(|problem| problem.text.into_owned())
    }

    #[test]
    fn a_value_of_a_form_is_json_text_and_of_json_itself() {
        let given = json!({"action": "set", "key": "k", "revision": "7", "value": "{\"a\": 1}"});
        let set = |value: Value| Ok(Change::SetKey { bucket: "b".into(), key: "k".into(), revision: 7, value });
        assert_eq!(read("/status/state/b", given.clone(), false), set(json!({"a": 1})));
        assert_eq!(read("/status/state/b", given, true), set(json!("{\"a\": 1}")));
        let text =
            read("/status/state/b", json!({"action": "set", "key": "k", "revision": 7, "value": "kyoto"}), false);
        assert!(text.unwrap_err().contains("a text stands in quotation marks"));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_expected() {
        for (path, given, expected) in [
            ("/status/locks", json!({}), "action is missing"),
            ("/status/locks", json!({"action": "steal", "name": "a"}), "action is \"steal\", expected release"),
            ("/status/locks", json!({"action": "release"}), "name is missing"),
            (
                "/status/counters",
                json!({"action": "set", "name": "a", "value": "x"}),
                "value is \"x\", expected a whole",
            ),
            ("/status/counters", json!({"action": "set", "name": "a", "value": 1.5}), "value is 1.5, expected a whole"),
            ("/status/queues", json!({"action": "remove", "id": "1"}), "name what is to be changed in the path"),
            ("/status/state/b", json!({"action": "set", "key": "k", "value": "1"}), "revision is missing"),
            ("/status/state/b", json!({"action": "delete", "key": "k", "revision": -1}), "revision is -1"),
        ] {
            let text = read(path, given.clone(), true).unwrap_err();
            assert!(text.contains(expected), "{given}: {text}");
        }
    }
}
