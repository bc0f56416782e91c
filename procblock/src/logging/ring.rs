//! The newest lines in memory.
//!
//! Writers never wait for readers: a reader comes with the number of the line it wants next, and is told how many it
//! missed when that one is gone.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::line::Line;

/// The most lines kept.
pub const RING_LINES_MAX: usize = 10_000;

/// The most that kept lines take, in bytes.
pub const RING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The newest lines of the log, within [`RING_LINES_MAX`] and [`RING_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct Ring {
    kept: Mutex<Kept>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    /// The number of the line that comes next; lines are numbered from 0.
    next: u64,
}

/// Some lines in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The lines.
    pub lines: Vec<Arc<Line>>,
    /// How many lines before these were asked for but are gone.
    pub missed: u64,
    /// The number to go on from.
    pub next: u64,
}

impl Ring {
    /// Adds a line, dropping the oldest ones that no longer fit.
    pub fn push(&self, line: Line) {
        let mut kept = self.kept.lock();
        kept.bytes += line.size();
        kept.next += 1;
        kept.lines.push_back(Arc::new(line));
        while kept.lines.len() > RING_LINES_MAX || kept.bytes > RING_BYTES_MAX {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.bytes = kept.bytes.saturating_sub(oldest.size());
        }
        drop(kept);
        self.changed.notify_waiters();
    }

    /// At most `count` lines from number `from` on.
    pub fn read(&self, from: u64, count: usize) -> Page {
        let kept = self.kept.lock();
        let oldest = kept.next.saturating_sub(kept.lines.len() as u64);
        let start = from.clamp(oldest, kept.next);
        let skipped = usize::try_from(start - oldest).unwrap_or(usize::MAX);
        let lines: Vec<Arc<Line>> = kept.lines.iter().skip(skipped).take(count).cloned().collect();
        Page { missed: start.saturating_sub(from), next: start + lines.len() as u64, lines }
    }

    /// The newest `count` lines.
    pub fn newest(&self, count: usize) -> Page {
        let next = self.kept.lock().next;
        let page = self.read(next.saturating_sub(count as u64), count);
        Page { missed: 0, ..page }
    }

    /// Completes when there is a line with number `from` or a later one.
    pub async fn wait_for(&self, from: u64) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.kept.lock().next > from {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::sample;
    use super::*;

    fn texts(page: &Page) -> Vec<&str> {
        page.lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn the_newest_lines_are_kept_and_the_missed_ones_counted() {
        let ring = Ring::default();
        for number in 0..RING_LINES_MAX + 5 {
            ring.push(sample(&number.to_string()));
        }
        let page = ring.read(0, 2);
        assert_eq!((page.missed, page.next), (5, 7));
        assert_eq!(texts(&page), ["5", "6"]);
        assert_eq!(texts(&ring.read(page.next, 1)), ["7"]);
        let newest = ring.newest(2);
        assert_eq!((newest.missed, texts(&newest)), (0, vec!["10003", "10004"]));
        assert!(ring.read(newest.next, 10).lines.is_empty());
        assert!(ring.read(u64::MAX, 10).lines.is_empty());
    }

    #[test]
    fn long_lines_leave_room_for_fewer() {
        let ring = Ring::default();
        let long = "x".repeat(RING_BYTES_MAX / 4);
        for _ in 0..10 {
            ring.push(sample(&long));
        }
        assert_eq!(ring.newest(100).lines.len(), 3);
        ring.push(sample(&"x".repeat(2 * RING_BYTES_MAX)));
        assert_eq!(ring.newest(100).lines.len(), 0);
        ring.push(sample("short"));
        assert_eq!(texts(&ring.newest(100)), ["short"]);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let ring = Arc::new(Ring::default());
        let reader = tokio::spawn({
            let ring = Arc::clone(&ring);
            async move {
                ring.wait_for(0).await;
                ring.read(0, 10)
            }
        });
        ring.push(sample("a"));
        assert_eq!(texts(&reader.await.unwrap()), ["a"]);
    }
}
