//! The changes of counters, or of queues, for those who watch them.
//!
//! Nothing is noted before somebody asks for a snapshot or a watch; from then on each change is told, under the shard of
//! the thing that changed, and the newest are kept. All who tell meet in one lock, in which the revision is drawn: the
//! order of revisions is that in which watchers get them.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use crate::error::Error;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::watch::{WatchEvent, WatchQueue, WatchSource, check_from};

/// Changes that are kept for watchers that begin in the past.
const HISTORY_MAX: usize = 4_096;

/// A store's newest revision, shared by its parts.
pub(super) type Revision = Arc<AtomicU64>;

pub(super) struct Feed<E> {
    revision: Revision,
    is_noted: AtomicBool,
    told: Mutex<Told<E>>,
    events_max: usize,
}

struct Told<E> {
    history: VecDeque<E>,
    /// The newest revision that history does not have.
    forgotten: u64,
    watchers: Vec<Weak<WatchQueue<E>>>,
}

impl<E: WatchEvent> Feed<E> {
    pub(super) fn new(revision: Revision, events_max: usize) -> Self {
        let told = Told { history: VecDeque::new(), forgotten: 0, watchers: Vec::new() };
        Feed { revision, is_noted: AtomicBool::new(false), told: Mutex::new(told), events_max }
    }

    /// Whether changes are to be told. Asked under the lock of the thing that changes.
    pub(super) fn is_noted(&self) -> bool {
        self.is_noted.load(Ordering::Relaxed)
    }

    /// Has changes told from here on. Who holds the lock of a thing that it changes just now may not know it; who looks at
    /// the thing after this gets the same lock, and sees the change.
    pub(super) fn begin(&self) {
        if !self.is_noted() {
            let mut told = self.told.lock();
            if !self.is_noted() {
                told.forgotten = self.revision.load(Ordering::SeqCst);
                self.is_noted.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Tells the change that `make` describes, given its revision.
    pub(super) fn tell(&self, make: impl FnOnce(u64) -> E) {
        let mut told = self.told.lock();
        let event = make(self.revision.fetch_add(1, Ordering::SeqCst) + 1);
        told.watchers.retain(|watcher| match watcher.upgrade() {
            Some(watcher) => {
                watcher.push(&event);
                true
            }
            None => false,
        });
        if told.history.len() >= HISTORY_MAX
            && let Some(oldest) = told.history.pop_front()
        {
            told.forgotten = oldest.revision();
        }
        told.history.push_back(event);
    }

    /// The newest revision. Under a thing's lock: no change of it up to this one is missing there.
    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }

    /// Changes after `from`, or from now on, that pass. `begin` was called.
    pub(super) fn watch(
        &self,
        passes: impl Fn(&E) -> bool + Send + Sync + 'static,
        from: Option<u64>,
    ) -> Result<Arc<dyn WatchSource<E>>, Error> {
        let mut told = self.told.lock();
        let newest = self.revision();
        let from = from.unwrap_or(newest);
        check_from::<E>(from, told.forgotten, newest)?;
        let past = told.history.iter().filter(|event| event.revision() > from);
        let queue = WatchQueue::beginning_with(passes, self.events_max, past);
        queue.is_complete_up_to(newest);
        told.watchers.retain(|watcher| watcher.strong_count() > 0);
        told.watchers.push(Arc::downgrade(&queue));
        Ok(queue)
    }
}
