//! The newest events, kept for readers that come back.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::EventKind;
use crate::{Map, Value};

/// The most events kept.
const EVENTS_MAX: usize = 10_000;

/// The most that kept events take, in bytes.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(super) kind: EventKind,
    /// Of a counter, queue, run-thread or series; a state's bucket.
    pub(super) name: Arc<str>,
    /// A state's key.
    pub(super) key: Option<Arc<str>>,
    /// The store's revision of the change; 0 for what is not the store's.
    pub(super) revision: u64,
    /// What readers are sent.
    pub(super) frame: Bytes,
    /// Changes of this kind were missed: what is known of them must be read anew.
    pub(super) is_gap: bool,
}

/// What happened, without its place among the kept events.
pub(super) struct News {
    pub(super) kind: EventKind,
    pub(super) name: Arc<str>,
    pub(super) key: Option<Arc<str>>,
    pub(super) revision: u64,
    pub(super) data: Map,
}

/// The newest events, in order, each with a number.
pub(super) struct Kept {
    /// Tells the events of this server's life from those of another.
    epoch: u64,
    events: Mutex<Events>,
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Events {
    kept: VecDeque<Arc<Event>>,
    bytes: usize,
    /// The number of the event that comes next, from 1.
    next: u64,
}

/// Some events in order.
pub(super) struct Taken {
    pub(super) events: Vec<Arc<Event>>,
    /// The number to go on from.
    pub(super) next: u64,
}

impl Kept {
    pub(super) fn new(epoch: u64) -> Self {
        Kept { epoch, events: Mutex::new(Events { next: 1, ..Events::default() }), newest: watch::Sender::new(0) }
    }

    /// Adds an event; the oldest that no longer fit are dropped.
    pub(super) fn add(&self, news: News) {
        let data = Value::Object(news.data).to_string();
        self.add_frame(|id| Event {
            frame: frame(&id, news.kind.name(), &data),
            kind: news.kind,
            name: news.name,
            key: news.key,
            revision: news.revision,
            is_gap: false,
        });
    }

    /// Notes that changes of a kind were missed.
    pub(super) fn add_gap(&self, kind: EventKind) {
        let (name, frame) = (Arc::from(""), Bytes::new());
        self.add_frame(|_| Event { frame, kind, name, key: None, revision: 0, is_gap: true });
    }

    /// Drops all events.
    pub(super) fn forget(&self) {
        let mut events = self.events.lock();
        events.kept.clear();
        events.bytes = 0;
    }

    fn add_frame(&self, event: impl FnOnce(String) -> Event) {
        let mut events = self.events.lock();
        let number = events.next;
        let event = event(self.id(number));
        events.next += 1;
        events.bytes += event.frame.len();
        events.kept.push_back(Arc::new(event));
        while events.kept.len() > EVENTS_MAX || events.bytes > BYTES_MAX {
            let Some(oldest) = events.kept.pop_front() else { break };
            events.bytes -= oldest.frame.len();
        }
        drop(events);
        self.newest.send_replace(number);
    }

    /// Told whenever there is a newer event.
    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The number of the event that comes next.
    pub(super) fn next(&self) -> u64 {
        self.events.lock().next
    }

    /// At most `count` events from `number` on; none if some of them are gone.
    pub(super) fn take(&self, number: u64, count: usize) -> Option<Taken> {
        let events = self.events.lock();
        let oldest = events.next - events.kept.len() as u64;
        if number < oldest || number > events.next {
            return None;
        }
        let skipped = usize::try_from(number - oldest).unwrap_or(usize::MAX);
        let taken: Vec<Arc<Event>> = events.kept.iter().skip(skipped).take(count).cloned().collect();
        Some(Taken { next: number + taken.len() as u64, events: taken })
    }

    /// An event's id, as readers give it back.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.epoch)
    }

    /// The number that follows an id of this server's life.
    pub(super) fn after(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.split_once('-')?;
        let is_ours = u64::from_str_radix(epoch, 16).is_ok_and(|epoch| epoch == self.epoch);
        let number: u64 = number.parse().ok().filter(|_| is_ours)?;
        number.checked_add(1)
    }
}

/// An event as it is sent. JSON has no bare line ends, so the data is one line.
pub(super) fn frame(id: &str, kind: &str, data: &str) -> Bytes {
    format!("id: {id}\nevent: {kind}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(name: &str) -> News {
        News { kind: EventKind::Counter, name: name.into(), key: None, revision: 1, data: Map::new() }
    }

    #[test]
    fn events_are_taken_in_order_from_any_kept_number() {
        let kept = Kept::new(0xab);
        let first = kept.next();
        for name in ["a", "b", "c"] {
            kept.add(news(name));
        }
        let names = |taken: Taken| taken.events.iter().map(|event| event.name.to_string()).collect::<Vec<_>>();
        assert_eq!(kept.take(first, 10).map(names).unwrap(), ["a", "b", "c"]);
        assert_eq!(kept.take(first + 1, 1).map(names).unwrap(), ["b"]);
        let taken = kept.take(first + 3, 10).unwrap();
        assert!(taken.events.is_empty());
        assert_eq!(taken.next, first + 3);
        assert!(kept.take(first + 4, 10).is_none(), "it was never given");
    }

    #[test]
    fn what_is_gone_is_told() {
        let kept = Kept::new(1);
        for _ in 0..=EVENTS_MAX {
            kept.add(news("n"));
        }
        assert!(kept.take(1, 1).is_none());
        assert!(kept.take(2, 1).is_some());
    }

    #[test]
    fn large_events_push_out_others() {
        let kept = Kept::new(1);
        for _ in 0..9 {
            let data = Map::from_iter([("value".to_string(), Value::from("x".repeat(1024 * 1024)))]);
            kept.add(News { data, ..news("n") });
        }
        assert!(kept.events.lock().bytes <= BYTES_MAX);
        assert!(kept.take(1, 1).is_none());
    }

    #[test]
    fn only_ids_of_this_life_are_known() {
        let kept = Kept::new(0xab);
        assert_eq!(kept.after(&kept.id(7)), Some(8));
        for id in ["ac-7", "ab", "ab-x", "-7", "", "ab-18446744073709551615"] {
            assert_eq!(kept.after(id), None, "{id}");
        }
    }
}
