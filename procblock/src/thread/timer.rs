//! Threads that take turns in waiting for what is due and in beginning it, to within the system's own precision.
//!
//! tokio's timer rounds to milliseconds, and handing a run from a timer's thread to a worker of the runtime would cost
//! a second wake-up, which on a busy machine is as late again as the first. So the thread that waited begins the work
//! itself, after it has let another one wait in its place: one waits, the others work or sleep. Waits are on condition
//! variables, so an idle timer costs nothing.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::cores::cores;

/// Threads besides one for each core: so many may be held up by work that does not return.
const HELD_UP_MAX: usize = 8;

/// Threads beside those that work may take with it.
const LEFT_MAX: usize = 256;

thread_local! {
    /// The timer that counts on this thread.
    static TIMER: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// To be called by work that will go on for long: the timer no longer counts on the thread that it runs on, and may
/// start another one. False on any other thread, and when too many have been left so.
pub(crate) fn leave_timer() -> bool {
    let Some(shared) = TIMER.take() else { return false };
    let mut queue = shared.queue.lock();
    if queue.left >= LEFT_MAX {
        drop(queue);
        TIMER.set(Some(shared));
        return false;
    }
    queue.left += 1;
    queue.threads -= 1;
    if !queue.is_led && !queue.has_ended {
        shared.call_successor(&mut queue);
    }
    true
}

/// What is told when its time has come. It must not block.
pub(super) trait Due: Send + Sync {
    /// Its time has come (`due` is the time asked for).
    fn due(self: Arc<Self>, due: Instant) -> Told;
}

/// What is wanted by whoever was told.
#[derive(Default)]
pub(super) struct Told {
    /// When it wants to be told next.
    pub(super) next: Option<Instant>,
    /// What is to be done now. It should return within milliseconds.
    pub(super) work: Option<Box<dyn FnOnce() + Send>>,
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
    /// Whether a thread waits for the first due time.
    is_led: bool,
    /// Threads that wait for their turn.
    followers: usize,
    threads: usize,
    /// Threads that work has taken with it.
    left: usize,
}

impl Queue {
    fn push(&mut self, at: Instant, target: Arc<dyn Due>) {
        self.order += 1;
        self.heap.push(Reverse(Item { at, order: self.order, target }));
    }
}

struct Shared {
    queue: Mutex<Queue>,
    /// The first due time is another one; for the thread that waits for it.
    changed: Condvar,
    /// Nobody waits for the first due time.
    is_free: Condvar,
    threads_max: usize,
}

/// A heap of due times with threads of its own, the first of which is started with the first due time.
pub(super) struct Timer {
    shared: Arc<Shared>,
}

impl Timer {
    /// No thread yet.
    pub(super) fn new() -> Self {
        Timer {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                changed: Condvar::new(),
                is_free: Condvar::new(),
                threads_max: cores() + HELD_UP_MAX,
            }),
        }
    }

    /// Asks for `target` to be told at `at`.
    ///
    /// # Errors
    /// The operating system refused the timer's first thread.
    pub(super) fn tell(&self, target: Arc<dyn Due>, at: Instant) -> std::io::Result<()> {
        let mut queue = self.shared.queue.lock();
        let is_first = queue.heap.peek().is_none_or(|Reverse(first)| at < first.at);
        queue.push(at, target);
        if queue.threads == 0 {
            self.shared.add_thread(&mut queue)?;
        }
        drop(queue);
        if is_first {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Ends the threads; nothing is told any more.
    pub(super) fn end(&self) {
        let mut queue = self.shared.queue.lock();
        queue.has_ended = true;
        queue.heap.clear();
        drop(queue);
        self.shared.changed.notify_all();
        self.shared.is_free.notify_all();
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn add_thread(self: &Arc<Self>, queue: &mut Queue) -> std::io::Result<()> {
        let shared = Arc::clone(self);
        std::thread::Builder::new().name("timer".into()).stack_size(super::STACK_BYTES).spawn(move || shared.run())?;
        queue.threads += 1;
        Ok(())
    }

    fn run(self: &Arc<Self>) {
        TIMER.set(Some(Arc::clone(self)));
        let mut queue = self.queue.lock();
        while !queue.has_ended {
            if queue.is_led {
                queue.followers += 1;
                self.is_free.wait(&mut queue);
                queue.followers -= 1;
                continue;
            }
            queue.is_led = true;
            let work = self.lead(&mut queue);
            queue.is_led = false;
            let Some(work) = work else { return };
            self.call_successor(&mut queue);
            MutexGuard::unlocked(&mut queue, work);
            if TIMER.with_borrow(Option::is_none) {
                queue.left -= 1;
                if queue.threads >= self.threads_max {
                    return;
                }
                queue.threads += 1;
                TIMER.set(Some(Arc::clone(self)));
            }
        }
    }

    /// Waits for due times and tells of them until there is work to do; `None` when all has ended.
    fn lead(&self, queue: &mut MutexGuard<'_, Queue>) -> Option<Box<dyn FnOnce() + Send>> {
        while !queue.has_ended {
            let Some(at) = queue.heap.peek().map(|Reverse(item)| item.at) else {
                self.changed.wait(queue);
                continue;
            };
            if at > Instant::now() {
                self.changed.wait_until(queue, at);
                continue;
            }
            let Some(Reverse(item)) = queue.heap.pop() else { continue };
            let told = MutexGuard::unlocked(queue, || Arc::clone(&item.target).due(item.at));
            if let Some(at) = told.next.filter(|_| !queue.has_ended) {
                queue.push(at, item.target);
            }
            if let Some(work) = told.work {
                return Some(work);
            }
        }
        None
    }

    /// Lets another thread wait for the first due time while this one works.
    fn call_successor(self: &Arc<Self>, queue: &mut Queue) {
        if queue.followers > 0 {
            self.is_free.notify_one();
        } else if queue.threads < self.threads_max
            && let Err(error) = self.add_thread(queue)
        {
            log::debug!("no further thread for the timer: {error}");
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
        fn due(self: Arc<Self>, due: Instant) -> Told {
            let mut times = self.times.lock();
            times.push(due);
            if times.len() == 5 {
                self.done.send(()).unwrap();
                return Told::default();
            }
            Told { next: Some(due + Duration::from_millis(1)), work: None }
        }
    }

    #[test]
    fn due_times_follow_each_other_without_drift() {
        let (done, is_done) = mpsc::channel();
        let counter = Arc::new(Counter { times: Mutex::default(), done });
        let timer = Timer::new();
        let start = Instant::now();
        timer.tell(counter.clone(), start).unwrap();
        is_done.recv_timeout(Duration::from_secs(10)).unwrap();
        let times = counter.times.lock();
        let expected: Vec<Instant> = (0..5).map(|n| start + Duration::from_millis(n)).collect();
        assert_eq!(*times, expected);
    }

    /// Its work goes on until it may end, and leaves the timer first or not.
    struct Blocked {
        may_end: Mutex<Option<mpsc::Receiver<()>>>,
        leaves: bool,
    }

    impl Due for Blocked {
        fn due(self: Arc<Self>, _: Instant) -> Told {
            let may_end = self.may_end.lock().take();
            Told {
                next: None,
                work: Some(Box::new(move || {
                    assert_eq!(self.leaves && leave_timer(), self.leaves);
                    if let Some(may_end) = may_end {
                        let _ = may_end.recv();
                    }
                })),
            }
        }
    }

    #[test]
    fn work_that_does_not_return_holds_nothing_up() {
        for (blocked, leaves) in [(HELD_UP_MAX, false), (4 * HELD_UP_MAX, true)] {
            let timer = Timer::new();
            let mut ends = Vec::new();
            for _ in 0..blocked {
                let (end, may_end) = mpsc::channel();
                ends.push(end);
                let may_end = Mutex::new(Some(may_end));
                timer.tell(Arc::new(Blocked { may_end, leaves }), Instant::now()).unwrap();
            }
            let (done, is_done) = mpsc::channel();
            timer.tell(Arc::new(Counter { times: Mutex::default(), done }), Instant::now()).unwrap();
            is_done.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    }
}
