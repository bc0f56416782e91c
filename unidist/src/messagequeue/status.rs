//! How full a queue is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How full a queue is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// To be had now.
    pub ready: usize,
    /// To be had later.
    pub delayed: usize,
    /// Held by consumers.
    pub claimed: usize,
    /// Consumers that wait for a message.
    pub consumers_waiting: usize,
    /// Producers that wait for room.
    pub producers_waiting: usize,
    /// Messages added since the queue exists.
    pub added: u64,
    /// Messages dropped since then, by length or age.
    pub dropped: u64,
    /// Messages that went to the dead letters since then.
    pub dead: u64,
    /// The age of the oldest ready message.
    pub oldest_age: Option<Duration>,
}

impl QueueStatus {
    /// All messages that the queue still owes: ready, delayed and claimed.
    pub fn count(&self) -> usize {
        self.ready + self.delayed + self.claimed
    }
}

/// A queue at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueSnapshot {
    /// Its counts and ages; none for an unknown queue.
    pub status: Option<QueueStatus>,
    /// The store's revision at that moment: watch from here to miss nothing and see nothing twice.
    pub revision: u64,
}
