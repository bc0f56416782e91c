//! Random sequences of operations, compared with a simple model of the contract.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{AT_ONCE, each_engine, seconds};
use unidist::{AddOptions, Compared, Failure, QueueOptions, SetOptions, Stop, WhenFull};

#[derive(Debug, Clone)]
enum CounterStep {
    Set(u8, i64),
    GetSet(u8, i64),
    Increment(u8, i64),
    Decrement(u8, i64),
    Delete(u8),
}

fn counter_step() -> impl Strategy<Value = CounterStep> {
    let number = || prop_oneof![any::<i64>(), -3..3_i64];
    prop_oneof![
        (0..3_u8, number()).prop_map(|(name, value)| CounterStep::Set(name, value)),
        (0..3_u8, number()).prop_map(|(name, value)| CounterStep::GetSet(name, value)),
        (0..3_u8, number()).prop_map(|(name, by)| CounterStep::Increment(name, by)),
        (0..3_u8, number()).prop_map(|(name, by)| CounterStep::Decrement(name, by)),
        (0..3_u8).prop_map(CounterStep::Delete),
    ]
}

#[derive(Debug, Clone)]
enum StateStep {
    Set(u8, u8, Option<u64>),
    GetSet(u8, u8),
    SetIfMissing(u8, u8),
    CompareAndSet(u8, u8, bool),
    Remove(u8),
    Advance(u64),
}

fn state_step() -> impl Strategy<Value = StateStep> {
    let ttl = prop::option::of(1..20_u64);
    prop_oneof![
        (0..4_u8, any::<u8>(), ttl).prop_map(|(key, value, ttl)| StateStep::Set(key, value, ttl)),
        (0..4_u8, any::<u8>()).prop_map(|(key, value)| StateStep::GetSet(key, value)),
        (0..4_u8, any::<u8>()).prop_map(|(key, value)| StateStep::SetIfMissing(key, value)),
        (0..4_u8, any::<u8>(), any::<bool>()).prop_map(|(key, value, fits)| StateStep::CompareAndSet(key, value, fits)),
        (0..4_u8).prop_map(StateStep::Remove),
        (1..15_u64).prop_map(StateStep::Advance),
    ]
}

/// Value, revision, end of life.
type StateModel = BTreeMap<String, (Value, u64, Option<u64>)>;

#[derive(Debug, Clone)]
enum QueueStep {
    Add(i32, u64),
    Take,
    Claim(u64),
    Ack(usize),
    Fail(usize, u64),
    Advance(u64),
}

fn queue_step() -> impl Strategy<Value = QueueStep> {
    let delay = || prop_oneof![Just(0), 1..20_u64];
    prop_oneof![
        4 => (-1..2_i32, delay()).prop_map(|(priority, delay)| QueueStep::Add(priority, delay)),
        2 => Just(QueueStep::Take),
        3 => (1..20_u64).prop_map(QueueStep::Claim),
        2 => any::<usize>().prop_map(QueueStep::Ack),
        2 => (any::<usize>(), delay()).prop_map(|(which, delay)| QueueStep::Fail(which, delay)),
        2 => (1..15_u64).prop_map(QueueStep::Advance),
    ]
}

/// One message of the model, which is a plain list.
#[derive(Debug, Clone)]
struct ModelMessage {
    number: u64,
    priority: i32,
    attempts: u32,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Ready,
    DelayedTo(u64),
    ClaimedTo(u64),
    Dead,
    Gone,
}

const ATTEMPTS_MAX: u32 = 3;
const LENGTH_MAX: usize = 6;

#[derive(Default)]
struct QueueModel {
    now: u64,
    messages: Vec<ModelMessage>,
    dropped: u64,
}

impl QueueModel {
    fn settle(&mut self) {
        let now = self.now;
        for message in &mut self.messages {
            match message.place {
                Place::DelayedTo(due) if due <= now => message.place = Place::Ready,
                Place::ClaimedTo(end) if end <= now => fail(message, 0, now),
                _ => {}
            }
        }
    }

    fn count(&self, is_there: impl Fn(Place) -> bool) -> usize {
        self.messages.iter().filter(|message| is_there(message.place)).count()
    }

    /// Whether the message is in.
    fn add(&mut self, number: u64, priority: i32, delay: u64) -> bool {
        if self.count(|place| !matches!(place, Place::Dead | Place::Gone)) >= LENGTH_MAX {
            let ready = self.messages.iter_mut().filter(|message| message.place == Place::Ready);
            let Some(oldest) = ready.min_by_key(|message| message.number) else { return false };
            oldest.place = Place::Gone;
            self.dropped += 1;
        }
        let place = if delay == 0 { Place::Ready } else { Place::DelayedTo(self.now + delay) };
        self.messages.push(ModelMessage { number, priority, attempts: 0, place });
        true
    }

    fn next(&mut self) -> Option<&mut ModelMessage> {
        let ready = self.messages.iter_mut().filter(|message| message.place == Place::Ready);
        ready.min_by_key(|message| (-message.priority, message.number))
    }
}

fn fail(message: &mut ModelMessage, delay: u64, now: u64) {
    message.place = match (message.attempts >= ATTEMPTS_MAX, delay) {
        (true, _) => Place::Dead,
        (false, 0) => Place::Ready,
        (false, delay) => Place::DelayedTo(now + delay),
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn counters_follow_the_model(steps in prop::collection::vec(counter_step(), 1..60)) {
        each_engine(|store| {
            let counters = store.shared.sharedcounter();
            let mut model: BTreeMap<String, i64> = BTreeMap::new();
            for step in &steps {
                match step {
                    CounterStep::Set(name, value) => {
                        assert_eq!(counters.set(&name.to_string(), *value).unwrap(), *value);
                        model.insert(name.to_string(), *value);
                    }
                    CounterStep::GetSet(name, value) => {
                        let before = model.insert(name.to_string(), *value).unwrap_or(0);
                        assert_eq!(counters.get_set(&name.to_string(), *value).unwrap(), before);
                    }
                    CounterStep::Increment(name, by) => {
                        let sum = model.get(&name.to_string()).copied().unwrap_or(0).checked_add(*by);
                        assert_eq!(counters.increment(&name.to_string(), *by).ok(), sum);
                        sum.map(|sum| model.insert(name.to_string(), sum));
                    }
                    CounterStep::Decrement(name, by) => {
                        let value = model.get(&name.to_string()).copied().unwrap_or(0);
                        let rest = value.checked_sub(*by);
                        assert_eq!(counters.decrement(&name.to_string(), *by).ok(), rest);
                        rest.map(|rest| model.insert(name.to_string(), rest));
                    }
                    CounterStep::Delete(name) => {
                        let was_there = model.remove(&name.to_string()).is_some();
                        assert_eq!(counters.delete(&name.to_string()).unwrap(), was_there);
                    }
                }
                assert_eq!(counters.all().unwrap(), model);
            }
        });
    }

    #[test]
    fn state_follows_the_model(steps in prop::collection::vec(state_step(), 1..60)) {
        each_engine(|store| {
            let state = store.shared.sharedstate();
            let mut model = StateModel::new();
            let mut now = 0;
            // From here on revisions are in the order of the changes.
            state.revision().unwrap();
            for step in &steps {
                match step {
                    StateStep::Set(key, value, ttl) => {
                        let options = SetOptions { time_to_live: ttl.map(seconds) };
                        let revision = state.set_with("b", &key.to_string(), json!(value), &options).unwrap();
                        model.insert(key.to_string(), (json!(value), revision, ttl.map(|ttl| now + ttl)));
                    }
                    StateStep::GetSet(key, value) => {
                        let before = state.get_set("b", &key.to_string(), json!(value)).unwrap();
                        let revision = state.revision().unwrap();
                        let expected = model.insert(key.to_string(), (json!(value), revision, None));
                        assert_eq!(before, expected.map(|(value, _, _)| value));
                    }
                    StateStep::SetIfMissing(key, value) => {
                        let plain = SetOptions::default();
                        let is_set = state.set_if_missing("b", &key.to_string(), json!(value), &plain).unwrap();
                        assert_eq!(is_set, !model.contains_key(&key.to_string()));
                        let revision = state.revision().unwrap();
                        model.entry(key.to_string()).or_insert((json!(value), revision, None));
                    }
                    StateStep::CompareAndSet(key, value, fits) => {
                        let there = model.get(&key.to_string()).map_or(0, |(_, revision, _)| *revision);
                        let asked = if *fits { there } else { there + 1_000_000 };
                        match state.compare_and_set("b", &key.to_string(), asked, json!(value)).unwrap() {
                            Compared::Set(revision, ()) => {
                                assert!(*fits);
                                model.insert(key.to_string(), (json!(value), revision, None));
                            }
                            Compared::Differs(found) => assert!(!fits && found == there),
                        }
                    }
                    StateStep::Remove(key) => {
                        let removed = state.remove("b", &key.to_string()).unwrap();
                        assert_eq!(removed, model.remove(&key.to_string()).map(|(value, _, _)| value));
                    }
                    StateStep::Advance(by) => {
                        now += by;
                        store.advance(*by as f64);
                        model.retain(|_, (_, _, end)| end.is_none_or(|end| end > now));
                    }
                }
                let bucket = state.bucket("b").unwrap();
                let seen: Vec<_> = bucket.entries.iter().map(|(key, entry)| (key, &*entry.value, entry.revision)).collect();
                let expected: Vec<_> = model.iter().map(|(key, (value, revision, _))| (key, value, *revision)).collect();
                assert_eq!(seen, expected);
            }
        });
    }

    #[test]
    fn queues_follow_the_model(steps in prop::collection::vec(queue_step(), 1..80)) {
        each_engine(|store| {
            let (queues, stop) = (store.shared.messagequeue(), Stop::new());
            let (attempts_max, when_full) = (Some(ATTEMPTS_MAX), WhenFull::DropOldest);
            let options = QueueOptions { length_max: LENGTH_MAX, attempts_max, when_full, ..Default::default() };
            queues.configure("q", options).unwrap();
            let mut model = QueueModel::default();
            let mut claims: Vec<(u64, u32)> = Vec::new();
            for step in &steps {
                match step {
                    QueueStep::Add(priority, delay) => {
                        let options = AddOptions { priority: *priority, delay: seconds(*delay), ..Default::default() };
                        let number = model.messages.len() as u64 + 1;
                        let is_in = model.add(number, *priority, *delay);
                        let added = queues.add("q", json!(number), &options, &stop);
                        assert_eq!(added.map(|added| added.id.to_string()).ok(), is_in.then(|| format!("#{number}")));
                    }
                    QueueStep::Take => {
                        let taken = queues.take("q", AT_ONCE, &stop).unwrap();
                        let expected = model.next();
                        assert_eq!(
                            taken.map(|taken| (taken.message, taken.attempts)),
                            expected.as_ref().map(|message| (json!(message.number), message.attempts))
                        );
                        if let Some(message) = expected {
                            message.place = Place::Gone;
                        }
                    }
                    QueueStep::Claim(lease) => {
                        let now = model.now;
                        let claim = queues.claim("q", seconds(*lease), AT_ONCE, &stop).unwrap();
                        let expected = model.next().map(|message| {
                            message.attempts += 1;
                            message.place = Place::ClaimedTo(now + lease);
                            (json!(message.number), message.attempts)
                        });
                        claims.extend(claim.iter().map(|claim| (claim.message.as_u64().unwrap(), claim.attempt)));
                        assert_eq!(claim.map(|claim| (claim.message, claim.attempt)), expected);
                    }
                    QueueStep::Ack(which) | QueueStep::Fail(which, _) if !claims.is_empty() => {
                        let (number, attempt) = claims[which % claims.len()];
                        let now = model.now;
                        let message = &mut model.messages[number as usize - 1];
                        let is_held = matches!(message.place, Place::ClaimedTo(_)) && message.attempts == attempt;
                        let id = format!("#{number}");
                        let result = if let QueueStep::Fail(_, delay) = step {
                            if is_held {
                                fail(message, *delay, now);
                            }
                            queues.fail("q", &id, Some(attempt), Failure { reason: "no", delay: seconds(*delay) })
                        } else {
                            if is_held {
                                message.place = Place::Gone;
                            }
                            queues.ack("q", &id, Some(attempt))
                        };
                        assert_eq!(result.is_ok(), is_held);
                    }
                    QueueStep::Ack(_) | QueueStep::Fail(..) => {}
                    QueueStep::Advance(by) => {
                        model.now += by;
                        model.settle();
                        store.advance(*by as f64);
                    }
                }
                let status = queues.status("q").unwrap().unwrap();
                assert_eq!(status.ready, model.count(|place| place == Place::Ready));
                assert_eq!(status.delayed, model.count(|place| matches!(place, Place::DelayedTo(_))));
                assert_eq!(status.claimed, model.count(|place| matches!(place, Place::ClaimedTo(_))));
                let dead = model.count(|place| place == Place::Dead);
                assert_eq!((status.dropped, status.dead), (model.dropped, dead as u64));
                assert_eq!(queues.count("q.dead").unwrap().unwrap_or(0), dead);
            }
        });
    }
}
