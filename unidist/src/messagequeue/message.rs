//! Messages: their ids, and what producers and consumers are handed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The outcome of an add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// The message's id.
    pub id: MessageId,
    /// False when a message of this id was there already and nothing was added.
    pub is_new: bool,
}

/// A message's id in its queue: the one it was given, or a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MessageId {
    /// The message's place in the order of adding; written `#17`.
    Number(u64),
    /// As it was given.
    Text(Arc<str>),
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageId::Number(number) => write!(f, "#{number}"),
            MessageId::Text(text) => f.write_str(text),
        }
    }
}

/// A message, taken out or looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// What was added.
    pub message: Value,
    /// Its priority.
    pub priority: i32,
    /// Since when it is in the queue.
    pub age: Duration,
    /// How often it was claimed before.
    pub attempts: u32,
}

/// A message that is held under a lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its id.
    pub id: MessageId,
    /// What was added.
    pub message: Value,
    /// Which attempt this is, from 1. Together with the id it names the claim.
    pub attempt: u32,
    /// Its priority.
    pub priority: i32,
    /// Since when it is in the queue.
    pub age: Duration,
}

/// A checked message on its way into a queue.
pub(crate) struct NewMessage {
    pub(crate) message: Arc<Value>,
    pub(crate) priority: i32,
    pub(crate) delay: Duration,
    pub(crate) id: Option<Arc<str>>,
}

/// A message on its way out: taken or claimed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) number: u64,
    pub(crate) id: MessageId,
    pub(crate) message: Arc<Value>,
    pub(crate) priority: i32,
    pub(crate) age: Duration,
    /// For a claim: which attempt it is. For a taken message: how often it was claimed before.
    pub(crate) attempt: u32,
    pub(crate) is_claim: bool,
}

impl From<Delivery> for Message {
    fn from(delivery: Delivery) -> Self {
        let Delivery { id, message, priority, age, attempt, .. } = delivery;
        Message { id, message: Arc::unwrap_or_clone(message), priority, age, attempts: attempt }
    }
}

impl From<Delivery> for Claim {
    fn from(delivery: Delivery) -> Self {
        let Delivery { id, message, priority, age, attempt, .. } = delivery;
        Claim { id, message: Arc::unwrap_or_clone(message), attempt, priority, age }
    }
}
