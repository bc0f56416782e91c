//! What is waited for on behalf of other processes: futures, polled by one thread that starts with the first.
//!
//! A future here never blocks: it awaits a ticket or an event and then puts a note aside.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The tasks of one service.
pub(crate) struct Tasks {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    woken: VecDeque<Arc<Task>>,
    is_closed: bool,
}

/// One future.
pub(crate) struct Task {
    future: Mutex<Option<Waiting>>,
    queue: Arc<Queue>,
    is_queued: AtomicBool,
}

impl Task {
    /// Drops the future; waits while it is being polled, so the caller holds nothing that the future needs.
    pub(crate) fn abort(&self) {
        let future = self.future.lock().take();
        drop(future);
    }

    fn poll(self: Arc<Self>) {
        self.is_queued.store(false, Ordering::SeqCst);
        let waker = Waker::from(self.clone());
        let mut slot = self.future.lock();
        let Some(future) = slot.as_mut() else { return };
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            let done = slot.take();
            drop(slot);
            drop(done);
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::SeqCst) {
            let queue = self.queue.clone();
            let mut state = queue.state.lock();
            if !state.is_closed {
                state.woken.push_back(self);
                queue.changed.notify_one();
            }
        }
    }
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Tasks { queue: Arc::default(), thread: Mutex::default() }
    }

    /// Has the future polled until it is done or aborted. False when the system refuses a thread.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Option<Arc<Task>> {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let queue = self.queue.clone();
            let started = std::thread::Builder::new().name("unidist waits".to_owned()).spawn(move || queue.run());
            *thread = Some(started.ok()?);
        }
        drop(thread);
        let future: Waiting = Box::pin(future);
        let (queue, is_queued) = (self.queue.clone(), AtomicBool::new(false));
        let task = Arc::new(Task { future: Mutex::new(Some(future)), queue, is_queued });
        task.clone().wake();
        Some(task)
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        let woken = {
            let mut state = self.queue.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.woken)
        };
        drop(woken);
        self.queue.changed.notify_all();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A thread that panicked has nothing left to do.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn run(&self) {
        loop {
            let mut state = self.state.lock();
            while state.woken.is_empty() && !state.is_closed {
                self.changed.wait(&mut state);
            }
            let Some(task) = state.woken.pop_front() else { return };
            drop(state);
            task.poll();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use event_listener::Event;

    use super::*;

    #[test]
    fn a_task_goes_on_when_it_is_woken_and_not_when_it_was_aborted() {
        let tasks = Tasks::new();
        let event = Arc::new(Event::new());
        let (sender, receiver) = mpsc::channel();
        let waiting = |number: u32| {
            let (event, sender) = (event.clone(), sender.clone());
            async move {
                let listener = event.listen();
                let _ = sender.send(number);
                listener.await;
                let _ = sender.send(number + 10);
            }
        };
        let limit = Duration::from_secs(60);
        let _first = tasks.spawn(waiting(1)).unwrap();
        let second = tasks.spawn(waiting(2)).unwrap();
        assert_eq!([receiver.recv_timeout(limit).unwrap(), receiver.recv_timeout(limit).unwrap()], [1, 2]);
        second.abort();
        event.notify(usize::MAX);
        assert_eq!(receiver.recv_timeout(limit).unwrap(), 11);
        tasks.close();
        assert!(receiver.try_recv().is_err());
    }
}
