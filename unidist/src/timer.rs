//! The timers of one store: an ordered map of due times and one thread that sleeps until the earliest.
//!
//! The thread starts with the first timer and costs nothing while there is none. Actions run on it with no lock of
//! ours held and must not block. Under a clock that is moved by hand there is no thread: the clock runs what is due.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::{Alarms, Clock};

type Action = Box<dyn FnOnce() + Send>;

/// Names a timer, to cancel it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerId {
    due: Duration,
    number: u64,
}

impl TimerId {
    pub(crate) fn due(&self) -> Duration {
        self.due
    }
}

/// Dropping it ends the thread; what is still due then never runs.
pub(crate) struct Timers {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    due: BTreeMap<TimerId, Action>,
    last_number: u64,
    is_driven: bool,
    is_closed: bool,
    /// When the thread will next look by itself; a timer that is due earlier wakes it.
    sleeps_until: Option<Duration>,
}

impl Timers {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::new(Shared { clock, state: Mutex::default(), changed: Condvar::new() });
        let weak: Weak<Shared> = Arc::downgrade(&shared);
        let is_driven = shared.clock.drive(weak);
        shared.state.lock().is_driven = is_driven;
        Timers { shared }
    }

    pub(crate) fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    pub(crate) fn unix_time(&self) -> Duration {
        self.shared.clock.unix_time()
    }

    /// Runs `action` once, at `due` or as soon after as the thread gets to it.
    pub(crate) fn at(&self, due: Duration, action: impl FnOnce() + Send + 'static) -> TimerId {
        let mut state = self.shared.state.lock();
        state.last_number += 1;
        let id = TimerId { due, number: state.last_number };
        state.due.insert(id, Box::new(action));
        if !state.is_driven {
            state.is_driven = self.start();
        }
        if state.sleeps_until.is_none_or(|until| due < until) {
            state.sleeps_until = Some(due);
            self.shared.changed.notify_one();
        }
        id
    }

    /// Forgets a timer; one that has run already is no error.
    pub(crate) fn cancel(&self, id: TimerId) {
        let action = self.shared.state.lock().due.remove(&id);
        drop(action);
    }

    /// How many timers are pending.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.shared.state.lock().due.len()
    }

    /// False when the system refuses a thread; the next timer tries again.
    fn start(&self) -> bool {
        let shared = self.shared.clone();
        std::thread::Builder::new().name("unidist timer".to_owned()).spawn(move || shared.run()).is_ok()
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.is_closed = true;
        let due = std::mem::take(&mut state.due);
        self.shared.changed.notify_one();
        drop(state);
        drop(due);
    }
}

impl Shared {
    fn run(&self) {
        loop {
            self.run_due();
            let mut state = self.state.lock();
            if state.is_closed {
                return;
            }
            let first = state.due.keys().next().map(|id| id.due);
            state.sleeps_until = first;
            match first {
                None => self.changed.wait(&mut state),
                Some(due) => {
                    let rest = due.saturating_sub(self.clock.now());
                    if !rest.is_zero() {
                        self.changed.wait_for(&mut state, rest);
                    }
                }
            }
        }
    }
}

impl Alarms for Shared {
    fn next_due(&self) -> Option<Duration> {
        self.state.lock().due.keys().next().map(|id| id.due)
    }

    fn run_due(&self) {
        loop {
            let mut state = self.state.lock();
            let Some(entry) = state.due.first_entry() else { return };
            if entry.key().due > self.clock.now() {
                return;
            }
            let action = entry.remove();
            drop(state);
            action();
        }
    }
}

/// Wakes a task when a deadline passes; forgotten when dropped.
pub(crate) struct Deadline<'a> {
    timers: &'a Timers,
    due: Option<Duration>,
    registered: Option<(TimerId, Waker)>,
}

impl<'a> Deadline<'a> {
    pub(crate) fn new(timers: &'a Timers, due: Option<Duration>) -> Self {
        Deadline { timers, due, registered: None }
    }

    /// Whether it has passed; if not, the task is woken when it does.
    pub(crate) fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let Some(due) = self.due else { return false };
        if self.timers.now() >= due {
            return true;
        }
        if self.registered.as_ref().is_none_or(|(_, waker)| !waker.will_wake(context.waker())) {
            self.forget();
            let waker = context.waker().clone();
            let wake = waker.clone();
            self.registered = Some((self.timers.at(due, move || wake.wake()), waker));
            // A clock moved by hand may have passed the time before the timer was there to be run.
            return self.timers.now() >= due;
        }
        false
    }

    fn forget(&mut self) {
        if let Some((id, _)) = self.registered.take() {
            self.timers.cancel(id);
        }
    }
}

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemClock, VirtualClock};
    use std::sync::mpsc;

    #[test]
    fn the_thread_runs_timers_in_order_of_their_time() {
        let timers = Timers::new(Arc::new(SystemClock::new()));
        let (sender, receiver) = mpsc::channel();
        let now = timers.now();
        for milliseconds in [9_u64, 3, 6] {
            let sender = sender.clone();
            timers.at(now + Duration::from_millis(milliseconds), move || sender.send(milliseconds).unwrap());
        }
        let order: Vec<_> = receiver.iter().take(3).collect();
        assert_eq!(order, [3, 6, 9]);
    }

    #[test]
    fn a_cancelled_timer_never_runs_and_leaves_nothing_behind() {
        let clock = Arc::new(VirtualClock::new());
        let timers = Timers::new(clock.clone());
        let id = timers.at(Duration::from_secs(1), || panic!("ran"));
        timers.cancel(id);
        clock.advance(Duration::from_secs(2));
        assert_eq!(timers.count(), 0);
    }

    #[test]
    fn a_clock_moved_by_hand_runs_chained_timers_each_at_its_own_time() {
        let clock = Arc::new(VirtualClock::new());
        let timers = Arc::new(Timers::new(clock.clone()));
        let (sender, receiver) = mpsc::channel();
        let (inner, inner_clock) = (timers.clone(), clock.clone());
        timers.at(Duration::from_secs(1), move || {
            inner.at(Duration::from_secs(2), move || sender.send(inner_clock.now()).unwrap());
        });
        clock.advance(Duration::from_secs(10));
        assert_eq!(receiver.recv().unwrap(), Duration::from_secs(2));
    }
}
