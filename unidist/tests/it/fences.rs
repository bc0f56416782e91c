//! Changes that carry a fencing number.

use serde_json::json;

use crate::common::{AT_ONCE, Store, each_engine, seconds};
use unidist::{AcquireOptions, AddOptions, Error, Failure, Fence, LogOptions, QueueOptions, Stop, Unidist};

fn fence(number: u64) -> Fence {
    Fence::new("l", number).unwrap_or_else(|error| panic!("{error}"))
}

/// Every kind of change, once each.
fn changes(shared: &Unidist) -> Vec<Result<(), Error>> {
    let (counters, state, queues, logs) =
        (shared.sharedcounter(), shared.sharedstate(), shared.messagequeue(), shared.sharedlog());
    let stop = Stop::new();
    let failure = Failure { reason: "no", delay: seconds(0) };
    vec![
        counters.increment("c", 1).map(drop),
        counters.set("c", 1).map(drop),
        counters.delete("c").map(drop),
        state.set("b", "k", json!(1)).map(drop),
        state.get_set("b", "k", json!(1)).map(drop),
        state.compare_and_set("b", "k", 0, json!(1)).map(drop),
        state.compare_and_remove("b", "k", 1).map(drop),
        state.remove("b", "k").map(drop),
        state.remove_bucket("b").map(drop),
        queues.configure("q", QueueOptions::default()),
        queues.add("q", json!(1), &AddOptions::default(), &stop).map(drop),
        queues.claim("q", seconds(60), AT_ONCE, &stop).map(drop),
        queues.extend("q", "#1", None, seconds(60)),
        queues.fail("q", "#1", None, failure),
        queues.take("q", AT_ONCE, &stop).map(drop),
        queues.remove("q", "#1").map(drop),
        queues.purge("q").map(drop),
        queues.delete("q").map(drop),
        logs.configure("l", LogOptions::default()),
        logs.append("l", json!(1)).map(drop),
        logs.delete("l").map(drop),
    ]
}

#[test]
fn every_change_under_a_stale_number_is_refused_and_changes_nothing() {
    each_engine(|Store { shared, .. }| {
        for (index, outcome) in changes(&shared.fenced(fence(7))).into_iter().enumerate() {
            outcome.unwrap_or_else(|error| panic!("change {index}: {error}"));
        }
        let stale = shared.fenced(fence(6));
        for (index, outcome) in changes(&stale).into_iter().enumerate() {
            assert_eq!(outcome.map_err(|error| error.code()), Err("stale"), "change {index}");
        }
        assert_eq!(shared.sharedcounter().all().unwrap().len(), 0);
        assert!(shared.sharedstate().buckets().unwrap().is_empty());
        assert!(shared.messagequeue().list().unwrap().is_empty());
        assert!(shared.sharedlog().list().unwrap().is_empty());
        let error = stale.sharedcounter().increment("c", 1).unwrap_err();
        assert_eq!(error.to_string(), "stale: the lock \"l\" was had under the number 7 since 6; nothing was changed");
    });
}

#[test]
fn reading_needs_no_number_and_the_same_and_larger_numbers_go_on() {
    each_engine(|Store { shared, .. }| {
        for number in [3, 3, 4, u64::MAX, u64::MAX] {
            shared.fenced(fence(number)).sharedcounter().increment("c", 1).unwrap();
        }
        assert_eq!(shared.fenced(fence(1)).sharedcounter().get("c").unwrap(), 5);
        shared.fenced(Fence::new("other", 1).unwrap()).sharedcounter().increment("c", 1).unwrap();
        shared.sharedcounter().increment("c", 1).unwrap();
        assert_eq!(shared.sharedcounter().get("c").unwrap(), 7);
    });
}

#[test]
fn who_lost_its_lock_is_stale_as_soon_as_another_has_it() {
    each_engine(|store| {
        let (locks, stop) = (store.shared.sharedlock(), Stop::new());
        let leased = AcquireOptions { lease: Some(seconds(1)), wait: AT_ONCE, ..AcquireOptions::default() };
        let first = locks.acquire("l", &leased, &stop).unwrap();
        let late = store.shared.fenced(Fence::from(&first));
        store.advance(1.0);
        // Nobody else had it: there is nothing that the change could spoil.
        late.sharedcounter().increment("c", 1).unwrap();
        let second = locks.acquire("l", &leased, &stop).unwrap();
        assert_eq!(late.sharedcounter().increment("c", 1).unwrap_err().code(), "stale");
        store.shared.fenced(Fence::from(&second)).sharedcounter().increment("c", 1).unwrap();
        second.release().unwrap();
        assert_eq!(late.sharedcounter().increment("c", 1).unwrap_err().code(), "stale");
    });
}

#[test]
fn a_change_that_fails_leaves_the_numbers_as_they_were() {
    each_engine(|Store { shared, .. }| {
        shared.sharedcounter().set("c", i64::MAX).unwrap();
        for number in [9, 8] {
            let failed = shared.fenced(fence(number)).sharedcounter().increment("c", 1).unwrap_err();
            assert_eq!(failed.code(), "overflow");
        }
        shared.fenced(fence(5)).sharedcounter().set("c", 1).unwrap();
        assert_eq!(shared.fenced(fence(4)).sharedcounter().set("c", 1).unwrap_err().code(), "stale");
    });
}

#[test]
fn names_of_one_process_are_fenced_too() {
    each_engine(|Store { shared, .. }| {
        shared.fenced(fence(5)).sharedcounter().increment("__c", 1).unwrap();
        assert_eq!(shared.fenced(fence(4)).sharedcounter().increment("__c", 1).unwrap_err().code(), "stale");
        let private = |number| Fence::new("__l", number).unwrap();
        shared.fenced(private(5)).sharedcounter().increment("c", 1).unwrap();
        assert_eq!(shared.fenced(private(4)).sharedcounter().increment("c", 1).unwrap_err().code(), "stale");
    });
}

#[test]
fn no_change_under_a_smaller_number_comes_after_one_under_a_larger() {
    each_engine(|Store { shared, .. }| {
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let shared = &shared;
                scope.spawn(move || {
                    for round in 0..40 {
                        let number = 1 + round * 8 + thread;
                        let fenced = shared.fenced(fence(number));
                        match fenced.sharedlog().append("log", json!(number)) {
                            Ok(_) => {}
                            Err(error) => assert_eq!(error.code(), "stale"),
                        }
                    }
                });
            }
        });
        let entries = shared.sharedlog().read("log", 0, 1_000).unwrap().entries;
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.value.as_u64().unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        assert_eq!(numbers.last(), Some(&320));
    });
}

#[test]
fn a_fence_has_a_number_and_a_name() {
    assert_eq!(Fence::new("l", 0).unwrap_err().code(), "bad_argument");
    assert_eq!(Fence::new("", 1).unwrap_err().code(), "bad_argument");
}

#[cfg(feature = "file")]
#[test]
fn numbers_never_go_back_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}", folder.path().join("store").display());
    let shared = Unidist::open(&url).unwrap();
    let guard = shared.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()).unwrap();
    let first = Fence::from(&guard);
    shared.fenced(first.clone()).sharedcounter().increment("c", 1).unwrap();
    shared.fenced(Fence::new("hostile\u{fe}", u64::MAX).unwrap()).sharedcounter().increment("c", 1).unwrap();
    drop((guard, shared));
    let shared = Unidist::open(&url).unwrap();
    let guard = shared.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()).unwrap();
    assert!(guard.fence() > first.number());
    shared.fenced(Fence::from(&guard)).sharedcounter().increment("c", 1).unwrap();
    drop((guard, shared));
    let shared = Unidist::open(&url).unwrap();
    assert_eq!(shared.fenced(first).sharedcounter().increment("c", 1).unwrap_err().code(), "stale");
    let other = Fence::new("hostile\u{fe}", u64::MAX - 1).unwrap();
    assert_eq!(shared.fenced(other).sharedcounter().increment("c", 1).unwrap_err().code(), "stale");
    assert_eq!(shared.sharedcounter().all().unwrap().len(), 1);
}
