//! One thread that wakes whatever is due, to within the operating system's own precision.
//!
//! tokio's timer rounds to milliseconds; run-threads are told when they are due by this one instead. The wait is on a
//! condition variable, so an idle timer costs nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// What is told when its time has come. Called on the timer's thread: it must not block.
pub(super) trait Due: Send + Sync {
    /// Its time has come (`due` is the time asked for); returns when it wants to be told next.
    fn due(self: Arc<Self>, due: Instant) -> Option<Instant>;
}

struct Item {
    at: Instant,
    order: u64,
    target: Arc<dyn Due>,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[derive(Default)]
struct Queue {
    heap: BinaryHeap<Reverse<Item>>,
    order: u64,
    has_ended: bool,
    has_thread: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// A heap of due times with a thread of its own, started with the first of them.
#[derive(Default)]
pub(super) struct Timer {
    shared: Arc<Shared>,
}

impl Timer {
    /// Asks for `target` to be told at `at`.
    ///
    /// # Errors
    /// The operating system refused the timer's thread.
    pub(super) fn tell(&self, target: Arc<dyn Due>, at: Instant) -> std::io::Result<()> {
        let mut queue = self.shared.queue.lock();
        queue.order += 1;
        let order = queue.order;
        let is_first = queue.heap.peek().is_none_or(|Reverse(first)| at < first.at);
        queue.heap.push(Reverse(Item { at, order, target }));
        if !queue.has_thread {
            let shared = Arc::clone(&self.shared);
            std::thread::Builder::new().name("timer".into()).spawn(move || shared.run())?;
            queue.has_thread = true;
        }
        drop(queue);
        if is_first {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Ends the thread; nothing is told any more.
    pub(super) fn end(&self) {
        let mut queue = self.shared.queue.lock();
        queue.has_ended = true;
        queue.heap.clear();
        drop(queue);
        self.shared.changed.notify_one();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn run(&self) {
        let mut queue = self.queue.lock();
        while !queue.has_ended {
            let Some(at) = queue.heap.peek().map(|Reverse(item)| item.at) else {
                self.changed.wait(&mut queue);
                continue;
            };
            if at > Instant::now() {
                self.changed.wait_until(&mut queue, at);
                continue;
            }
            let Some(Reverse(item)) = queue.heap.pop() else { continue };
            drop(queue);
            let next = Arc::clone(&item.target).due(item.at);
            queue = self.queue.lock();
            if let Some(at) = next.filter(|_| !queue.has_ended) {
                queue.order += 1;
                let order = queue.order;
                queue.heap.push(Reverse(Item { at, order, target: item.target }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    struct Counter {
        times: Mutex<Vec<Instant>>,
        done: mpsc::Sender<()>,
    }

    impl Due for Counter {
        fn due(self: Arc<Self>, due: Instant) -> Option<Instant> {
            let mut times = self.times.lock();
            times.push(due);
            if times.len() == 5 {
                self.done.send(()).unwrap();
                return None;
            }
            Some(due + Duration::from_millis(1))
        }
    }

    #[test]
    fn due_times_follow_each_other_without_drift() {
        let (done, is_done) = mpsc::channel();
        let counter = Arc::new(Counter { times: Mutex::default(), done });
        let timer = Timer::default();
        let start = Instant::now();
        timer.tell(counter.clone(), start).unwrap();
        is_done.recv_timeout(Duration::from_secs(10)).unwrap();
        let times = counter.times.lock();
        let expected: Vec<Instant> = (0..5).map(|n| start + Duration::from_millis(n)).collect();
        assert_eq!(*times, expected);
    }
}
