//! What survives a close, and that time goes on meanwhile.

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{open, open_with};
use crate::common::{AT_ONCE, seconds};
use unidist::{
    AcquireOptions, AddOptions, Failure, LogOptions, MessageId, QueueOptions, SetOptions, Stop, Unidist, VirtualClock,
    WatchFilter, WhenFull,
};

const LARGE: usize = 1 << 20;

fn add(shared: &Unidist, queue: &str, message: Value, options: &AddOptions) -> MessageId {
    shared.messagequeue().add(queue, message, options, &Stop::new()).unwrap_or_else(|error| panic!("{error}")).id
}

#[test]
fn counters_survive_also_their_removal() {
    let folder = tempdir().unwrap();
    let shared = open(folder.path());
    shared.sharedcounter().increment("größe", i64::MAX).unwrap();
    shared.sharedcounter().set("small", i64::MIN).unwrap();
    shared.sharedcounter().increment("gone", 1).unwrap();
    shared.sharedcounter().delete("gone").unwrap();
    shared.sharedcounter().increment("__own", 1).unwrap();
    drop(shared);
    let all = open(folder.path()).sharedcounter().all().unwrap();
    assert_eq!(all, [("größe".to_owned(), i64::MAX), ("small".to_owned(), i64::MIN)].into());
}

#[test]
fn state_survives_with_its_values_to_the_last_bit() {
    let folder = tempdir().unwrap();
    let values = [
        json!(null),
        json!(0.1 + 0.2),
        json!(5e-324),
        json!(u64::MAX),
        json!(""),
        json!("x".repeat(LARGE)),
        json!({"b": [1, {"a": "ü\u{0}"}], "a": true}),
    ];
    let shared = open(folder.path());
    for (index, value) in values.iter().enumerate() {
        shared.sharedstate().set("b", &index.to_string(), value.clone()).unwrap();
    }
    shared.sharedstate().set("b", "gone", json!(1)).unwrap();
    shared.sharedstate().remove("b", "gone").unwrap();
    shared.sharedstate().set("other", "k", json!(1)).unwrap();
    shared.sharedstate().remove_bucket("other").unwrap();
    drop(shared);
    let shared = open(folder.path());
    for (index, value) in values.iter().enumerate() {
        assert_eq!(shared.sharedstate().get("b", &index.to_string()).unwrap().as_ref(), Some(value));
    }
    assert_eq!(shared.sharedstate().keys("b").unwrap().len(), values.len());
    assert_eq!(shared.sharedstate().buckets().unwrap(), ["b"]);
}

#[test]
fn a_time_to_live_goes_on_while_the_store_is_closed() {
    let folder = tempdir().unwrap();
    let clock = Arc::new(VirtualClock::new());
    let shared = open_with(folder.path(), &clock);
    for (key, time) in [("short", 10), ("long", 100)] {
        let options = SetOptions { time_to_live: Some(seconds(time)) };
        shared.sharedstate().set_with("b", key, json!(1), &options).unwrap();
    }
    drop(shared);
    clock.advance(seconds(60));
    let shared = open_with(folder.path(), &clock);
    assert_eq!(shared.sharedstate().get("b", "short").unwrap(), None);
    assert_eq!(shared.sharedstate().entry("b", "long").unwrap().unwrap().remaining, Some(seconds(40)));
    clock.advance(seconds(40));
    assert!(!shared.sharedstate().exists("b", "long").unwrap());
    drop(shared);
    assert!(open_with(folder.path(), &clock).sharedstate().buckets().unwrap().is_empty());
}

#[test]
fn revisions_and_fencing_numbers_never_go_back() {
    let folder = tempdir().unwrap();
    let (mut revision, mut fence) = (0, 0);
    for _ in 0..3 {
        let shared = open(folder.path());
        let guard = shared.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()).unwrap();
        assert!(guard.fence() > fence);
        fence = guard.fence();
        let set = shared.sharedstate().set("b", "k", json!(1)).unwrap();
        assert!(set > revision);
        // Removals have revisions, too, and leave no row behind.
        shared.sharedstate().remove("b", "k").unwrap();
        revision = shared.sharedstate().revision().unwrap();
    }
}

#[test]
fn a_revision_from_before_is_compared_and_no_watch_goes_on_from_it() {
    let folder = tempdir().unwrap();
    let shared = open(folder.path());
    let revision = shared.sharedstate().set("b", "k", json!(1)).unwrap();
    drop(shared);
    let shared = open(folder.path());
    assert_eq!(shared.sharedstate().entry("b", "k").unwrap().unwrap().revision, revision);
    let error = shared.sharedstate().watch(WatchFilter::default(), Some(revision)).map(drop).unwrap_err();
    assert_eq!(error.code(), "fell_behind");
    let snapshot = shared.sharedstate().bucket("b").unwrap();
    let watcher = shared.sharedstate().watch(WatchFilter::default(), Some(snapshot.revision)).unwrap();
    shared.sharedstate().compare_and_set("b", "k", revision, json!(2)).unwrap();
    assert_eq!(&*watcher.next(AT_ONCE, &Stop::new()).unwrap().unwrap().key, "k");
}

#[test]
fn a_queue_survives_with_order_priorities_delays_ids_and_settings() {
    let folder = tempdir().unwrap();
    let clock = Arc::new(VirtualClock::new());
    let shared = open_with(folder.path(), &clock);
    let options = QueueOptions {
        length_max: 5,
        age_max: Some(seconds(1_000)),
        when_full: WhenFull::DropOldest,
        attempts_max: Some(2),
        dead_letters: Some("graveyard".to_owned()),
    };
    shared.messagequeue().configure("q", options).unwrap();
    for (message, priority) in [("dropped", 0), ("low", 0), ("high", 9), ("low too", 0)] {
        add(&shared, "q", json!(message), &AddOptions { priority, ..AddOptions::default() });
    }
    add(&shared, "q", json!("named"), &AddOptions { id: Some("n".to_owned()), ..AddOptions::default() });
    add(&shared, "q", json!("later"), &AddOptions { delay: seconds(100), ..AddOptions::default() });
    drop(shared);
    clock.advance(seconds(50));
    let shared = open_with(folder.path(), &clock);
    let all = shared.messagequeue().all("q", 10).unwrap();
    let messages: Vec<_> = all.iter().map(|message| message.message.clone()).collect();
    assert_eq!(messages, ["high", "low", "low too", "named"]);
    assert!(all.iter().all(|message| message.age == seconds(50)));
    let again = AddOptions { id: Some("n".to_owned()), ..AddOptions::default() };
    assert!(!shared.messagequeue().add("q", json!(1), &again, &Stop::new()).unwrap().is_new);
    let status = shared.messagequeue().status("q").unwrap().unwrap();
    assert_eq!((status.added, status.dropped, status.delayed), (6, 1, 1));
    clock.advance(seconds(50));
    assert_eq!(shared.messagequeue().status("q").unwrap().unwrap().delayed, 0);
}

#[test]
fn claims_attempts_and_reasons_survive_up_to_the_dead_letters() {
    let folder = tempdir().unwrap();
    let clock = Arc::new(VirtualClock::new());
    let stop = Stop::new();
    let shared = open_with(folder.path(), &clock);
    shared.messagequeue().configure("q", QueueOptions { attempts_max: Some(2), ..QueueOptions::default() }).unwrap();
    add(&shared, "q", json!("m"), &AddOptions::default());
    let claim = shared.messagequeue().claim("q", seconds(10), AT_ONCE, &stop).unwrap().unwrap();
    let failure = Failure { reason: "first", delay: seconds(0) };
    shared.messagequeue().fail("q", &claim.id.to_string(), None, failure).unwrap();
    shared.messagequeue().claim("q", seconds(10), AT_ONCE, &stop).unwrap().unwrap();
    drop(shared);
    clock.advance(seconds(5));
    let shared = open_with(folder.path(), &clock);
    assert_eq!(shared.messagequeue().status("q").unwrap().unwrap().claimed, 1);
    shared.messagequeue().extend("q", "#1", Some(2), seconds(20)).unwrap();
    drop(shared);
    clock.advance(seconds(21));
    let shared = open_with(folder.path(), &clock);
    let dead = shared.messagequeue().take("q.dead", AT_ONCE, &stop).unwrap().unwrap().message;
    assert_eq!(
        dead,
        json!({"id": "#1", "message": "m", "attempts": 2, "reasons": ["first", "the lease ended"], "queue": "q"})
    );
    assert_eq!(shared.messagequeue().count("q").unwrap(), Some(0));
}

#[test]
fn a_message_number_is_never_used_again_even_when_its_queue_was_deleted() {
    let folder = tempdir().unwrap();
    let shared = open(folder.path());
    add(&shared, "q", json!(1), &AddOptions::default());
    add(&shared, "q", json!(2), &AddOptions::default());
    shared.messagequeue().delete("q").unwrap();
    drop(shared);
    let shared = open(folder.path());
    assert_eq!(shared.messagequeue().list().unwrap(), Vec::<String>::new());
    assert_eq!(add(&shared, "q", json!(3), &AddOptions::default()), MessageId::Number(3));
}

#[test]
fn logs_survive_with_offsets_times_and_caps() {
    let folder = tempdir().unwrap();
    let clock = Arc::new(VirtualClock::new());
    let shared = open_with(folder.path(), &clock);
    let options = LogOptions { entries_max: 2, age_max: Some(seconds(100)), ..LogOptions::default() };
    shared.sharedlog().configure("l", options).unwrap();
    for number in 0..3 {
        shared.sharedlog().append("l", json!(number)).unwrap();
    }
    shared.sharedlog().append("deleted", json!(0)).unwrap();
    shared.sharedlog().delete("deleted").unwrap();
    drop(shared);
    clock.advance(seconds(60));
    let shared = open_with(folder.path(), &clock);
    let page = shared.sharedlog().read("l", 0, 10).unwrap();
    let entries: Vec<_> = page.entries.iter().map(|entry| (entry.offset, (*entry.value).clone())).collect();
    assert_eq!((entries, page.missing), (vec![(1, json!(1)), (2, json!(2))], 1));
    assert_eq!(shared.sharedlog().list().unwrap(), ["l"]);
    assert_eq!(shared.sharedlog().append("deleted", json!(0)).unwrap(), 1);
    clock.advance(seconds(60));
    assert_eq!(shared.sharedlog().status("l").unwrap().unwrap().first, 3);
    drop(shared);
    // All entries were dropped by their age: the next offset is known all the same.
    assert_eq!(open_with(folder.path(), &clock).sharedlog().append("l", json!(3)).unwrap(), 3);
}

#[test]
fn what_was_acknowledged_under_sync_interval_is_there_after_a_close() {
    let folder = tempdir().unwrap();
    let shared = Unidist::open(&format!("file:{}?sync=interval", folder.path().display())).unwrap();
    for _ in 0..1_000 {
        shared.sharedcounter().increment("c", 1).unwrap();
    }
    drop(shared);
    assert_eq!(open(folder.path()).sharedcounter().get("c").unwrap(), 1_000);
}

#[test]
fn files_stay_flat_over_simulated_days_of_expiry_trimming_and_renewals() {
    let folder = tempdir().unwrap();
    let clock = Arc::new(VirtualClock::new());
    let url = format!("file:{}?sync=interval", folder.path().display());
    let size = || std::fs::metadata(folder.path().join("store.sqlite")).map_or(0, |file| file.len());
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let shared = Unidist::builder().clock(clock.clone()).open(&url).unwrap();
        let options = LogOptions { entries_max: 100, ..LogOptions::default() };
        shared.sharedlog().configure("l", options).unwrap();
        for minute in 0..6 * 60 {
            let options = SetOptions { time_to_live: Some(seconds(600)) };
            shared.sharedstate().set_with("b", &minute.to_string(), json!("x".repeat(200)), &options).unwrap();
            shared.sharedlog().append("l", json!(minute)).unwrap();
            add(&shared, "q", json!(minute), &AddOptions::default());
            let claim = shared.messagequeue().claim("q", seconds(30), AT_ONCE, &Stop::new()).unwrap().unwrap();
            shared.messagequeue().extend("q", &claim.id.to_string(), None, seconds(60)).unwrap();
            shared.messagequeue().ack("q", &claim.id.to_string(), None).unwrap();
            clock.advance(seconds(60));
        }
        drop(shared);
        sizes.push(size());
    }
    assert!(sizes[3] <= sizes[1] + 64 * 1024, "{sizes:?}");
}
