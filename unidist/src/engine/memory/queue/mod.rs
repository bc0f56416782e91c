//! One queue in memory: its messages in order, its claims, and those who wait at either end.
//!
//! Invariants: every message is in exactly one of `levels`, `delayed` and `claims`; nobody waits for a message while one
//! is ready, nor for room while there is some. `settle` restores them after each change and after each due time.

mod claims;
#[cfg(feature = "file")]
mod kept;
mod look;
mod notes;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::claims::Claimed;
pub(super) use self::notes::Notes;
use crate::engine::journal::{KeptBody, MessageChange, Until};
use crate::engine::{AddTicket, DeliveryTicket, Want};
use crate::messagequeue::{Added, Delivery, Message, MessageId, NewMessage, QueueOptions, WhenFull};
use crate::watch::QueueChange;

/// Priorities that stay allocated when they are empty.
const EMPTY_LEVELS_MAX: usize = 16;
/// Reasons kept per message: of its newest failures.
const REASONS_MAX: usize = 10;

pub(super) struct Queue {
    pub(super) options: QueueOptions,
    levels: BTreeMap<Reverse<i32>, VecDeque<Stored>>,
    ready: usize,
    delayed: BTreeMap<(Duration, u64), Stored>,
    claims: HashMap<u64, Claimed>,
    claim_ends: BTreeSet<(Duration, u64)>,
    /// The number of each message with an id of its own.
    ids: HashMap<Arc<str>, u64>,
    consumers: VecDeque<(Want, Arc<DeliveryTicket>)>,
    producers: VecDeque<(NewMessage, Arc<AddTicket>)>,
    /// Never used again, also by a later queue of this name: a late acknowledgement meets no other message.
    pub(super) last_number: u64,
    added: u64,
    dropped: u64,
    dead: u64,
    /// When the timer will look at the queue.
    pub(super) alarm: Option<Duration>,
    /// Messages that go to the dead letters once this queue is unlocked.
    dead_letters: Vec<Value>,
    /// What the act on the queue changed; none when nobody keeps it.
    notes: Option<Notes>,
    /// What happened, with the count after it, for those who watch; none when nobody does.
    news: Option<Vec<(QueueChange, usize)>>,
}

struct Stored {
    number: u64,
    id: Option<Arc<str>>,
    priority: i32,
    added: Duration,
    attempts: u32,
    reasons: Vec<String>,
    message: Arc<Value>,
}

impl Stored {
    fn id(&self) -> MessageId {
        self.id.as_ref().map_or(MessageId::Number(self.number), |id| MessageId::Text(id.clone()))
    }

    fn look(&self, now: Duration) -> Message {
        Message {
            id: self.id(),
            message: Value::clone(&self.message),
            priority: self.priority,
            age: now.saturating_sub(self.added),
            attempts: self.attempts,
        }
    }

    fn body(&self) -> KeptBody {
        let Stored { id, priority, added, message, .. } = self;
        KeptBody { id: id.clone(), priority: *priority, added: *added, message: message.clone() }
    }

    fn remember(&mut self, reason: &str) {
        if self.reasons.len() >= REASONS_MAX {
            self.reasons.remove(0);
        }
        self.reasons.push(reason.to_owned());
    }
}

impl Queue {
    /// Empty; `is_kept` when its changes are recorded.
    pub(super) fn new(options: QueueOptions, last_number: u64, is_kept: bool) -> Self {
        Queue {
            options,
            levels: BTreeMap::new(),
            ready: 0,
            delayed: BTreeMap::new(),
            claims: HashMap::new(),
            claim_ends: BTreeSet::new(),
            ids: HashMap::new(),
            consumers: VecDeque::new(),
            producers: VecDeque::new(),
            last_number,
            added: 0,
            dropped: 0,
            dead: 0,
            alarm: None,
            dead_letters: Vec::new(),
            notes: is_kept.then(Notes::of_new_queue),
            news: None,
        }
    }

    fn number_of(&self, id: &str) -> Option<u64> {
        match id.strip_prefix('#') {
            Some(number) => number.parse().ok(),
            None => self.ids.get(id).copied(),
        }
    }

    pub(super) fn configure(&mut self, options: QueueOptions) {
        self.options = options;
        self.note_header();
    }

    fn length(&self) -> usize {
        self.ready + self.delayed.len() + self.claims.len()
    }

    /// Adds, or says that there is no room: then the message comes back.
    pub(super) fn add(&mut self, new: NewMessage, now: Duration) -> Result<Added, NewMessage> {
        if let Some(id) = &new.id
            && self.ids.contains_key(id)
        {
            return Ok(Added { id: MessageId::Text(id.clone()), is_new: false });
        }
        if self.length() >= self.options.length_max && !self.make_room() {
            return Err(new);
        }
        Ok(self.store(new, now))
    }

    /// Adds without regard to the cap, but drops the oldest beyond it: dead letters are never refused.
    pub(super) fn add_dead_letter(&mut self, new: NewMessage, now: Duration) {
        while self.length() >= self.options.length_max && self.drop_oldest() {}
        self.store(new, now);
    }

    fn make_room(&mut self) -> bool {
        self.options.when_full == WhenFull::DropOldest && self.drop_oldest()
    }

    fn store(&mut self, new: NewMessage, now: Duration) -> Added {
        self.last_number += 1;
        self.added += 1;
        let number = self.last_number;
        if let Some(id) = &new.id {
            self.ids.insert(id.clone(), number);
        }
        let NewMessage { message, priority, delay, id } = new;
        let stored = Stored { number, id, priority, added: now, attempts: 0, reasons: Vec::new(), message };
        let added = Added { id: stored.id(), is_new: true };
        self.note_header();
        self.note(number, || MessageChange::Added(stored.body()));
        if !delay.is_zero() {
            self.note_standing(&stored, Until::Delayed(now.saturating_add(delay)));
        }
        let watched = self.watched(&stored);
        self.place(stored, delay, now);
        self.tell(watched, QueueChange::Added);
        added
    }

    /// Puts a message where it belongs: ready in the order of its number, or delayed.
    fn place(&mut self, stored: Stored, delay: Duration, now: Duration) {
        if !delay.is_zero() {
            self.delayed.insert((now.saturating_add(delay), stored.number), stored);
            return;
        }
        let level = self.levels.entry(Reverse(stored.priority)).or_default();
        self.ready += 1;
        if level.back().is_none_or(|last| last.number < stored.number) {
            level.push_back(stored);
        } else {
            let index = level.partition_point(|other| other.number < stored.number);
            level.insert(index, stored);
        }
    }

    fn pop(&mut self) -> Option<Stored> {
        if self.ready == 0 {
            return None;
        }
        let (priority, level) = self.levels.iter_mut().find(|(_, level)| !level.is_empty())?;
        let priority = *priority;
        let stored = level.pop_front()?;
        self.ready -= 1;
        if level.is_empty() && self.levels.len() > EMPTY_LEVELS_MAX {
            self.levels.remove(&priority);
        }
        Some(stored)
    }

    /// Its id may be used again, and nothing of it is kept.
    fn forget(&mut self, stored: &Stored) {
        self.note(stored.number, || MessageChange::Gone);
        if let Some(id) = &stored.id {
            self.ids.remove(id);
        }
    }

    fn oldest_priority(&self) -> Option<Reverse<i32>> {
        let fronts = self.levels.iter().filter_map(|(priority, level)| Some((level.front()?.number, *priority)));
        fronts.min().map(|(_, priority)| priority)
    }

    fn drop_oldest(&mut self) -> bool {
        let level = self.oldest_priority().and_then(|priority| self.levels.get_mut(&priority));
        let Some(stored) = level.and_then(VecDeque::pop_front) else { return false };
        self.ready -= 1;
        self.dropped += 1;
        self.note_header();
        self.forget(&stored);
        self.tell(self.watched(&stored), QueueChange::Dropped);
        true
    }

    /// The next message for a consumer.
    pub(super) fn deliver(&mut self, want: Want, now: Duration) -> Option<Delivery> {
        let mut stored = self.pop()?;
        let (id, number, priority) = (stored.id(), stored.number, stored.priority);
        let age = now.saturating_sub(stored.added);
        match want {
            Want::Take => {
                self.forget(&stored);
                self.tell(self.watched(&stored), QueueChange::Taken);
                let (message, attempt) = (stored.message, stored.attempts);
                Some(Delivery { number, id, message, priority, age, attempt, is_claim: false })
            }
            Want::Claim(lease) => {
                stored.attempts = stored.attempts.saturating_add(1);
                let (message, attempt) = (stored.message.clone(), stored.attempts);
                let ends = now.saturating_add(lease);
                self.note_standing(&stored, Until::Claimed(ends));
                self.claim_ends.insert((ends, number));
                let watched = self.watched(&stored);
                self.claims.insert(number, Claimed { stored, ends });
                self.tell(watched, |id| QueueChange::Claimed(id, attempt));
                Some(Delivery { number, id, message, priority, age, attempt, is_claim: true })
            }
        }
    }

    pub(super) fn wait_for_message(&mut self, want: Want, ticket: Arc<DeliveryTicket>) {
        self.consumers.push_back((want, ticket));
    }

    pub(super) fn wait_for_room(&mut self, new: NewMessage, ticket: Arc<AddTicket>) {
        self.producers.push_back((new, ticket));
    }

    pub(super) fn leave_consumers(&mut self, ticket: &Arc<DeliveryTicket>) {
        self.consumers.retain(|(_, other)| !Arc::ptr_eq(other, ticket));
    }

    pub(super) fn leave_producers(&mut self, ticket: &Arc<AddTicket>) {
        self.producers.retain(|(_, other)| !Arc::ptr_eq(other, ticket));
    }

    pub(super) fn waiting(&self) -> usize {
        self.consumers.len() + self.producers.len()
    }

    /// Undoes a delivery that reached nobody.
    pub(super) fn give_back(&mut self, delivery: Delivery, now: Duration) {
        let Delivery { number, id, message, priority, age, attempt, is_claim } = delivery;
        if is_claim {
            if let Some(mut claimed) = self.end_claim(number) {
                claimed.stored.attempts -= 1;
                self.note_standing(&claimed.stored, Until::Ready);
                self.come_back(claimed.stored, now);
            }
            return;
        }
        let id = match id {
            MessageId::Text(id) => Some(id),
            MessageId::Number(_) => None,
        };
        if let Some(id) = &id {
            self.ids.insert(id.clone(), number);
        }
        let added = now.saturating_sub(age);
        let stored = Stored { number, id, priority, added, attempts: attempt, reasons: Vec::new(), message };
        self.note(number, || MessageChange::Added(stored.body()));
        self.note_standing(&stored, Until::Ready);
        self.come_back(stored, now);
    }

    fn come_back(&mut self, stored: Stored, now: Duration) {
        let watched = self.watched(&stored);
        self.place(stored, Duration::ZERO, now);
        self.tell(watched, QueueChange::Returned);
    }

    /// Does what is due and serves those who wait.
    pub(super) fn settle(&mut self, now: Duration) {
        while let Some((ends, number)) = self.claim_ends.first().copied().filter(|(ends, _)| *ends <= now) {
            self.claim_ends.remove(&(ends, number));
            if let Some(claimed) = self.claims.remove(&number) {
                self.fail(claimed.stored, "the lease ended", Duration::ZERO, now);
            }
        }
        while self.delayed.first_key_value().is_some_and(|((due, _), _)| *due <= now) {
            let Some((_, stored)) = self.delayed.pop_first() else { break };
            let watched = self.watched(&stored);
            self.place(stored, Duration::ZERO, now);
            self.tell(watched, QueueChange::Ready);
        }
        if let Some(age_max) = self.options.age_max {
            self.drop_aged(age_max, now);
        }
        self.serve(now);
    }

    fn serve(&mut self, now: Duration) {
        loop {
            while self.ready > 0 {
                let Some((want, ticket)) = self.consumers.pop_front() else { break };
                let Some(delivery) = self.deliver(want, now) else { break };
                if let Err(Ok(delivery)) = self.answer(&ticket, Ok(delivery)) {
                    self.give_back(delivery, now);
                }
            }
            if self.length() >= self.options.length_max {
                return;
            }
            let Some((new, ticket)) = self.producers.pop_front() else { return };
            match self.add(new, now) {
                Ok(added) => {
                    // A producer that gave up in this moment learns from its ticket that the message is in.
                    let _ = self.answer(&ticket, Ok(added));
                }
                Err(new) => return self.producers.push_front((new, ticket)),
            }
        }
    }

    fn drop_aged(&mut self, age_max: Duration, now: Duration) {
        let is_aged = |stored: &Stored| now.saturating_sub(stored.added) > age_max;
        let mut dropped = Vec::new();
        for level in self.levels.values_mut() {
            while let Some(stored) = level.pop_front_if(|stored| is_aged(stored)) {
                self.ready -= 1;
                dropped.push(stored);
            }
        }
        dropped.extend(self.delayed.extract_if(.., |_, stored| is_aged(stored)).map(|(_, stored)| stored));
        self.dropped += dropped.len() as u64;
        if !dropped.is_empty() {
            self.note_header();
        }
        for stored in &dropped {
            self.forget(stored);
            self.tell(self.watched(stored), QueueChange::Dropped);
        }
    }

    pub(super) fn remove(&mut self, id: &str) -> bool {
        let Some(number) = self.number_of(id) else { return false };
        let in_levels = self.levels.values_mut().find_map(|level| {
            let index = level.binary_search_by_key(&number, |stored| stored.number).ok()?;
            level.remove(index)
        });
        self.ready -= usize::from(in_levels.is_some());
        let removed = in_levels.or_else(|| {
            let key = self.delayed.keys().find(|(_, other)| *other == number).copied()?;
            self.delayed.remove(&key)
        });
        let Some(stored) = removed else { return false };
        self.forget(&stored);
        self.tell(self.watched(&stored), QueueChange::Removed);
        true
    }

    pub(super) fn purge(&mut self) -> usize {
        let removed = self.ready + self.delayed.len();
        let levels = std::mem::take(&mut self.levels);
        let delayed = std::mem::take(&mut self.delayed);
        self.ready = 0;
        for stored in levels.values().flatten().chain(delayed.values()) {
            self.forget(stored);
        }
        if removed > 0 {
            self.tell_all(QueueChange::Purged);
        }
        removed
    }

    /// Starts anew as a queue never used, but for those who wait.
    pub(super) fn reset(&mut self, options: QueueOptions) {
        let consumers = std::mem::take(&mut self.consumers);
        let producers = std::mem::take(&mut self.producers);
        let alarm = self.alarm;
        let is_kept = self.notes.is_some();
        let news = self.news.take();
        *self = Queue { consumers, producers, alarm, news, ..Queue::new(options, self.last_number, is_kept) };
    }
}
