//! One reader: from how things are, through what changes, as long as it reads.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::sync::watch;
use tokio::time::Instant;

use super::hub::{Hub, Place};
use super::kept::{Event, frame};
use super::selection::Wanted;
use super::{EventKind, Selection, snapshot};

/// Events looked at in one go.
const BATCH_MAX: usize = 500;

/// The shortest time between two batches: what comes in between goes out together.
const BATCH_EVERY: Duration = Duration::from_millis(20);

/// A comment is sent when there was nothing else for this time, so that proxies keep the connection.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// How long a browser waits before it comes back.
const RETRY: &[u8] = b"retry: 2000\n\n";

/// The events of one reader.
pub(super) struct Reader {
    hub: Arc<Hub>,
    _place: Place,
    wanted: Vec<Followed>,
    selection: Selection,
    newer: watch::Receiver<u64>,
    /// The number of the next event; none: it begins with how things are.
    next: Option<u64>,
    /// Whether it is told that it begins anew.
    is_reset: bool,
    is_begun: bool,
    sent: Instant,
}

struct Followed {
    what: Wanted,
    /// Changes up to this revision were told by the beginning.
    told: u64,
}

impl Reader {
    fn new(hub: Arc<Hub>, place: Place, selection: Selection, last_id: Option<&str>) -> Self {
        let were_kept = hub.follow(&selection);
        let last_number = last_id.filter(|_| were_kept);
        let next = last_number.and_then(|id| hub.kept.after(id)).filter(|next| hub.kept.take(*next, 0).is_some());
        let wanted = selection.wanted.iter().map(|what| Followed { what: what.clone(), told: 0 }).collect();
        Reader {
            newer: hub.kept.follow(),
            is_reset: last_id.is_some() && next.is_none(),
            is_begun: false,
            sent: Instant::now(),
            _place: place,
            hub,
            wanted,
            selection,
            next,
        }
    }

    /// What is sent next; none when the server ends.
    async fn turn(mut self) -> Option<(Bytes, Reader)> {
        if !self.is_begun {
            self.is_begun = true;
            let mut bytes = BytesMut::from(RETRY);
            if self.next.is_none() {
                bytes.extend_from_slice(&self.begin());
            }
            return Some((bytes.freeze(), self));
        }
        loop {
            if self.hub.stop.is_requested() {
                return None;
            }
            let bytes = self.gather();
            if !bytes.is_empty() {
                let pause = BATCH_EVERY.saturating_sub(self.sent.elapsed());
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                self.sent = Instant::now();
                return Some((bytes, self));
            }
            let alive = self.sent + ALIVE_EVERY;
            tokio::select! {
                newer = self.newer.changed() => newer.ok()?,
                () = self.hub.stop.requested() => return None,
                () = tokio::time::sleep_until(alive) => {
                    self.sent = Instant::now();
                    return Some((Bytes::from_static(b": alive\n\n"), self));
                }
            }
        }
    }

    /// Events that were not looked at yet, as far as they are followed; the beginning anew where some were missed.
    fn gather(&mut self) -> Bytes {
        self.newer.borrow_and_update();
        loop {
            let taken = self.next.and_then(|next| self.hub.kept.take(next, BATCH_MAX));
            let Some(taken) = taken.filter(|taken| !taken.events.iter().any(|event| self.misses(event))) else {
                self.is_reset = true;
                return self.begin();
            };
            self.next = Some(taken.next);
            let bytes = self.frames(&taken.events);
            if !bytes.is_empty() || taken.events.is_empty() {
                return bytes;
            }
        }
    }

    fn misses(&self, event: &Event) -> bool {
        event.is_gap && self.selection.has(event.kind)
    }

    /// Of a counter only the newest value.
    fn frames(&self, events: &[Arc<Event>]) -> Bytes {
        let followed: Vec<&Arc<Event>> = events.iter().filter(|event| self.is_told_of(event)).collect();
        let mut newest: HashMap<&str, usize> = HashMap::new();
        for (index, event) in followed.iter().enumerate().filter(|(_, event)| event.kind == EventKind::Counter) {
            newest.insert(&event.name, index);
        }
        let mut bytes = BytesMut::new();
        for (index, event) in followed.iter().enumerate() {
            if event.kind != EventKind::Counter || newest.get(&*event.name) == Some(&index) {
                bytes.extend_from_slice(&event.frame);
            }
        }
        bytes.freeze()
    }

    fn is_told_of(&self, event: &Event) -> bool {
        let is_new = |followed: &Followed| event.revision == 0 || event.revision > followed.told;
        self.wanted.iter().any(|followed| followed.what.concerns(event) && is_new(followed))
    }

    /// How everything is that it follows.
    fn begin(&mut self) -> Bytes {
        // First the place among the events, then the store: what changes in between is told by its event.
        let next = self.hub.kept.next();
        self.next = Some(next);
        let id = self.hub.kept.id(next - 1);
        let mut bytes = BytesMut::new();
        if std::mem::take(&mut self.is_reset) {
            bytes.extend_from_slice(&frame(&id, "reset", "{}"));
        }
        for followed in &mut self.wanted {
            match snapshot::find(&self.hub, &followed.what) {
                Ok(found) => {
                    followed.told = found.revision;
                    for data in found.events {
                        let data = crate::Value::Object(data).to_string();
                        bytes.extend_from_slice(&frame(&id, followed.what.kind.name(), &data));
                    }
                }
                Err(error) => log::warn!("events of {} {}: {error}", followed.what.kind.name(), followed.what.name),
            }
        }
        bytes.freeze()
    }
}

type Turn = Pin<Box<dyn Future<Output = Option<(Bytes, Reader)>> + Send>>;

/// A reader's events as the body of an answer. Does nothing while the connection takes nothing.
pub(crate) struct EventBody {
    turn: Option<Turn>,
}

impl EventBody {
    pub(super) fn new(hub: Arc<Hub>, place: Place, selection: Selection, last_id: Option<&str>) -> Self {
        EventBody { turn: Some(Box::pin(Reader::new(hub, place, selection, last_id).turn())) }
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(turn) = &mut self.turn else { return Poll::Ready(None) };
        let Poll::Ready(given) = turn.as_mut().poll(context) else { return Poll::Pending };
        match given {
            Some((bytes, reader)) => {
                self.turn = Some(Box::pin(reader.turn()));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            None => {
                self.turn = None;
                Poll::Ready(None)
            }
        }
    }
}
