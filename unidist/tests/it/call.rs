//! Every function by name.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};

use crate::common::{Store, each_engine, polled_until_ready};
use unidist::{Error, Unidist};

/// For calls that answer without waiting.
fn call(shared: &Unidist, name: &str, args: Value) -> Result<Value, Error> {
    let args: Vec<Value> = args.as_array().cloned().unwrap_or_default();
    let mut future = pin!(unidist::call(shared, name, &args, "block 1"));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("{name} waits"),
    }
}

#[test]
fn counters_by_name() {
    each_engine(|Store { shared, .. }| {
        let call = |name: &str, args| call(&shared, name, args).unwrap();
        assert_eq!(call("sharedcounter.increment", json!(["n"])), json!(1));
        assert_eq!(call("sharedcounter.increment", json!(["n", 5.0])), json!(6));
        assert_eq!(call("sharedcounter.get_set", json!(["n", 1])), json!(6));
        assert_eq!(call("sharedcounter.all", json!([])), json!({"n": 1}));
        assert_eq!(call("sharedcounter.delete", json!(["n"])), json!(true));
    });
}

#[test]
fn changes_of_counters_and_queues_by_name_go_on_from_a_snapshot() {
    each_engine(|Store { shared, .. }| {
        let call = |name: &str, args| call(&shared, name, args).unwrap();
        call("sharedcounter.set", json!(["n", 1]));
        let snapshot = call("sharedcounter.snapshot", json!([]));
        assert_eq!(snapshot["values"], json!({"n": 1}));
        call("sharedcounter.increment", json!(["n"]));
        call("sharedcounter.increment", json!(["other"]));
        let changes = call("sharedcounter.changes", json!([snapshot["revision"], {"name": "n"}]));
        assert_eq!(changes["events"].as_array().unwrap().len(), 1);
        assert_eq!((&changes["events"][0]["name"], &changes["events"][0]["value"]), (&json!("n"), &json!(2)));
        let after = call("sharedcounter.changes", json!([changes["revision"]]));
        assert_eq!(after["events"], json!([]));

        let snapshot = call("messagequeue.snapshot", json!(["q"]));
        assert_eq!(snapshot["status"], Value::Null);
        call("messagequeue.add", json!(["q", "m"]));
        let changes = call("messagequeue.changes", json!([snapshot["revision"], {"prefix": "q"}]));
        let event = &changes["events"][0];
        assert_eq!((&event["change"], &event["id"], &event["count"]), (&json!("added"), &json!("#1"), &json!(1)));
    });
}

#[test]
fn a_change_by_name_carries_the_number_of_a_lock() {
    each_engine(|Store { shared, .. }| {
        for (name, args) in [
            ("sharedcounter.increment", vec![json!("n")]),
            ("sharedstate.set", vec![json!("b"), json!("k"), json!(1)]),
            ("messagequeue.add", vec![json!("q"), json!(1)]),
            ("sharedlog.append", vec![json!("log"), json!(1)]),
        ] {
            let number = call(&shared, "sharedlock.acquire", json!([name])).unwrap();
            let later = json!(number.as_u64().unwrap() + 1);
            let fence = |number: &Value| json!({"fence": {"lock": name, "number": number}});
            let with = |number: &Value| Value::Array(args.iter().cloned().chain([fence(number)]).collect());
            call(&shared, name, with(&number)).unwrap();
            call(&shared, name, with(&later)).unwrap();
            assert_eq!(call(&shared, name, with(&number)).unwrap_err().code(), "stale");
        }
    });
}

#[test]
fn locks_by_name_are_the_callers_and_a_busy_one_is_false() {
    each_engine(|Store { shared, .. }| {
        assert_eq!(call(&shared, "sharedlock.acquire", json!(["l", {"lease": 2.5}])).unwrap(), json!(1));
        assert_eq!(call(&shared, "sharedlock.holder", json!(["l"])).unwrap()["owner"], json!("block 1"));
        assert_eq!(call(&shared, "sharedlock.remaining", json!(["l"])).unwrap(), json!(2.5));
        let other = json!(["l", {"owner": "other", "wait": 0}]);
        assert_eq!(call(&shared, "sharedlock.acquire", other).unwrap(), json!(false));
        let error = call(&shared, "sharedlock.release", json!(["l", {"owner": "other"}])).unwrap_err();
        assert_eq!(error.code(), "not_holder");
        assert_eq!(call(&shared, "sharedlock.release", json!(["l"])).unwrap(), json!(true));
        assert_eq!(call(&shared, "sharedlock.release", json!(["l"])).unwrap_err().code(), "not_found");
        call(&shared, "sharedlock.acquire", json!(["m"])).unwrap();
        assert_eq!(call(&shared, "sharedlock.release_all", json!([])).unwrap(), json!(1));
    });
}

#[test]
fn a_mapping_is_a_value_where_a_value_stands_and_options_after_it() {
    each_engine(|Store { shared, .. }| {
        call(&shared, "sharedstate.set", json!(["b", "k", {"time_to_live": "mine"}])).unwrap();
        assert_eq!(call(&shared, "sharedstate.get", json!(["b", "k"])).unwrap(), json!({"time_to_live": "mine"}));
        call(&shared, "sharedstate.set", json!(["b", "k", {}, {"time_to_live": 9}])).unwrap();
        assert_eq!(call(&shared, "sharedstate.entry", json!(["b", "k"])).unwrap()["remaining"], json!(9.0));
        assert_eq!(call(&shared, "sharedstate.get", json!(["b", "x", {"d": 1}])).unwrap(), json!({"d": 1}));
        assert_eq!(call(&shared, "sharedstate.get", json!(["b", "x", null])).unwrap(), Value::Null);
        assert_eq!(call(&shared, "sharedstate.get", json!(["b", "x"])).unwrap_err().code(), "not_found");
        assert_eq!(call(&shared, "sharedstate.get_set", json!(["b", "x", 1, "new"])).unwrap(), json!("new"));
        assert_eq!(call(&shared, "sharedstate.get_set", json!(["b", "x", 2, "new"])).unwrap(), json!(1));
        let found = call(&shared, "sharedstate.search", json!(["2", {"key": "^X"}])).unwrap();
        assert_eq!(found, json!([{"bucket": "b", "key": "x", "value": 2}]));
    });
}

#[test]
fn changes_by_name_go_on_from_the_revision_they_return() {
    each_engine(|Store { shared, .. }| {
        let start = call(&shared, "sharedstate.changes", json!([])).unwrap();
        assert_eq!(start, json!({"events": [], "revision": 0}));
        call(&shared, "sharedstate.set", json!(["b", "k", 1])).unwrap();
        call(&shared, "sharedstate.set", json!(["other", "k", 2])).unwrap();
        let changes = call(&shared, "sharedstate.changes", json!([0, {"bucket": "b"}])).unwrap();
        let event = json!({"bucket": "b", "key": "k", "revision": 1, "change": "set", "value": 1});
        assert_eq!(changes, json!({"events": [event], "revision": 2}));
        let changes = call(&shared, "sharedstate.changes", json!([2])).unwrap();
        assert_eq!(changes["events"], json!([]));
    });
}

#[test]
fn queues_by_name() {
    each_engine(|Store { shared, .. }| {
        let call = |name: &str, args| call(&shared, name, args);
        let options = json!({"attempts_max": 1, "length_max": 2, "when_full": "drop oldest"});
        call("messagequeue.configure", json!(["q", options])).unwrap();
        assert_eq!(call("messagequeue.add", json!(["q", {"a": 1}])).unwrap(), json!({"id": "#1", "is_new": true}));
        call("messagequeue.add", json!(["q", 2, {"priority": 1, "id": "two"}])).unwrap();
        let claim = call("messagequeue.claim", json!(["q", {"lease": 5}])).unwrap();
        assert_eq!((&claim["id"], &claim["attempt"]), (&json!("two"), &json!(1)));
        call("messagequeue.extend", json!(["q", "two", 60, {"attempt": 1}])).unwrap();
        call("messagequeue.fail", json!(["q", "two", "broken"])).unwrap();
        assert_eq!(call("messagequeue.take", json!(["q.dead"])).unwrap()["message"]["reasons"], json!(["broken"]));
        assert_eq!(call("messagequeue.take", json!(["q"])).unwrap()["message"], json!({"a": 1}));
        assert_eq!(call("messagequeue.take", json!(["q"])).unwrap(), Value::Null);
        assert_eq!(call("messagequeue.count", json!(["q"])).unwrap(), json!(0));
        assert_eq!(call("messagequeue.count", json!(["none"])).unwrap(), Value::Null);
        let error = call("messagequeue.configure", json!(["q", {"when_full": "explode"}])).unwrap_err();
        assert!(error.to_string().contains("drop oldest, reject or wait"), "{error}");
    });
}

#[test]
fn logs_by_name() {
    each_engine(|Store { shared, .. }| {
        assert_eq!(call(&shared, "sharedlog.append", json!(["l", {"a": 1}])).unwrap(), json!(0));
        let page = call(&shared, "sharedlog.read", json!(["l", 0, {"limit": 5, "wait": 10}])).unwrap();
        assert_eq!((&page["next"], &page["entries"][0]["value"]), (&json!(1), &json!({"a": 1})));
        assert_eq!(call(&shared, "sharedlog.status", json!(["l"])).unwrap()["count"], json!(1));
    });
}

#[test]
fn a_wait_by_name_ends_with_what_it_waits_for() {
    each_engine(|Store { shared, .. }| {
        let args = [json!("q"), json!({"wait": null})];
        let mut context = Context::from_waker(Waker::noop());
        let mut taking = pin!(unidist::call(&shared, "messagequeue.take", &args, "block 1"));
        assert!(taking.as_mut().poll(&mut context).is_pending());
        call(&shared, "messagequeue.add", json!(["q", "late"])).unwrap();
        let message = polled_until_ready(taking, &mut context).unwrap();
        assert_eq!(message["message"], json!("late"));
        let args = [json!("l"), json!(0), json!({"wait": 60})];
        let mut reading = pin!(unidist::call(&shared, "sharedlog.read", &args, "block 1"));
        assert!(reading.as_mut().poll(&mut context).is_pending());
        call(&shared, "sharedlog.append", json!(["l", "entry"])).unwrap();
        let page = polled_until_ready(reading, &mut context).unwrap();
        assert_eq!(page["entries"][0]["value"], json!("entry"));
    });
}

#[test]
fn mistakes_are_named_with_what_would_be_right() {
    each_engine(|Store { shared, .. }| {
        for (name, args, expected) in [
            ("sharedcounter.incremnt", json!([]), "sharedcounter has all, changes, decrement, delete"),
            ("counter.increment", json!([]), "the modules are messagequeue"),
            ("", json!([]), "the modules are"),
            ("sharedcounter.increment", json!([]), "the argument name is missing: (name, by?, {fence})"),
            ("sharedcounter.increment", json!([7]), "name must be text, found 7"),
            ("sharedcounter.increment", json!(["n", "5"]), "by must be a whole number in 64 bits, found \"5\""),
            ("sharedcounter.increment", json!(["n", 0.5]), "by must be a whole number in 64 bits, found 0.5"),
            ("sharedcounter.increment", json!(["n", 1, 2]), "takes at most 2 arguments (name, by?, {fence}), found 3"),
            ("sharedcounter.increment", json!(["n", {"by": 2}]), "there is no option \"by\"; the options are fence"),
            ("sharedlock.acquire", json!(["l", {"timeout": 2}]), "the options are wait, lease, owner, permits, rank"),
            ("sharedlock.acquire", json!(["l", {"wait": -1}]), "wait must be a number of seconds from 0 on"),
            ("sharedlock.acquire", json!(["l", {"wait": "5s"}]), "wait must be a number of seconds from 0 on"),
            ("sharedlock.acquire", json!(["l", {"permits": 1e99}]), "permits must be a whole number in its range"),
            ("sharedlock.acquire", json!(["l", {"owner": ""}]), "the owner name \"\" is empty"),
            ("sharedcounter.all", json!([{"by": 2}]), "takes no options, found the option \"by\""),
            ("sharedcounter.set", json!(["n", 1, {"fence": 7}]), "fence must be {lock, number}: a lock's name"),
            ("sharedcounter.set", json!(["n", 1, {"fence": {"lock": "l", "number": 0}}]), "under the number 0"),
            ("sharedstate.set", json!(["b", "k"]), "the argument value is missing"),
        ] {
            let error = call(&shared, name, args).unwrap_err();
            assert!(error.to_string().contains(expected), "{name}: {error}");
        }
    });
}

#[test]
fn hostile_arguments_are_errors_or_answers_and_never_a_panic() {
    let odd = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("\0"),
        json!("x"),
        json!("x".repeat(600)),
        json!([[]]),
        json!({}),
        json!({"wait": 0}),
        json!({"lease": 1e300, "wait": 0}),
    ];
    each_engine(|Store { shared, .. }| {
        for spec in unidist::call::FUNCTIONS {
            for first in &odd {
                for second in &odd {
                    for args in [
                        vec![first],
                        vec![first, second],
                        vec![first, first, second],
                        vec![first, first, second, second],
                    ] {
                        let args: Vec<Value> = args.into_iter().cloned().collect();
                        let mut future = pin!(unidist::call(&shared, spec.name, &args, "block 1"));
                        let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    }
                }
            }
        }
    });
}
