//! Watching state; in the files beside this one, counters and queues.

mod counters;
mod queues;

use std::collections::BTreeMap;

use serde_json::json;

use crate::common::{AT_ONCE, Store, each_engine, each_engine_with, seconds, until};
use unidist::{Change, Limits, SetOptions, Stop, WatchFilter, Watcher};

fn all() -> WatchFilter {
    WatchFilter::default()
}

fn drain(watcher: &Watcher) -> Vec<(String, u64)> {
    let stop = Stop::new();
    let mut seen = Vec::new();
    while let Ok(Some(event)) = watcher.next(AT_ONCE, &stop) {
        seen.push((event.key.to_string(), event.revision));
    }
    seen
}

#[test]
fn a_watch_from_a_snapshot_misses_nothing_and_repeats_nothing() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        state.set("b", "before", json!(1)).unwrap();
        let snapshot = state.bucket("b").unwrap();
        let between = state.set("b", "between", json!(2)).unwrap();
        let watcher = state.watch(all(), Some(snapshot.revision)).unwrap();
        let after = state.set("b", "after", json!(3)).unwrap();
        assert_eq!(drain(&watcher), [("between".to_owned(), between), ("after".to_owned(), after)]);
    });
}

#[test]
fn writes_removals_and_expiry_are_told_apart() {
    each_engine(|store| {
        let state = store.shared.sharedstate();
        let watcher = state.watch(all(), None).unwrap();
        state.set_with("b", "k", json!(1), &SetOptions { time_to_live: Some(seconds(1)) }).unwrap();
        store.advance(1.0);
        state.set("b", "k", json!(2)).unwrap();
        state.remove("b", "k").unwrap();
        let stop = Stop::new();
        let changes: Vec<Change> = (0..4).map(|_| watcher.next(AT_ONCE, &stop).unwrap().unwrap().change).collect();
        let set = |value| Change::Set(std::sync::Arc::new(json!(value)));
        assert_eq!(changes, [set(1), Change::Expired, set(2), Change::Removed]);
    });
}

#[test]
fn a_filter_lets_through_its_bucket_and_prefix_only() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        let filter = WatchFilter { bucket: Some("b".to_owned()), key_prefix: "web".to_owned() };
        let watcher = state.watch(filter, None).unwrap();
        for (bucket, key) in [("a", "web1"), ("b", "db1"), ("b", "web1")] {
            state.set(bucket, key, json!(0)).unwrap();
        }
        assert_eq!(drain(&watcher), [("web1".to_owned(), 3)]);
    });
}

#[test]
fn a_slow_watcher_is_told_that_it_fell_behind_and_does_not_grow() {
    each_engine_with(Limits { watch_events_max: 3, ..Limits::default() }, |Store { shared, .. }| {
        let (state, stop) = (shared.sharedstate(), Stop::new());
        let watcher = state.watch(all(), None).unwrap();
        for number in 0..4 {
            state.set("b", &number.to_string(), json!(number)).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(watcher.next(AT_ONCE, &stop).unwrap_err().code(), "fell_behind");
        }
        let again = state.watch(all(), Some(state.revision().unwrap())).unwrap();
        state.set("b", "new", json!(1)).unwrap();
        assert_eq!(drain(&again).len(), 1);
    });
}

#[test]
fn a_watch_from_a_forgotten_or_unreached_revision_is_refused() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        assert_eq!(state.revision().unwrap(), 0);
        for number in 0..1_000 {
            state.set("b", "k", json!(number)).unwrap();
        }
        for from in [0, 100, 1_001] {
            let error = state.watch(all(), Some(from)).map(|_| ()).unwrap_err();
            assert_eq!(error.code(), "fell_behind", "{from}");
        }
        assert_eq!(drain(&state.watch(all(), Some(900)).unwrap()).len(), 100);
    });
}

#[test]
fn before_somebody_asks_revisions_rise_for_each_key_and_no_watch_begins_there() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        let write = |key: usize| state.set("b", &key.to_string(), json!(0)).unwrap();
        let mut written: Vec<Vec<u64>> = (0..50).map(|key| (0..50).map(|_| write(key)).collect()).collect();
        let asked = state.revision().unwrap();
        for from in [0, written[0][49]] {
            let error = state.watch(all(), Some(from)).map(|_| ()).unwrap_err();
            assert_eq!(error.code(), "fell_behind", "{from}");
        }
        let after: Vec<u64> = (0..50).map(write).collect();
        assert!(after.iter().copied().eq((asked + 1)..=(asked + 50)));
        assert_eq!(drain(&state.watch(all(), Some(asked)).unwrap()).len(), 50);
        for (key, revisions) in written.iter_mut().enumerate() {
            revisions.push(after[key]);
            assert!(revisions.is_sorted_by(|a, b| a < b), "{key}");
        }
        let mut every = written.concat();
        every.sort_unstable();
        assert!(every.is_sorted_by(|a, b| a < b));
    });
}

#[test]
fn a_watch_that_is_the_first_to_ask_misses_nothing_of_writers_that_write_meanwhile() {
    each_engine_with(Limits { watch_events_max: 1_000_000, ..Limits::default() }, |Store { shared, .. }| {
        let begun = std::sync::Barrier::new(9);
        let (snapshot, watcher) = std::thread::scope(|scope| {
            for thread in 0..8 {
                let (shared, begun) = (&shared, &begun);
                scope.spawn(move || {
                    begun.wait();
                    for number in 0..100 {
                        shared.sharedstate().set("b", &thread.to_string(), json!(number)).unwrap();
                    }
                });
            }
            begun.wait();
            let snapshot = shared.sharedstate().bucket("b").unwrap();
            let watcher = shared.sharedstate().watch(all(), Some(snapshot.revision)).unwrap();
            (snapshot, watcher)
        });
        let mut seen: BTreeMap<String, i64> = BTreeMap::new();
        for (key, entry) in &snapshot.entries {
            assert!(entry.revision <= snapshot.revision);
            seen.insert(key.clone(), entry.value.as_i64().unwrap());
        }
        let mut last = snapshot.revision;
        let stop = Stop::new();
        while let Ok(Some(event)) = watcher.next(AT_ONCE, &stop) {
            let number = seen.entry(event.key.to_string()).or_insert(-1);
            (*number, last) = (*number + 1, last + 1);
            assert_eq!((event.change, event.revision), (Change::Set(std::sync::Arc::new(json!(*number))), last));
        }
        assert!(seen.len() == 8 && seen.values().all(|number| *number == 99), "{seen:?}");
        assert_eq!(last, shared.sharedstate().revision().unwrap());
    });
}

#[test]
fn a_watch_can_be_taken_up_where_another_left_off() {
    each_engine(|Store { shared, .. }| {
        let (state, stop) = (shared.sharedstate(), Stop::new());
        let only = WatchFilter { bucket: Some("b".to_owned()), ..all() };
        let first = state.watch(only.clone(), None).unwrap();
        for bucket in ["b", "other", "b", "other"] {
            state.set(bucket, "k", json!(0)).unwrap();
        }
        assert_eq!(first.next(AT_ONCE, &stop).unwrap().unwrap().revision, 1);
        assert_eq!(first.revision(), 2);
        assert_eq!(drain(&state.watch(only, Some(first.revision())).unwrap()), [("k".to_owned(), 3)]);
        drain(&first);
        assert_eq!(first.revision(), 4);
    });
}

#[test]
fn a_watcher_blocks_until_a_change_its_limit_or_a_stop() {
    each_engine(|store| {
        let shared = store.shared.clone();
        let watcher = shared.sharedstate().watch(all(), None).unwrap();
        let waiter = std::thread::spawn(move || watcher.next(None, &Stop::new()));
        shared.sharedstate().set("b", "k", json!(1)).unwrap();
        assert_eq!(&*waiter.join().unwrap().unwrap().unwrap().key, "k");
        let watcher = shared.sharedstate().watch(all(), None).unwrap();
        let waiter = std::thread::spawn(move || watcher.next(Some(seconds(1)), &Stop::new()));
        until(|| {
            store.advance(1.0);
            waiter.is_finished()
        });
        assert_eq!(waiter.join().unwrap().unwrap(), None);
        let stop = Stop::new();
        stop.request();
        let watcher = shared.sharedstate().watch(all(), None).unwrap();
        assert_eq!(watcher.next(None, &stop).unwrap_err().code(), "stopped");
    });
}

#[test]
fn changes_of_many_writers_arrive_in_the_order_of_revisions_without_a_gap() {
    each_engine_with(Limits { watch_events_max: 1_000_000, ..Limits::default() }, |Store { shared, .. }| {
        let first = shared.sharedstate().watch(all(), None).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let shared = &shared;
                scope.spawn(move || {
                    for number in 0..500 {
                        shared.sharedstate().set("b", &format!("{thread} {}", number % 50), json!(number)).unwrap();
                    }
                });
            }
            // Watchers that come in between begin exactly where they are registered.
            for _ in 0..20 {
                let from = shared.sharedstate().bucket("b").unwrap().revision;
                if let Ok(watcher) = shared.sharedstate().watch(all(), Some(from)) {
                    let seen = drain(&watcher);
                    let expected = (from + 1)..=(from + seen.len() as u64);
                    assert!(seen.iter().map(|(_, revision)| *revision).eq(expected));
                }
            }
        });
        assert!(drain(&first).iter().map(|(_, revision)| *revision).eq(1..=4_000));
    });
}
