//! The changes of counters, or of queues, for those who watch them.
//!
//! Nothing is noted before somebody asks for a snapshot or a watch; from then on each change is told, under the shard of
//! the thing that changed, and the newest are kept. All who tell meet in one lock, in which the revision is drawn: the
//! order of revisions is that in which watchers get them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use crate::error::Error;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::watch::{WatchEvent, WatchQueue, WatchSource, check_from};

/// Changes that are kept for watchers that begin in the past.
const HISTORY_MAX: usize = 4_096;

/// Revisions that are drawn at once by who need not give them in order, so that threads do not meet at each.
const REVISIONS_TAKEN: u64 = 32;

/// A store's newest revision, shared by its parts; on a cache line of its own.
#[derive(Clone, Default)]
pub(super) struct Revision(Arc<Newest>);

#[derive(Default)]
#[repr(align(64))]
struct Newest(AtomicU64);

impl Revision {
    /// Draws one, larger than all before.
    pub(super) fn draw(&self) -> u64 {
        self.0.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Draws one from `taken`, which is filled when it is empty: larger than all that were drawn from there before, and
    /// nobody else's.
    pub(super) fn draw_from(&self, taken: &mut Range<u64>) -> u64 {
        if let Some(revision) = taken.next() {
            return revision;
        }
        let first = self.0.0.fetch_add(REVISIONS_TAKEN, Ordering::SeqCst) + 1;
        *taken = first + 1..first + REVISIONS_TAKEN;
        first
    }

    /// None larger was drawn.
    pub(super) fn newest(&self) -> u64 {
        self.0.0.load(Ordering::SeqCst)
    }

    /// Goes on after this one.
    #[cfg(feature = "file")]
    pub(super) fn begin_at(&self, revision: u64) {
        self.0.0.store(revision, Ordering::SeqCst);
    }
}

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
                told.forgotten = self.revision.newest();
                self.is_noted.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Tells the change that `make` describes, given its revision.
    pub(super) fn tell(&self, make: impl FnOnce(u64) -> E) {
        let mut told = self.told.lock();
        let event = make(self.revision.draw());
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
        self.revision.newest()
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
