//! `sharedlog`.

use serde_json::json;

use crate::common::{AT_ONCE, Store, each_engine, seconds, until};
use unidist::{LogOptions, Stop};

fn keep(entries_max: usize) -> LogOptions {
    LogOptions { entries_max, ..LogOptions::default() }
}

#[test]
fn entries_are_read_by_offset_in_the_order_of_appending() {
    each_engine(|Store { shared, .. }| {
        let logs = shared.sharedlog();
        for number in 0..5_u64 {
            assert_eq!(logs.append("l", json!(number)).unwrap(), number);
        }
        let page = logs.read("l", 1, 2).unwrap();
        let seen: Vec<_> = page.entries.iter().map(|entry| (entry.offset, (*entry.value).clone())).collect();
        assert_eq!(seen, [(1, json!(1)), (2, json!(2))]);
        assert_eq!((page.missing, page.next), (0, 3));
        assert_eq!(logs.read("l", 5, 10).unwrap().entries, []);
        assert_eq!(logs.read("l", 99, 10).unwrap().next, 99);
    });
}

#[test]
fn an_unknown_log_is_empty_and_reading_does_not_create_it() {
    each_engine(|Store { shared, .. }| {
        let logs = shared.sharedlog();
        assert!(logs.read("l", 0, 10).unwrap().entries.is_empty());
        assert_eq!(logs.status("l").unwrap(), None);
        assert!(logs.list().unwrap().is_empty());
    });
}

#[test]
fn a_log_keeps_its_newest_entries_and_says_what_is_missing() {
    each_engine(|Store { shared, .. }| {
        let logs = shared.sharedlog();
        logs.configure("l", keep(3)).unwrap();
        for number in 0..10 {
            logs.append("l", json!(number)).unwrap();
        }
        let page = logs.read("l", 2, 100).unwrap();
        assert_eq!((page.missing, page.entries[0].offset, page.next), (5, 7, 10));
        logs.configure("l", keep(1)).unwrap();
        assert_eq!(logs.status("l").unwrap().unwrap().first, 9);
        assert_eq!(logs.configure("l", keep(0)).unwrap_err().code(), "bad_argument");
    });
}

#[test]
fn caps_of_bytes_and_age_drop_the_oldest_but_a_large_newest_entry_stays() {
    each_engine(|store| {
        let logs = store.shared.sharedlog();
        logs.configure("b", LogOptions { bytes_max: 100, ..LogOptions::default() }).unwrap();
        logs.append("b", json!("x".repeat(60))).unwrap();
        logs.append("b", json!("y".repeat(60))).unwrap();
        assert_eq!(logs.status("b").unwrap().unwrap().first, 1);
        logs.append("b", json!("z".repeat(500))).unwrap();
        assert_eq!(logs.read("b", 2, 9).unwrap().entries.len(), 1);
        logs.configure("a", LogOptions { age_max: Some(seconds(60)), ..LogOptions::default() }).unwrap();
        logs.append("a", json!(1)).unwrap();
        store.advance(40.0);
        logs.append("a", json!(2)).unwrap();
        store.advance(21.0);
        assert_eq!(logs.read("a", 0, 9).unwrap().entries[0].offset, 1);
    });
}

#[test]
fn a_follower_waits_at_the_end_for_the_next_entry() {
    each_engine(|Store { shared, .. }| {
        let stop = Stop::new();
        let mut follower = shared.sharedlog().follow("l", None).unwrap();
        assert_eq!(follower.next(AT_ONCE, &stop).unwrap(), None);
        let waiter = std::thread::spawn(move || follower.next(None, &Stop::new()));
        shared.sharedlog().append("l", json!("late")).unwrap();
        assert_eq!(*waiter.join().unwrap().unwrap().unwrap().value, json!("late"));
    });
}

#[test]
fn a_follower_that_is_too_slow_is_told_once_and_goes_on_with_the_oldest() {
    each_engine(|Store { shared, .. }| {
        let (logs, stop) = (shared.sharedlog(), Stop::new());
        logs.configure("l", keep(2)).unwrap();
        let mut follower = logs.follow("l", Some(0)).unwrap();
        for number in 0..5 {
            logs.append("l", json!(number)).unwrap();
        }
        let error = follower.next(AT_ONCE, &stop).unwrap_err();
        assert_eq!(error.code(), "fell_behind");
        assert!(error.to_string().contains("3 entries"), "{error}");
        assert_eq!(follower.next(AT_ONCE, &stop).unwrap().unwrap().offset, 3);
        assert_eq!(follower.next(AT_ONCE, &stop).unwrap().unwrap().offset, 4);
        assert_eq!(follower.next(AT_ONCE, &stop).unwrap(), None);
    });
}

#[test]
fn a_wait_for_an_entry_ends_with_its_limit_and_with_a_stop() {
    each_engine(|store| {
        let stop = Stop::new();
        let mut follower = store.shared.sharedlog().follow("l", None).unwrap();
        let waiter = std::thread::spawn(move || follower.next(Some(seconds(5)), &Stop::new()));
        until(|| {
            store.advance(1.0);
            waiter.is_finished()
        });
        assert_eq!(waiter.join().unwrap().unwrap(), None);
        let mut follower = store.shared.sharedlog().follow("l", None).unwrap();
        let other = stop.clone();
        let waiter = std::thread::spawn(move || follower.next(None, &other));
        stop.request();
        assert_eq!(waiter.join().unwrap().unwrap_err().code(), "stopped");
    });
}

#[test]
fn a_deleted_log_is_gone_but_its_offsets_go_on() {
    each_engine(|Store { shared, .. }| {
        let logs = shared.sharedlog();
        logs.append("l", json!(1)).unwrap();
        assert!(logs.delete("l").unwrap());
        assert!(!logs.delete("l").unwrap());
        assert_eq!(logs.status("l").unwrap(), None);
        assert!(logs.list().unwrap().is_empty());
        assert_eq!(logs.append("l", json!(2)).unwrap(), 1);
        assert_eq!(logs.list().unwrap(), ["l"]);
    });
}

#[test]
fn entries_carry_the_time_of_appending() {
    each_engine(|store| {
        let logs = store.shared.sharedlog();
        logs.append("l", json!(1)).unwrap();
        store.advance(7.0);
        logs.append("l", json!(2)).unwrap();
        let entries = logs.read("l", 0, 2).unwrap().entries;
        assert_eq!(entries[1].time - entries[0].time, seconds(7));
    });
}
