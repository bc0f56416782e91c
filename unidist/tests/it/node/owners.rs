//! What happens to the others when the owner of a store ends.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::tempdir;

use super::{once, open};
use crate::common::{AT_ONCE, seconds, until};
use unidist::{AcquireOptions, AddOptions, Owner, Stop, Unidist, WatchFilter};

const LONG: Option<Duration> = Some(Duration::from_secs(60));

#[test]
fn a_second_opener_shares_everything_with_the_first_and_goes_on_when_it_is_gone() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    let second = open(folder.path());
    assert_eq!(second.sharedcounter().increment("c", 1).unwrap(), 1);
    assert_eq!(first.sharedcounter().increment("c", 1).unwrap(), 2);
    drop(first);
    assert_eq!(second.sharedcounter().increment("c", 1).unwrap(), 3);
    let third = open(folder.path());
    assert_eq!(third.sharedcounter().increment("c", 1).unwrap(), 4);
}

#[test]
fn waits_go_on_at_the_next_owner() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    let owner = Owner::named("first").unwrap();
    first.sharedlock().acquire_as("l", &owner, &once(), &Stop::new()).unwrap();
    let second = open(folder.path());
    let (locking, taking, following) = (second.clone(), second.clone(), second.clone());
    let locked =
        std::thread::spawn(move || locking.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()));
    let taken = std::thread::spawn(move || taking.messagequeue().take("q", LONG, &Stop::new()));
    let mut follower = following.sharedlog().follow("log", None).unwrap();
    let read = std::thread::spawn(move || follower.next(LONG, &Stop::new()));
    until(|| first.sharedlock().waiting("l").unwrap() == 1);
    until(|| first.messagequeue().status("q").unwrap().is_some_and(|status| status.consumers_waiting == 1));
    drop(first);
    // The first one's lock ended with it: the one who waited has it.
    let guard = locked.join().unwrap().unwrap();
    assert!(guard.is_held());
    second.messagequeue().add("q", json!("hello"), &AddOptions::default(), &Stop::new()).unwrap();
    assert_eq!(taken.join().unwrap().unwrap().unwrap().message, json!("hello"));
    second.sharedlog().append("log", json!("entry")).unwrap();
    assert_eq!(*read.join().unwrap().unwrap().unwrap().value, json!("entry"));
}

#[test]
fn locks_of_the_others_survive_the_owner_with_their_numbers() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    let (second, third) = (open(folder.path()), open(folder.path()));
    let stop = Stop::new();
    let guard = second.sharedlock().acquire("guarded", &once(), &stop).unwrap();
    let owner = Owner::named("deploy").unwrap();
    let leased = AcquireOptions { lease: Some(seconds(3_600)), permits: 2, ..once() };
    second.sharedlock().acquire_as("named", &owner, &leased, &stop).unwrap();
    let gone = second.sharedlock().acquire("released", &once(), &stop).unwrap();
    drop(gone);
    drop(first);
    // Whichever of the two has the store, and whichever asks.
    assert_eq!(third.sharedlock().acquire("guarded", &once(), &stop).unwrap_err().code(), "busy");
    drop(third.sharedlock().acquire("released", &once(), &stop).unwrap());
    assert!(guard.is_held());
    let info = third.sharedlock().holder("named").unwrap().unwrap();
    assert_eq!((info.owner.as_str(), info.process), ("deploy", std::process::id()));
    assert!(info.remaining.is_some_and(|rest| rest > seconds(3_500) && rest <= seconds(3_600)), "{info:?}");
    let fence = guard.fence();
    guard.release().unwrap();
    assert!(third.sharedlock().acquire("guarded", &once(), &stop).unwrap().fence() > fence);
    second.sharedlock().release("named", &owner).unwrap();
}

#[test]
fn locks_of_one_that_ends_are_free_at_once_for_those_who_wait() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    let second = open(folder.path());
    second.sharedlock().acquire_as("l", &Owner::named("second").unwrap(), &once(), &Stop::new()).unwrap();
    let waiting = first.clone();
    let waiter = std::thread::spawn(move || {
        waiting.sharedlock().acquire("l", &AcquireOptions { wait: LONG, ..once() }, &Stop::new()).map(drop)
    });
    until(|| first.sharedlock().waiting("l").unwrap() == 1);
    drop(second);
    waiter.join().unwrap().unwrap();
}

#[test]
fn a_lock_that_the_owner_granted_in_its_last_moment_is_had() {
    for round in 0..30 {
        let folder = tempdir().unwrap();
        let first = open(folder.path());
        let second = open(folder.path());
        let guard = first.sharedlock().acquire("l", &once(), &Stop::new()).unwrap();
        let waiting = second.clone();
        let waiter = std::thread::spawn(move || {
            waiting.sharedlock().acquire("l", &AcquireOptions { wait: LONG, ..once() }, &Stop::new()).map(drop)
        });
        until(|| first.sharedlock().waiting("l").unwrap() == 1);
        drop(guard);
        drop(first);
        waiter.join().unwrap().unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(second.sharedlock().holders("l").unwrap().is_empty(), "round {round}");
    }
}

#[test]
fn who_gives_up_while_the_owner_changes_leaves_at_once_and_nobody_stands_in_line_for_it() {
    for round in 0..20_u64 {
        let folder = tempdir().unwrap();
        let first = open(folder.path());
        let (second, third) = (open(folder.path()), open(folder.path()));
        let guard = third.sharedlock().acquire("l", &once(), &Stop::new()).unwrap();
        let stops: Vec<Stop> = (0..8).map(|_| Stop::new()).collect();
        let wait = |stop: &Stop| {
            let (second, stop) = (second.clone(), stop.clone());
            std::thread::spawn(move || {
                let forever = AcquireOptions { wait: None, ..once() };
                let locked = second.sharedlock().acquire("l", &forever, &stop).map(drop);
                let taken = second.messagequeue().take("q", None, &stop).map(drop);
                (locked, taken)
            })
        };
        let waiters: Vec<_> = stops.iter().map(wait).collect();
        until(|| first.sharedlock().waiting("l").unwrap() == 8);
        let begun = std::time::Instant::now();
        let ended = std::thread::spawn(move || drop(first));
        for (index, stop) in stops.iter().enumerate() {
            // Spread over the moments in which one owner goes and the next one comes.
            let later = begun + Duration::from_micros(round * 300 * (index as u64 + 1));
            while std::time::Instant::now() < later {
                std::thread::yield_now();
            }
            stop.request();
        }
        for waiter in waiters {
            let (locked, taken) = waiter.join().unwrap();
            assert_eq!(locked.unwrap_err().code(), "stopped", "round {round}");
            assert_eq!(taken.unwrap_err().code(), "stopped", "round {round}");
        }
        assert!(begun.elapsed() < seconds(5), "round {round}: {:?}", begun.elapsed());
        ended.join().unwrap();
        until(|| third.sharedlock().waiting("l").unwrap() == 0);
        assert!(guard.is_held());
        drop(guard);
        drop(second.sharedlock().acquire("l", &once(), &Stop::new()).unwrap());
    }
}

#[test]
fn the_first_locks_of_a_client_may_be_taken_by_many_threads_at_once() {
    for _ in 0..20 {
        let folder = tempdir().unwrap();
        let owner = open(folder.path());
        let client = open(folder.path());
        let begin = Arc::new(std::sync::Barrier::new(8));
        let take = |number: usize| {
            let (client, begin) = (client.clone(), begin.clone());
            std::thread::spawn(move || {
                begin.wait();
                client.sharedlock().acquire(&format!("l{number}"), &once(), &Stop::new()).map(drop)
            })
        };
        let threads: Vec<_> = (0..8).map(take).collect();
        until(|| threads.iter().all(std::thread::JoinHandle::is_finished));
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        drop(owner);
    }
}

#[test]
fn a_watch_is_told_that_it_fell_behind_when_the_owner_changes() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    let second = open(folder.path());
    let watcher = second.sharedstate().watch(WatchFilter::default(), None).unwrap();
    first.sharedstate().set("b", "k", json!(1)).unwrap();
    let event = watcher.next(LONG, &Stop::new()).unwrap().unwrap();
    assert_eq!((&*event.bucket, &*event.key), ("b", "k"));
    drop(first);
    assert_eq!(watcher.next(LONG, &Stop::new()).unwrap_err().code(), "fell_behind");
    let revision = second.sharedstate().bucket("b").unwrap().revision;
    let again = second.sharedstate().watch(WatchFilter::default(), Some(revision)).unwrap();
    second.sharedstate().set("b", "k", json!(2)).unwrap();
    assert!(again.next(LONG, &Stop::new()).unwrap().is_some());
}

#[test]
fn names_of_one_process_are_not_shared() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    let second = open(folder.path());
    second.sharedcounter().increment("__mine", 5).unwrap();
    second.sharedstate().set("__mine", "k", json!(1)).unwrap();
    assert_eq!(first.sharedcounter().get("__mine").unwrap(), 0);
    assert_eq!(first.sharedstate().get("__mine", "k").unwrap(), None);
    assert_eq!(second.sharedcounter().all().unwrap().get("__mine"), Some(&5));
    let guard = second.sharedlock().acquire("__mine", &once(), &Stop::new()).unwrap();
    assert!(!first.sharedlock().is_locked("__mine").unwrap());
    drop(guard);
}

#[test]
fn a_store_that_is_synced_later_is_not_taken_for_one_that_is_synced_always() {
    let folder = tempdir().unwrap();
    let url = format!("file:{}", folder.path().display());
    let _first = Unidist::open(&format!("{url}?sync=interval")).unwrap();
    let error = Unidist::open(&url).map(drop).unwrap_err();
    assert!(error.to_string().contains("?sync=interval"), "{error}");
    Unidist::open(&format!("{url}?sync=interval")).unwrap();
}

#[test]
fn a_long_path_is_no_obstacle() {
    let folder = tempdir().unwrap();
    let deep = folder.path().join("x".repeat(120));
    let first = open(&deep);
    let second = open(&deep);
    first.sharedcounter().increment("c", 1).unwrap();
    assert_eq!(second.sharedcounter().get("c").unwrap(), 1);
}

#[test]
fn a_backup_may_be_asked_for_by_anybody() {
    let folder = tempdir().unwrap();
    let first = open(&folder.path().join("store"));
    let second = open(&folder.path().join("store"));
    first.sharedcounter().increment("c", 7).unwrap();
    second.backup(&folder.path().join("copy")).unwrap();
    assert_eq!(open(&folder.path().join("copy")).sharedcounter().get("c").unwrap(), 7);
    assert_eq!(second.backup(&folder.path().join("copy")).unwrap_err().code(), "store");
}

#[test]
fn an_async_take_that_is_given_up_loses_nothing() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    let second = open(folder.path());
    let stop = Stop::new();
    for round in 0..50 {
        let waiting = second.clone();
        let taker = std::thread::spawn(move || {
            waiting.messagequeue().take("q", Some(Duration::from_micros(round * 40)), &Stop::new())
        });
        first.messagequeue().add("q", json!(round), &AddOptions::default(), &stop).unwrap();
        match taker.join().unwrap().unwrap() {
            Some(message) => assert_eq!(message.message, json!(round)),
            None => {
                let message = first.messagequeue().take("q", AT_ONCE, &stop).unwrap();
                assert_eq!(message.unwrap().message, json!(round));
            }
        }
    }
}

#[test]
fn who_waits_is_told_when_the_store_cannot_be_opened_again() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    first.sharedcounter().increment("c", 1).unwrap();
    let second = open(folder.path());
    let taking = second.clone();
    let taken = std::thread::spawn(move || taking.messagequeue().take("q", None, &Stop::new()));
    until(|| first.messagequeue().status("q").unwrap().is_some_and(|status| status.consumers_waiting == 1));
    // The owner has it open still; its successor finds none.
    let store = folder.path().join("store.sqlite");
    std::fs::remove_file(&store).unwrap();
    drop(first);
    let error = taken.join().unwrap().unwrap_err();
    assert_eq!(error.code(), "damaged", "{error}");
    assert_eq!(second.sharedcounter().get("c").unwrap_err().code(), "damaged");
}
