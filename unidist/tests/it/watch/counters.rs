//! Watching counters.

use std::collections::BTreeMap;

use crate::common::{AT_ONCE, Store, each_engine, each_engine_with, seconds, until};
use unidist::{CounterEvent, CounterWatcher, Limits, NameFilter, Stop};

fn drain(watcher: &CounterWatcher) -> Vec<CounterEvent> {
    let stop = Stop::new();
    std::iter::from_fn(|| watcher.next(AT_ONCE, &stop).ok().flatten()).collect()
}

fn seen(watcher: &CounterWatcher) -> Vec<(String, Option<i64>)> {
    drain(watcher).into_iter().map(|event| (event.name.to_string(), event.value)).collect()
}

fn named(name: &str, value: Option<i64>) -> (String, Option<i64>) {
    (name.to_owned(), value)
}

#[test]
fn a_watch_from_a_snapshot_misses_nothing_and_repeats_nothing() {
    each_engine(|Store { shared, .. }| {
        let counters = shared.sharedcounter();
        counters.increment("a", 1).unwrap();
        let snapshot = counters.snapshot().unwrap();
        assert_eq!(snapshot.values, BTreeMap::from([("a".to_owned(), 1)]));
        counters.increment("a", 1).unwrap();
        let watcher = counters.watch(NameFilter::All, Some(snapshot.revision)).unwrap();
        counters.set("b", 7).unwrap();
        counters.delete("a").unwrap();
        assert!(!counters.delete("a").unwrap());
        assert_eq!(seen(&watcher), [named("a", Some(2)), named("b", Some(7)), named("a", None)]);
    });
}

#[test]
fn a_filter_lets_through_its_name_or_prefix_only() {
    each_engine(|Store { shared, .. }| {
        let counters = shared.sharedcounter();
        let one = counters.watch(NameFilter::One("web".to_owned()), None).unwrap();
        let prefix = counters.watch(NameFilter::Prefix("web".to_owned()), None).unwrap();
        for name in ["web", "web1", "db"] {
            counters.increment(name, 1).unwrap();
        }
        assert_eq!(seen(&one), [named("web", Some(1))]);
        assert_eq!(seen(&prefix), [named("web", Some(1)), named("web1", Some(1))]);
        let bad = counters.watch(NameFilter::One(String::new()), None).map(drop);
        assert_eq!(bad.unwrap_err().code(), "bad_argument");
    });
}

#[test]
fn a_slow_watcher_is_told_that_it_fell_behind() {
    each_engine_with(Limits { watch_events_max: 3, ..Limits::default() }, |Store { shared, .. }| {
        let (counters, stop) = (shared.sharedcounter(), Stop::new());
        let watcher = counters.watch(NameFilter::All, None).unwrap();
        for _ in 0..4 {
            counters.increment("c", 1).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(watcher.next(AT_ONCE, &stop).unwrap_err().code(), "fell_behind");
        }
        let again = counters.watch(NameFilter::All, Some(counters.snapshot().unwrap().revision)).unwrap();
        counters.increment("c", 1).unwrap();
        assert_eq!(seen(&again), [named("c", Some(5))]);
    });
}

#[test]
fn a_watch_from_before_anybody_asked_or_after_the_newest_is_refused() {
    each_engine(|Store { shared, .. }| {
        let counters = shared.sharedcounter();
        shared.sharedstate().set("b", "k", serde_json::json!(1)).unwrap();
        let revision = counters.snapshot().unwrap().revision;
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        shared.sharedcounter().increment("c", 1).unwrap();
                    }
                });
            }
        });
        for from in [revision - 1, revision, revision + 5_001] {
            let refused = counters.watch(NameFilter::All, Some(from)).map(drop).unwrap_err();
            assert_eq!(refused.code(), "fell_behind", "{from}");
        }
        let watcher = counters.watch(NameFilter::All, Some(revision + 4_900)).unwrap();
        assert_eq!(drain(&watcher).len(), 100);
    });
}

#[test]
fn a_watch_can_be_taken_up_where_another_left_off() {
    each_engine(|Store { shared, .. }| {
        let (counters, stop) = (shared.sharedcounter(), Stop::new());
        let first = counters.watch(NameFilter::All, None).unwrap();
        for _ in 0..4 {
            counters.increment("c", 1).unwrap();
        }
        assert_eq!(first.next(AT_ONCE, &stop).unwrap().unwrap().value, Some(1));
        let second = counters.watch(NameFilter::All, Some(first.revision())).unwrap();
        assert_eq!(drain(&second), drain(&first));
    });
}

#[test]
fn a_watcher_blocks_until_a_change_its_limit_or_a_stop() {
    each_engine(|store| {
        let shared = store.shared.clone();
        let watcher = shared.sharedcounter().watch(NameFilter::All, None).unwrap();
        let waiter = std::thread::spawn(move || watcher.next(None, &Stop::new()));
        shared.sharedcounter().increment("c", 1).unwrap();
        assert_eq!(&*waiter.join().unwrap().unwrap().unwrap().name, "c");
        let watcher = shared.sharedcounter().watch(NameFilter::All, None).unwrap();
        let waiter = std::thread::spawn(move || watcher.next(Some(seconds(1)), &Stop::new()));
        until(|| {
            store.advance(1.0);
            waiter.is_finished()
        });
        assert_eq!(waiter.join().unwrap().unwrap(), None);
        let stop = Stop::new();
        stop.request();
        let watcher = shared.sharedcounter().watch(NameFilter::All, None).unwrap();
        assert_eq!(watcher.next(None, &stop).unwrap_err().code(), "stopped");
    });
}

#[test]
fn snapshots_taken_while_threads_count_and_the_changes_after_them_make_the_end() {
    each_engine_with(Limits { watch_events_max: 1_000_000, ..Limits::default() }, |Store { shared, .. }| {
        let watched = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..8_i64)
                .map(|thread| {
                    let shared = &shared;
                    scope.spawn(move || {
                        for number in 0..500 {
                            shared.sharedcounter().increment(&format!("{}", (thread + number) % 5), 1).unwrap();
                        }
                    })
                })
                .collect();
            let mut watched = Vec::new();
            while watched.len() < 20 && !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                let snapshot = shared.sharedcounter().snapshot().unwrap();
                if let Ok(watcher) = shared.sharedcounter().watch(NameFilter::All, Some(snapshot.revision)) {
                    watched.push((snapshot, watcher));
                }
            }
            watched
        });
        let end = shared.sharedcounter().all().unwrap();
        for (snapshot, watcher) in watched {
            let (mut values, mut last) = (snapshot.values, snapshot.revision);
            for event in drain(&watcher) {
                assert!(event.revision > last);
                last = event.revision;
                let before = values.insert(event.name.to_string(), event.value.unwrap()).unwrap_or(0);
                assert_eq!(event.value.unwrap(), before + 1);
            }
            assert_eq!(values, end);
        }
    });
}
