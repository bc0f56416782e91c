//! How a queue behaves, and how a message is added or given back.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a queue does with a message that is added when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenFull {
    /// Removes the oldest message that is ready, and counts it as dropped.
    DropOldest,
    /// Refuses the new message: `QueueFull`.
    Reject,
    /// Has the caller wait for room, in order.
    Wait,
}

/// Settings of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueOptions {
    /// The most messages: ready, delayed and claimed together. Default: 1 million.
    pub length_max: usize,
    /// Ready and delayed messages older than this are dropped and counted. Default: none.
    pub age_max: Option<Duration>,
    /// What happens at `length_max`. Default: reject.
    pub when_full: WhenFull,
    /// After so many failed attempts a message goes to the dead letters; none: never. Default: 5.
    pub attempts_max: Option<u32>,
    /// The queue of the dead letters. Default: the name with `.dead`.
    pub dead_letters: Option<String>,
}

impl Default for QueueOptions {
    fn default() -> Self {
        QueueOptions {
            length_max: 1_000_000,
            age_max: None,
            when_full: WhenFull::Reject,
            attempts_max: Some(5),
            dead_letters: None,
        }
    }
}

/// How to add a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddOptions {
    /// Higher leaves first. Default: 0.
    pub priority: i32,
    /// Not to be had before this time has passed. Default: none.
    pub delay: Duration,
    /// The message's own id: while a message of this id is in the queue, another is not added. Must not begin with
    /// `#`. Default: a number, written `#17`.
    pub id: Option<String>,
    /// How long to wait for room, in a queue that is full and says `Wait`: zero is one try, none for ever.
    pub wait: Option<Duration>,
}

/// Why a claim failed and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// For people; kept with the message for its dead letter, cut at 1,024 bytes.
    pub reason: &'a str,
    /// The message is not to be had before this time has passed.
    pub delay: Duration,
}
