//! `messagequeue`.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{AT_ONCE, Store, each_engine, each_engine_with, seconds, until};
use unidist::{AddOptions, Claim, Error, Failure, Limits, MessageQueue, QueueOptions, Stop, WhenFull};

fn add(queues: MessageQueue<'_>, queue: &str, message: impl Into<Value>) {
    let added = queues.add(queue, message.into(), &AddOptions::default(), &Stop::new());
    assert!(added.is_ok_and(|added| added.is_new));
}

fn take(queues: MessageQueue<'_>, queue: &str) -> Option<Value> {
    queues.take(queue, AT_ONCE, &Stop::new()).ok().flatten().map(|message| message.message)
}

fn claim(queues: MessageQueue<'_>, queue: &str, lease: u64) -> Option<Claim> {
    queues.claim(queue, seconds(lease), AT_ONCE, &Stop::new()).ok().flatten()
}

fn failed(reason: &str) -> Failure<'_> {
    Failure { reason, delay: Duration::ZERO }
}

fn drain(queues: MessageQueue<'_>, queue: &str) -> Vec<Value> {
    std::iter::from_fn(|| take(queues, queue)).collect()
}

#[test]
fn an_unknown_queue_has_no_count_and_nothing_to_take() {
    each_engine(|Store { shared, .. }| {
        let queues = shared.messagequeue();
        assert_eq!(queues.count("q").unwrap(), None);
        assert_eq!(take(queues, "q"), None);
        assert_eq!(queues.oldest("q").unwrap(), None);
        assert_eq!(queues.newest("q").unwrap(), None);
        assert!(queues.all("q", 10).unwrap().is_empty());
        assert_eq!(queues.ack("q", "#1", None).unwrap_err().code(), "not_found");
        assert!(queues.list().unwrap().is_empty());
    });
}

#[test]
fn messages_leave_in_the_order_of_adding_and_looking_removes_none() {
    each_engine(|Store { shared, .. }| {
        let queues = shared.messagequeue();
        for number in 1..=3 {
            add(queues, "q", number);
        }
        assert_eq!(queues.newest("q").unwrap().unwrap().message, json!(3));
        assert_eq!(queues.oldest("q").unwrap().unwrap().message, json!(1));
        assert_eq!(queues.all("q", 2).unwrap().len(), 2);
        assert_eq!(queues.count("q").unwrap(), Some(3));
        assert_eq!(drain(queues, "q"), [json!(1), json!(2), json!(3)]);
        assert_eq!(queues.count("q").unwrap(), Some(0));
    });
}

#[test]
fn equal_messages_and_null_are_messages_of_their_own() {
    each_engine(|Store { shared, .. }| {
        let queues = shared.messagequeue();
        for message in [Value::Null, json!("same"), json!("same")] {
            add(queues, "q", message);
        }
        assert_eq!(drain(queues, "q"), [Value::Null, json!("same"), json!("same")]);
    });
}

#[test]
fn higher_priority_leaves_first_and_equal_ones_in_order() {
    each_engine(|Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        for (number, priority) in [0, 5, -3, 5, i32::MIN, i32::MAX].into_iter().enumerate() {
            queues.add("q", json!(number), &AddOptions { priority, ..AddOptions::default() }, &stop).unwrap();
        }
        assert_eq!(queues.oldest("q").unwrap().unwrap().message, json!(0));
        assert_eq!(drain(queues, "q"), [5, 1, 3, 0, 2, 4].map(|number| json!(number)));
    });
}

#[test]
fn a_delayed_message_is_had_at_its_time_in_the_order_of_adding() {
    each_engine(|store| {
        let (queues, stop) = (store.shared.messagequeue(), Stop::new());
        let later = AddOptions { delay: seconds(10), ..AddOptions::default() };
        queues.add("q", json!("late"), &later, &stop).unwrap();
        add(queues, "q", "now");
        assert_eq!(drain(queues, "q"), [json!("now")]);
        assert_eq!(queues.count("q").unwrap(), Some(1));
        store.advance(9.0);
        add(queues, "q", "newer");
        store.advance(1.0);
        assert_eq!(drain(queues, "q"), [json!("late"), json!("newer")]);
    });
}

#[test]
fn a_consumer_that_waits_gets_a_delayed_message_when_it_is_due() {
    each_engine(|store| {
        let shared = store.shared.clone();
        let waiter = std::thread::spawn(move || shared.messagequeue().take("q", None, &Stop::new()));
        let queues = store.shared.messagequeue();
        until(|| queues.status("q").unwrap().is_some_and(|status| status.consumers_waiting == 1));
        let later = AddOptions { delay: seconds(5), ..AddOptions::default() };
        queues.add("q", json!(1), &later, &Stop::new()).unwrap();
        store.advance(5.0);
        assert_eq!(waiter.join().unwrap().unwrap().unwrap().message, json!(1));
    });
}

#[test]
fn a_message_of_an_id_that_is_in_the_queue_is_not_added_again() {
    each_engine(|Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        let options = AddOptions { id: Some("job 1".to_owned()), ..AddOptions::default() };
        assert!(queues.add("q", json!(1), &options, &stop).unwrap().is_new);
        let again = queues.add("q", json!(2), &options, &stop).unwrap();
        assert_eq!((again.id.to_string().as_str(), again.is_new), ("job 1", false));
        let held = claim(queues, "q", 10).unwrap();
        assert!(!queues.add("q", json!(3), &options, &stop).unwrap().is_new);
        queues.ack("q", &held.id.to_string(), Some(held.attempt)).unwrap();
        assert!(queues.add("q", json!(4), &options, &stop).unwrap().is_new);
        assert_eq!(drain(queues, "q"), [json!(4)]);
        let numbered = AddOptions { id: Some("#1".to_owned()), ..AddOptions::default() };
        assert_eq!(queues.add("q", json!(5), &numbered, &stop).unwrap_err().code(), "bad_argument");
    });
}

#[test]
fn a_claimed_message_is_had_by_nobody_else_and_gone_when_acknowledged() {
    each_engine(|Store { shared, .. }| {
        let queues = shared.messagequeue();
        add(queues, "q", "job");
        let held = claim(queues, "q", 10).unwrap();
        assert_eq!((held.message.clone(), held.attempt), (json!("job"), 1));
        assert_eq!(take(queues, "q"), None);
        assert_eq!(queues.count("q").unwrap(), Some(1));
        queues.ack("q", &held.id.to_string(), Some(held.attempt)).unwrap();
        assert_eq!(queues.count("q").unwrap(), Some(0));
        assert_eq!(queues.ack("q", &held.id.to_string(), None).unwrap_err().code(), "claim_lost");
    });
}

#[test]
fn a_lease_that_ends_gives_the_message_back_and_a_late_ack_is_refused() {
    each_engine(|store| {
        let queues = store.shared.messagequeue();
        add(queues, "q", "job");
        let first = claim(queues, "q", 10).unwrap();
        store.advance(9.0);
        assert!(claim(queues, "q", 10).is_none());
        store.advance(1.0);
        let second = claim(queues, "q", 10).unwrap();
        assert_eq!((second.id.clone(), second.attempt), (first.id.clone(), 2));
        let error = queues.ack("q", &first.id.to_string(), Some(first.attempt)).unwrap_err();
        assert_eq!(error.code(), "claim_lost");
        assert!(error.to_string().contains("attempt 2"), "{error}");
        queues.ack("q", &second.id.to_string(), Some(second.attempt)).unwrap();
    });
}

#[test]
fn a_lease_that_ends_serves_a_consumer_that_waits() {
    each_engine(|store| {
        let queues = store.shared.messagequeue();
        add(queues, "q", "job");
        claim(queues, "q", 10).unwrap();
        let shared = store.shared.clone();
        let waiter = std::thread::spawn(move || shared.messagequeue().claim("q", seconds(10), None, &Stop::new()));
        until(|| queues.status("q").unwrap().unwrap().consumers_waiting == 1);
        store.advance(10.0);
        assert_eq!(waiter.join().unwrap().unwrap().unwrap().attempt, 2);
    });
}

#[test]
fn an_extended_lease_ends_later() {
    each_engine(|store| {
        let queues = store.shared.messagequeue();
        add(queues, "q", "job");
        let held = claim(queues, "q", 10).unwrap();
        let id = held.id.to_string();
        store.advance(9.0);
        queues.extend("q", &id, Some(1), seconds(10)).unwrap();
        store.advance(9.0);
        assert!(claim(queues, "q", 10).is_none());
        store.advance(1.0);
        assert_eq!(queues.extend("q", &id, Some(1), seconds(10)).unwrap_err().code(), "claim_lost");
        assert_eq!(queues.extend("q", &id, None, Duration::ZERO).unwrap_err().code(), "bad_argument");
    });
}

#[test]
fn a_failed_message_comes_again_in_its_old_place_or_after_a_delay() {
    each_engine(|store| {
        let queues = store.shared.messagequeue();
        add(queues, "q", 1);
        add(queues, "q", 2);
        let held = claim(queues, "q", 10).unwrap();
        queues.fail("q", &held.id.to_string(), Some(1), failed("no")).unwrap();
        let again = claim(queues, "q", 10).unwrap();
        assert_eq!((again.message.clone(), again.attempt), (json!(1), 2));
        let later = Failure { reason: "not yet", delay: seconds(30) };
        queues.fail("q", &again.id.to_string(), Some(2), later).unwrap();
        assert_eq!(drain(queues, "q"), [json!(2)]);
        store.advance(30.0);
        assert_eq!(claim(queues, "q", 10).unwrap().attempt, 3);
    });
}

#[test]
fn after_its_last_attempt_a_message_is_a_dead_letter_with_the_reasons() {
    each_engine(|store| {
        let queues = store.shared.messagequeue();
        queues.configure("q", QueueOptions { attempts_max: Some(3), ..QueueOptions::default() }).unwrap();
        add(queues, "q", json!({"file": "a"}));
        for reason in ["one", "two"] {
            let held = claim(queues, "q", 10).unwrap();
            queues.fail("q", &held.id.to_string(), Some(held.attempt), failed(reason)).unwrap();
        }
        claim(queues, "q", 10).unwrap();
        store.advance(10.0);
        assert!(claim(queues, "q", 10).is_none());
        assert_eq!(queues.count("q").unwrap(), Some(0));
        assert_eq!(queues.status("q").unwrap().unwrap().dead, 1);
        let letter = json!({"id": "#1", "message": {"file": "a"}, "attempts": 3,
            "reasons": ["one", "two", "the lease ended"], "queue": "q"});
        assert_eq!(drain(queues, "q.dead"), [letter]);
    });
}

#[test]
fn dead_letters_may_go_to_a_named_queue_and_are_not_buried_again() {
    each_engine(|Store { shared, .. }| {
        let queues = shared.messagequeue();
        let named = |name: &str| QueueOptions {
            attempts_max: Some(1),
            dead_letters: Some(name.to_owned()),
            ..QueueOptions::default()
        };
        queues.configure("q", named("graveyard.dead")).unwrap();
        assert!(queues.configure("q", named("q")).is_err());
        add(queues, "q", 1);
        let held = claim(queues, "q", 10).unwrap();
        queues.fail("q", &held.id.to_string(), None, failed("x")).unwrap();
        for _ in 0..20 {
            let held = claim(queues, "graveyard.dead", 10).unwrap();
            queues.fail("graveyard.dead", &held.id.to_string(), None, failed("y")).unwrap();
        }
        assert_eq!(queues.list().unwrap(), ["graveyard.dead", "q"]);
    });
}

#[test]
fn a_full_queue_rejects_or_keeps_the_newest() {
    each_engine(|Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        let capped = |when_full| QueueOptions { length_max: 25, when_full, ..QueueOptions::default() };
        queues.configure("keep", capped(WhenFull::DropOldest)).unwrap();
        queues.configure("reject", capped(WhenFull::Reject)).unwrap();
        for number in 0..100 {
            add(queues, "keep", number);
            let added = queues.add("reject", json!(number), &AddOptions::default(), &stop);
            assert_eq!(added.is_ok(), number < 25);
        }
        let error = queues.add("reject", json!(0), &AddOptions::default(), &stop).unwrap_err();
        assert!(matches!(error, Error::QueueFull { length_max: 25, .. }));
        assert!(drain(queues, "keep").into_iter().eq((75..100).map(|number| json!(number))));
        assert_eq!(queues.status("keep").unwrap().unwrap().dropped, 75);
        let none = QueueOptions { length_max: 0, ..QueueOptions::default() };
        assert!(queues.configure("q", none).is_err());
        let none = QueueOptions { attempts_max: Some(0), ..QueueOptions::default() };
        assert!(queues.configure("q", none).is_err());
    });
}

#[test]
fn a_queue_full_of_claims_has_nothing_to_drop_and_refuses() {
    each_engine(|Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        let options = QueueOptions { length_max: 1, when_full: WhenFull::DropOldest, ..QueueOptions::default() };
        queues.configure("q", options).unwrap();
        add(queues, "q", 1);
        claim(queues, "q", 10).unwrap();
        assert_eq!(queues.add("q", json!(2), &AddOptions::default(), &stop).unwrap_err().code(), "full");
    });
}

#[test]
fn a_producer_waits_for_room_in_order_and_no_longer_than_its_limit() {
    each_engine(|store| {
        let queues = store.shared.messagequeue();
        let options = QueueOptions { length_max: 1, when_full: WhenFull::Wait, ..QueueOptions::default() };
        queues.configure("q", options).unwrap();
        add(queues, "q", 0);
        let once = AddOptions { wait: AT_ONCE, ..AddOptions::default() };
        assert_eq!(queues.add("q", json!(9), &once, &Stop::new()).unwrap_err().code(), "full");
        let mut threads = Vec::new();
        for number in 1..=3 {
            let shared = store.shared.clone();
            threads.push(std::thread::spawn(move || {
                shared.messagequeue().add("q", json!(number), &AddOptions::default(), &Stop::new()).map(|_| ())
            }));
            until(|| queues.status("q").unwrap().unwrap().producers_waiting == number);
        }
        let shared = store.shared.clone();
        let impatient = std::thread::spawn(move || {
            let options = AddOptions { wait: Some(seconds(1)), ..AddOptions::default() };
            shared.messagequeue().add("q", json!(4), &options, &Stop::new()).map(|_| ())
        });
        until(|| {
            store.advance(1.0);
            impatient.is_finished()
        });
        assert_eq!(impatient.join().unwrap().unwrap_err().code(), "full");
        assert_eq!(drain(queues, "q"), [0, 1, 2, 3].map(|number| json!(number)));
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
}

#[test]
fn messages_past_the_age_cap_are_dropped_and_counted() {
    each_engine(|store| {
        let queues = store.shared.messagequeue();
        queues.configure("q", QueueOptions { age_max: Some(seconds(60)), ..QueueOptions::default() }).unwrap();
        add(queues, "q", 1);
        store.advance(40.0);
        add(queues, "q", 2);
        assert_eq!(queues.status("q").unwrap().unwrap().oldest_age, Some(seconds(40)));
        store.advance(21.0);
        assert_eq!(drain(queues, "q"), [json!(2)]);
        assert_eq!(queues.status("q").unwrap().unwrap().dropped, 1);
    });
}

#[test]
fn consumers_that_wait_are_served_in_order() {
    each_engine(|Store { shared, .. }| {
        let mut threads = Vec::new();
        for number in 0..10 {
            let other = shared.clone();
            threads.push(std::thread::spawn(move || other.messagequeue().take("q", None, &Stop::new())));
            until(|| {
                let status = shared.messagequeue().status("q").unwrap();
                status.is_some_and(|status| status.consumers_waiting == number + 1)
            });
        }
        for number in 0..10 {
            add(shared.messagequeue(), "q", number);
        }
        for (number, thread) in threads.into_iter().enumerate() {
            assert_eq!(thread.join().unwrap().unwrap().unwrap().message, json!(number));
        }
    });
}

#[test]
fn a_wait_for_a_message_ends_with_its_limit_and_with_a_stop() {
    each_engine(|store| {
        let shared = store.shared.clone();
        let waiter = std::thread::spawn(move || shared.messagequeue().take("q", Some(seconds(3)), &Stop::new()));
        until(|| {
            store.advance(1.0);
            waiter.is_finished()
        });
        assert_eq!(waiter.join().unwrap().unwrap(), None);
        let stop = Stop::new();
        let (shared, other) = (store.shared.clone(), stop.clone());
        let waiter = std::thread::spawn(move || shared.messagequeue().claim("q", seconds(1), None, &other));
        stop.request();
        assert_eq!(waiter.join().unwrap().unwrap_err().code(), "stopped");
        assert_eq!(store.shared.messagequeue().status("q").unwrap().unwrap().consumers_waiting, 0);
    });
}

#[test]
fn a_dropped_future_loses_no_message_and_no_attempt() {
    each_engine(|Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        let mut context = Context::from_waker(Waker::noop());
        {
            let mut taking = pin!(queues.take_async("q", None, &stop));
            assert!(taking.as_mut().poll(&mut context).is_pending());
            let mut claiming = pin!(queues.claim_async("q", seconds(9), None, &stop));
            assert!(claiming.as_mut().poll(&mut context).is_pending());
            add(queues, "q", 1);
            add(queues, "q", 2);
            assert_eq!(queues.status("q").unwrap().unwrap().ready, 0);
        }
        let first = claim(queues, "q", 9).unwrap();
        assert_eq!((first.message, first.attempt), (json!(1), 1));
        let second = claim(queues, "q", 9).unwrap();
        assert_eq!((second.message, second.attempt), (json!(2), 1));
    });
}

#[test]
fn remove_purge_and_delete_take_out_what_they_say() {
    each_engine(|Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        for number in 1..=4 {
            add(queues, "q", number);
        }
        queues.add("q", json!(5), &AddOptions { delay: seconds(9), ..AddOptions::default() }, &stop).unwrap();
        let held = claim(queues, "q", 10).unwrap();
        assert!(queues.remove("q", "#3").unwrap());
        assert!(queues.remove("q", "#5").unwrap());
        assert!(!queues.remove("q", "#3").unwrap());
        assert!(!queues.remove("q", &held.id.to_string()).unwrap());
        assert_eq!(queues.purge("q").unwrap(), 2);
        queues.ack("q", &held.id.to_string(), None).unwrap();
        assert!(queues.delete("q").unwrap());
        assert!(!queues.delete("q").unwrap());
        assert_eq!(queues.count("q").unwrap(), None);
    });
}

#[test]
fn a_late_ack_never_meets_a_message_of_a_later_queue_of_the_same_name() {
    each_engine(|Store { shared, .. }| {
        let queues = shared.messagequeue();
        add(queues, "q", "old");
        let old = claim(queues, "q", 10).unwrap();
        queues.delete("q").unwrap();
        add(queues, "q", "new");
        claim(queues, "q", 10).unwrap();
        assert_eq!(queues.ack("q", &old.id.to_string(), Some(old.attempt)).unwrap_err().code(), "claim_lost");
        assert_eq!(queues.count("q").unwrap(), Some(1));
    });
}

#[test]
fn who_waits_for_a_deleted_queue_gets_the_messages_of_the_next() {
    each_engine(|Store { shared, .. }| {
        let queues = shared.messagequeue();
        let other = shared.clone();
        let waiter = std::thread::spawn(move || other.messagequeue().take("q", None, &Stop::new()));
        until(|| queues.status("q").unwrap().is_some_and(|status| status.consumers_waiting == 1));
        queues.delete("q").unwrap();
        add(queues, "q", 1);
        assert_eq!(waiter.join().unwrap().unwrap().unwrap().message, json!(1));
    });
}

#[test]
fn messages_past_the_value_cap_and_more_waiters_than_the_limit_are_refused() {
    let limits = Limits { value_bytes_max: 10, waiters_max: 0, ..Limits::default() };
    each_engine_with(limits, |Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        let large = queues.add("q", json!("x".repeat(9)), &AddOptions::default(), &stop);
        assert_eq!(large.unwrap_err().code(), "too_large");
        assert_eq!(queues.take("q", None, &stop).unwrap_err().code(), "too_many");
    });
}
