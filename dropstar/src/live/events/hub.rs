//! Watches everything once, for all readers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use unidist::{
    Change, CounterEvent, Error, NameFilter, QueueChange, StateEvent, Stop, Unidist, WatchEvent, WatchFilter, Watcher,
};

use super::kept::{Kept, News};
use super::reader::EventBody;
use super::{EventKind, Selection};
use crate::{Instance, Map, Value};

/// Changes of counters are gathered this long: only the newest value of each is told.
const COUNTERS_EVERY: Duration = Duration::from_millis(20);

/// Changes of counters gathered at once.
const COUNTERS_MAX: usize = 10_000;

/// Things whose events are kept; past these the hub forgets and readers begin anew.
const FOLLOWED_MAX: usize = 10_000;

/// After a store's failure it is watched anew after this time.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What all readers of a server share.
pub(crate) struct Hub {
    pub(super) instance: Arc<dyn Instance>,
    pub(super) kept: Kept,
    /// Requested when the server ends.
    pub(super) stop: Stop,
    readers: AtomicUsize,
    /// What was ever followed: only that is kept. Buckets for the state.
    followed: RwLock<HashSet<(EventKind, String)>>,
    is_begun: OnceLock<()>,
}

/// A reader's place; given back when it is dropped.
pub(super) struct Place(Arc<Hub>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hub {
    /// Watches nothing until the first reader comes.
    pub(crate) fn new(instance: Arc<dyn Instance>) -> Arc<Hub> {
        let kept = Kept::new(fastrand::u64(..));
        Arc::new(Hub {
            instance,
            kept,
            stop: Stop::new(),
            readers: AtomicUsize::new(0),
            followed: RwLock::default(),
            is_begun: OnceLock::new(),
        })
    }

    /// A reader's events from how things are, or from the event after `last_id`; none when there are `readers_max`
    /// readers already.
    pub(crate) fn read(
        self: &Arc<Self>,
        selection: Selection,
        last_id: Option<&str>,
        readers_max: usize,
    ) -> Option<EventBody> {
        let place = Place(Arc::clone(self));
        if self.readers.fetch_add(1, Ordering::Relaxed) >= readers_max {
            return None;
        }
        self.is_begun.get_or_init(|| self.begin());
        Some(EventBody::new(Arc::clone(self), place, selection, last_id))
    }

    /// How many readers there are.
    pub(crate) fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    /// Ends all readers and watches.
    pub(crate) fn end(&self) {
        self.stop.request();
    }

    pub(super) fn unidist(&self) -> &Unidist {
        self.instance.unidist()
    }

    fn begin(self: &Arc<Self>) {
        // Watches begin here, not in their tasks: the first reader's snapshot must not be older than they are.
        let store = self.unidist();
        let counters = store.sharedcounter().watch(NameFilter::All, None);
        let state = store.sharedstate().watch(WatchFilter::default(), None);
        let queues = store.messagequeue().watch(NameFilter::All, None);
        tokio::spawn(Arc::clone(self).counters(counters));
        tokio::spawn(Arc::clone(self).each(
            EventKind::State,
            state,
            |hub| hub.unidist().sharedstate().watch(WatchFilter::default(), None),
            (|event: &StateEvent| &*event.bucket, state_news),
        ));
        tokio::spawn(Arc::clone(self).each(
            EventKind::Queue,
            queues,
            |hub| hub.unidist().messagequeue().watch(NameFilter::All, None),
            (|event: &unidist::QueueEvent| &*event.queue, queue_news),
        ));
        let hub = Arc::downgrade(self);
        self.instance.follow(Box::new(move |kind, name, data| {
            let Some(hub) = hub.upgrade().filter(|hub| !hub.stop.is_requested()) else { return false };
            if hub.is_followed(kind, name) {
                hub.kept.add(News { kind, name: name.into(), key: None, revision: 0, data: data() });
            }
            true
        }));
    }

    /// Tells every event of a kind.
    async fn each<E: WatchEvent>(
        self: Arc<Self>,
        kind: EventKind,
        mut watch: Result<Watcher<E>, Error>,
        again: impl Fn(&Hub) -> Result<Watcher<E>, Error> + Send,
        (name, news): (impl Fn(&E) -> &str + Send, impl Fn(E) -> News + Send),
    ) {
        loop {
            let error = match &watch {
                Ok(watcher) => loop {
                    match watcher.next_async(None, &self.stop).await {
                        Ok(Some(event)) if self.is_followed(kind, name(&event)) => self.tell(news(event)),
                        Ok(Some(_)) => {}
                        Ok(None) => {}
                        Err(error) => break error,
                    }
                },
                Err(error) => error.clone(),
            };
            if !self.goes_on_after(kind, &error).await {
                return;
            }
            watch = again(&self);
            self.kept.add_gap(kind);
        }
    }

    /// Tells the newest value of each counter that changed, many times a second at most.
    async fn counters(self: Arc<Self>, mut watch: Result<Watcher<CounterEvent>, Error>) {
        loop {
            let error = match &watch {
                Ok(watcher) => loop {
                    if let Err(error) = self.gather(watcher).await {
                        break error;
                    }
                },
                Err(error) => error.clone(),
            };
            if !self.goes_on_after(EventKind::Counter, &error).await {
                return;
            }
            watch = self.unidist().sharedcounter().watch(NameFilter::All, None);
            self.kept.add_gap(EventKind::Counter);
        }
    }

    async fn gather(&self, watcher: &Watcher<CounterEvent>) -> Result<(), Error> {
        let Some(first) = watcher.next_async(None, &self.stop).await? else { return Ok(()) };
        let mut newest = BTreeMap::from([(Arc::clone(&first.name), first)]);
        for _ in 0..COUNTERS_MAX {
            let Some(event) = watcher.next_async(Some(Duration::ZERO), &self.stop).await? else { break };
            newest.insert(Arc::clone(&event.name), event);
        }
        let is_followed = |event: &CounterEvent| self.is_followed(EventKind::Counter, &event.name);
        let mut changes: Vec<CounterEvent> = newest.into_values().filter(is_followed).collect();
        changes.sort_by_key(|event| event.revision);
        for event in changes {
            self.tell(counter_news(event));
        }
        tokio::time::sleep(COUNTERS_EVERY).await;
        Ok(())
    }

    /// Whether anybody ever followed a thing.
    fn is_followed(&self, kind: EventKind, name: &str) -> bool {
        let followed = self.followed.read();
        // A tuple can't be looked up by parts without a copy; most servers follow few things.
        !followed.is_empty() && followed.contains(&(kind, name.to_string()))
    }

    /// Keeps events of everything in a selection from now on; whether they were kept already.
    pub(super) fn follow(&self, selection: &Selection) -> bool {
        let mut followed = self.followed.write();
        if followed.len() > FOLLOWED_MAX {
            followed.clear();
            self.kept.forget();
        }
        let wanted = selection.wanted.iter();
        wanted.filter(|wanted| followed.insert((wanted.kind, wanted.followed_name()))).count() == 0
    }

    fn tell(&self, news: News) {
        self.kept.add(news);
    }

    /// Whether a watch that ended is to begin anew.
    async fn goes_on_after(&self, kind: EventKind, error: &Error) -> bool {
        match error {
            Error::Stopped { .. } => return false,
            Error::FellBehind { .. } => {}
            error => {
                log::warn!("events of {}: {error}", kind.name());
                tokio::select! {
                    () = tokio::time::sleep(AFTER_FAILURE) => {}
                    () = self.stop.requested() => {}
                }
            }
        }
        !self.stop.is_requested()
    }
}

fn counter_news(event: CounterEvent) -> News {
    let mut data = Map::new();
    data.insert("name".into(), event.name.as_ref().into());
    data.insert("value".into(), event.value.unwrap_or_default().into());
    News { kind: EventKind::Counter, name: event.name, key: None, revision: event.revision, data }
}

fn state_news(event: StateEvent) -> News {
    let mut data = Map::new();
    data.insert("bucket".into(), event.bucket.as_ref().into());
    data.insert("key".into(), event.key.as_ref().into());
    data.insert("revision".into(), event.revision.into());
    match event.change {
        Change::Set(value) => data.insert("value".into(), Value::clone(&value)),
        Change::Removed | Change::Expired => data.insert("removed".into(), true.into()),
    };
    News { kind: EventKind::State, name: event.bucket, key: Some(event.key), revision: event.revision, data }
}

fn queue_news(event: unidist::QueueEvent) -> News {
    let (change, id) = match &event.change {
        QueueChange::Added(id) => ("added", Some(id)),
        QueueChange::Ready(id) => ("ready", Some(id)),
        QueueChange::Taken(id) => ("taken", Some(id)),
        QueueChange::Claimed(id, _) => ("claimed", Some(id)),
        QueueChange::Acknowledged(id) => ("acknowledged", Some(id)),
        QueueChange::Returned(id) => ("returned", Some(id)),
        QueueChange::Dropped(id) => ("dropped", Some(id)),
        QueueChange::Dead(id) => ("dead", Some(id)),
        QueueChange::Removed(id) => ("removed", Some(id)),
        QueueChange::Purged => ("purged", None),
        QueueChange::Deleted => ("deleted", None),
        QueueChange::Restored => ("restored", None),
    };
    let mut data = Map::new();
    data.insert("name".into(), event.queue.as_ref().into());
    data.insert("count".into(), event.count.into());
    data.insert("change".into(), change.into());
    data.insert("id".into(), id.map(|id| id.to_string()).into());
    News { kind: EventKind::Queue, name: event.queue, key: None, revision: event.revision, data }
}
