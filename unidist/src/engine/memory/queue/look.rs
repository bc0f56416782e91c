//! Looking at a queue without changing it.

use std::collections::VecDeque;
use std::time::Duration;

use super::Queue;
use crate::engine::Edge;
use crate::messagequeue::{Message, QueueStatus};

impl Queue {
    pub(in crate::engine::memory) fn peek(&self, limit: usize, now: Duration) -> Vec<Message> {
        self.levels.values().flatten().take(limit).map(|stored| stored.look(now)).collect()
    }

    pub(in crate::engine::memory) fn edge(&self, edge: Edge, now: Duration) -> Option<Message> {
        let stored = match edge {
            Edge::Oldest => self.levels.values().filter_map(VecDeque::front).min_by_key(|stored| stored.number),
            Edge::Newest => self.levels.values().filter_map(VecDeque::back).max_by_key(|stored| stored.number),
        };
        stored.map(|stored| stored.look(now))
    }

    pub(in crate::engine::memory) fn status(&self, now: Duration) -> QueueStatus {
        let oldest = self.levels.values().filter_map(VecDeque::front).map(|stored| stored.added).min();
        QueueStatus {
            ready: self.ready,
            delayed: self.delayed.len(),
            claimed: self.claims.len(),
            consumers_waiting: self.consumers.len(),
            producers_waiting: self.producers.len(),
            added: self.added,
            dropped: self.dropped,
            dead: self.dead,
            oldest_age: oldest.map(|added| now.saturating_sub(added)),
        }
    }

    /// When something falls due next.
    pub(in crate::engine::memory) fn next_due(&self) -> Option<Duration> {
        let delayed = self.delayed.first_key_value().map(|((due, _), _)| *due);
        let claims = self.claim_ends.first().map(|(ends, _)| *ends);
        let aged = self.options.age_max.and_then(|age_max| {
            let fronts = self.levels.values().filter_map(|level| level.front());
            let oldest = fronts.chain(self.delayed.values()).map(|stored| stored.added).min()?;
            oldest.checked_add(age_max)?.checked_add(Duration::from_nanos(1))
        });
        [delayed, claims, aged].into_iter().flatten().min()
    }
}
