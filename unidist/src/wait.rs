//! How callers wait: one piece of code for threads that block and tasks that await.
//!
//! A wait ends when its condition holds, its deadline passes or a stop is requested, whichever is first seen in that
//! order. Waiting costs no CPU. A [`Ticket`] hands one value to one waiter, so that order is kept and nothing is lost
//! when the waiter gives up at the same moment.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use event_listener::Event;

use crate::engine::request::{self, RequestKey};
use crate::stop::Stop;
use crate::sync::{Mutex, Sleeper};
use crate::timer::{Deadline, Timers};

/// How a wait ended.
pub(crate) enum Waited<T> {
    Done(T),
    TimeOver,
    Stopped,
}

/// How long a caller will wait: until a time on the store's clock (none: for ever) or until its stop.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    timers: &'a Timers,
    deadline: Option<Duration>,
    stop: &'a Stop,
}

impl<'a> Patience<'a> {
    /// Counts from now. A wait too long for the clock is for ever.
    pub(crate) fn new(timers: &'a Timers, wait: Option<Duration>, stop: &'a Stop) -> Self {
        let deadline = wait.and_then(|wait| timers.now().checked_add(wait));
        Patience { timers, deadline, stop }
    }

    /// Completes with what `check` returns, which is asked again each time that `event` is notified.
    pub(crate) async fn until<T>(self, event: &Event, mut check: impl FnMut() -> Option<T>) -> Waited<T> {
        let mut deadline = Deadline::new(self.timers, self.deadline);
        loop {
            let mut listener = event.listen();
            let mut stop_listener = self.stop.listen();
            if let Some(value) = check() {
                return Waited::Done(value);
            }
            if self.stop.is_requested() {
                return Waited::Stopped;
            }
            let is_over = poll_fn(|context| {
                let is_over = deadline.is_over(context);
                let is_woken = Pin::new(&mut listener).poll(context).is_ready()
                    || Pin::new(&mut stop_listener).poll(context).is_ready();
                if is_over || is_woken { Poll::Ready(is_over) } else { Poll::Pending }
            })
            .await;
            if is_over {
                return check().map_or(Waited::TimeOver, Waited::Done);
            }
        }
    }
}

/// A place in a line: one value is handed over, once.
pub(crate) struct Ticket<T> {
    slot: Mutex<Slot<T>>,
    event: Event,
    /// The request of another process that waits.
    request: Option<RequestKey>,
}

enum Slot<T> {
    Empty,
    /// Handed over, but not to be seen before `show`.
    Held(T),
    Ready(T),
    Closed,
}

impl<T> Ticket<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Ticket { slot: Mutex::new(Slot::Empty), event: Event::new(), request: request::current() })
    }

    /// The request of another process that waits here.
    pub(crate) fn request(&self) -> Option<&RequestKey> {
        self.request.as_ref()
    }

    /// Looks at the value that was handed over or is held.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        match &*self.slot.lock() {
            Slot::Ready(value) | Slot::Held(value) => Some(look(value)),
            Slot::Empty | Slot::Closed => None,
        }
    }

    /// Hands the value over and wakes the waiter; the value comes back when nobody waits any more.
    pub(crate) fn give(&self, value: T) -> Result<(), T> {
        let mut slot = self.slot.lock();
        if !matches!(*slot, Slot::Empty) {
            return Err(value);
        }
        *slot = Slot::Ready(value);
        drop(slot);
        self.event.notify(usize::MAX);
        Ok(())
    }

    /// As `give`, but the waiter sees nothing before `show` or `show_instead`.
    pub(crate) fn hold(&self, value: T) -> Result<(), T> {
        let mut slot = self.slot.lock();
        if !matches!(*slot, Slot::Empty) {
            return Err(value);
        }
        *slot = Slot::Held(value);
        Ok(())
    }

    /// Lets the waiter have what is held for it.
    pub(crate) fn show(&self) {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Held(value) => *slot = Slot::Ready(value),
            other => *slot = other,
        }
        drop(slot);
        self.event.notify(usize::MAX);
    }

    /// Lets the waiter have this in the place of what is held for it.
    pub(crate) fn show_instead(&self, value: T) {
        let mut slot = self.slot.lock();
        if matches!(*slot, Slot::Held(_)) {
            *slot = Slot::Ready(value);
        }
        drop(slot);
        self.event.notify(usize::MAX);
    }

    /// The value, if it was handed over and not taken.
    pub(crate) fn take(&self) -> Option<T> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Ready(value) => Some(value),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// Ends the wait; a value that was handed over and not taken comes back.
    pub(crate) fn close(&self) -> Option<T> {
        match std::mem::replace(&mut *self.slot.lock(), Slot::Closed) {
            Slot::Ready(value) | Slot::Held(value) => Some(value),
            Slot::Empty | Slot::Closed => None,
        }
    }

    /// Completes when the value is handed over.
    pub(crate) async fn wait(&self, patience: Patience<'_>) -> Waited<T> {
        patience.until(&self.event, || self.take()).await
    }
}

/// Runs a future on the calling thread, which sleeps while there is nothing to do.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let sleeper = Sleeper::new();
    let waker = Waker::from(sleeper.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => sleeper.sleep(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_value_given_to_a_closed_ticket_comes_back() {
        let ticket = Ticket::new();
        assert!(ticket.close().is_none());
        assert_eq!(ticket.give(7), Err(7));
    }

    #[test]
    fn a_wait_ends_with_the_value_the_time_or_the_stop() {
        let timers = Timers::new(Arc::new(SystemClock::new()));
        let stop = Stop::new();
        let ticket = Ticket::new();
        let short = Patience::new(&timers, Some(Duration::from_millis(2)), &stop);
        assert!(matches!(block_on(ticket.wait(short)), Waited::TimeOver));
        assert_eq!(ticket.give(1), Ok(()));
        let for_ever = Patience::new(&timers, Some(Duration::MAX), &stop);
        assert!(matches!(block_on(ticket.wait(for_ever)), Waited::Done(1)));
        stop.request();
        assert!(matches!(block_on(Ticket::<u8>::new().wait(for_ever)), Waited::Stopped));
    }
}
