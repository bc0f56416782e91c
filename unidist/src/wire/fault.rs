//! Errors on their way between processes: a code, a text, and what is needed to make the same error again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;

/// An error's own fields.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Detail {
    Name { kind: String, name: String, reason: String },
    Value { what: String, reason: String },
    Setting { what: String, reason: String },
    TooMany { what: String, max: usize },
    Busy { name: String, holder: String },
    NoSuchLock { name: String },
    NotHolder { name: String, owner: String, holder: String },
    Reentrant { name: String, owner: String },
    LockOrder { name: String, rank: u32, held: String, held_rank: u32 },
    LockOption { name: String, reason: String },
    StaleFence { lock: String, number: u64, newest: u64 },
    Overflow { name: String, value: i64, by: i128 },
    NoSuchKey { bucket: String, key: String },
    NoSuchThing { kind: String, name: String },
    QueueFull { name: String, length_max: usize },
    ClaimLost { queue: String, id: String, reason: String },
    FellBehind { what: String, reason: String },
    Pattern { pattern: String, reason: String },
    Store { folder: PathBuf, reason: String },
    NotWritten { folder: PathBuf, reason: String },
    Stopped { what: String },
}

/// The error as the value of `error` in an answer.
pub(crate) fn fault_of(error: &Error) -> Value {
    let mut fault = serde_json::Map::new();
    fault.insert("code".to_owned(), Value::from(error.code()));
    fault.insert("text".to_owned(), Value::from(error.to_string()));
    if let Some(detail) = detail_of(error.clone()).and_then(|detail| serde_json::to_value(detail).ok()) {
        fault.insert("detail".to_owned(), detail);
    }
    Value::Object(fault)
}

/// The error that an answer tells of: the same as in the other process, where this version knows it.
pub(crate) fn error_of(fault: &Value) -> Error {
    if let Some(detail) = fault.get("detail").and_then(|detail| Detail::deserialize(detail).ok()) {
        return from_detail(detail);
    }
    let text = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or("failed").to_owned();
    Error::Remote { code: text("code"), text: text("text") }
}

fn detail_of(error: Error) -> Option<Detail> {
    Some(match error {
        Error::Name { kind, name, reason } => Detail::Name { kind: kind.to_owned(), name, reason },
        Error::Value { what, reason } => Detail::Value { what, reason },
        Error::Setting { what, reason } => Detail::Setting { what, reason },
        Error::TooMany { what, max } => Detail::TooMany { what: what.to_owned(), max },
        Error::Busy { name, holder } => Detail::Busy { name, holder },
        Error::NoSuchLock { name } => Detail::NoSuchLock { name },
        Error::NotHolder { name, owner, holder } => Detail::NotHolder { name, owner, holder },
        Error::Reentrant { name, owner } => Detail::Reentrant { name, owner },
        Error::LockOrder { name, rank, held, held_rank } => Detail::LockOrder { name, rank, held, held_rank },
        Error::LockOption { name, reason } => Detail::LockOption { name, reason },
        Error::StaleFence { lock, number, newest } => Detail::StaleFence { lock, number, newest },
        Error::Overflow { name, value, by } => Detail::Overflow { name, value, by },
        Error::NoSuchKey { bucket, key } => Detail::NoSuchKey { bucket, key },
        Error::NoSuchThing { kind, name } => Detail::NoSuchThing { kind: kind.to_owned(), name },
        Error::QueueFull { name, length_max } => Detail::QueueFull { name, length_max },
        Error::ClaimLost { queue, id, reason } => Detail::ClaimLost { queue, id, reason },
        Error::FellBehind { what, reason } => Detail::FellBehind { what, reason },
        Error::Pattern { pattern, reason } => Detail::Pattern { pattern, reason },
        Error::Store { folder, reason } => Detail::Store { folder, reason },
        Error::NotWritten { folder, reason } => Detail::NotWritten { folder, reason },
        Error::Stopped { what } => Detail::Stopped { what },
        _ => return None,
    })
}

fn from_detail(detail: Detail) -> Error {
    match detail {
        Detail::Name { kind, name, reason } => Error::Name { kind: known(&kind), name, reason },
        Detail::Value { what, reason } => Error::Value { what, reason },
        Detail::Setting { what, reason } => Error::Setting { what, reason },
        Detail::TooMany { what, max } => Error::TooMany { what: known(&what), max },
        Detail::Busy { name, holder } => Error::Busy { name, holder },
        Detail::NoSuchLock { name } => Error::NoSuchLock { name },
        Detail::NotHolder { name, owner, holder } => Error::NotHolder { name, owner, holder },
        Detail::Reentrant { name, owner } => Error::Reentrant { name, owner },
        Detail::LockOrder { name, rank, held, held_rank } => Error::LockOrder { name, rank, held, held_rank },
        Detail::LockOption { name, reason } => Error::LockOption { name, reason },
        Detail::StaleFence { lock, number, newest } => Error::StaleFence { lock, number, newest },
        Detail::Overflow { name, value, by } => Error::Overflow { name, value, by },
        Detail::NoSuchKey { bucket, key } => Error::NoSuchKey { bucket, key },
        Detail::NoSuchThing { kind, name } => Error::NoSuchThing { kind: known(&kind), name },
        Detail::QueueFull { name, length_max } => Error::QueueFull { name, length_max },
        Detail::ClaimLost { queue, id, reason } => Error::ClaimLost { queue, id, reason },
        Detail::FellBehind { what, reason } => Error::FellBehind { what, reason },
        Detail::Pattern { pattern, reason } => Error::Pattern { pattern, reason },
        Detail::Store { folder, reason } => Error::Store { folder, reason },
        Detail::NotWritten { folder, reason } => Error::NotWritten { folder, reason },
        Detail::Stopped { what } => Error::Stopped { what },
    }
}

/// The words that errors name things with.
const KNOWN: [&str; 14] = [
    "lock",
    "counter",
    "bucket",
    "key",
    "queue",
    "log",
    "owner",
    "message id",
    "locks",
    "owners of locks",
    "counters",
    "state keys",
    "queues",
    "logs",
];

fn known(word: &str) -> &'static str {
    let more = ["waiters for one lock", "waiters for one queue", "waits of one session", "connections"];
    KNOWN.iter().chain(&more).find(|known| **known == word).copied().unwrap_or("things")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_out_as_they_went_in_and_unknown_ones_keep_code_and_text() {
        let busy = Error::Busy { name: "l".into(), holder: "x".into() };
        let many = Error::TooMany { what: "counters", max: 5 };
        let wide = Error::Overflow { name: "c".into(), value: 1, by: -i128::from(i64::MIN) };
        for error in [busy, many, wide] {
            assert_eq!(error_of(&fault_of(&error)), error);
        }
        let url = Error::Url { url: "x".into(), reason: "y".into() };
        let remote = error_of(&fault_of(&url));
        assert_eq!((remote.code(), remote.to_string()), (url.code(), url.to_string()));
    }
}
