//! `sharedstate`.

use serde_json::{Value, json};

use crate::common::{Store, each_engine, each_engine_with, seconds};
use unidist::{Compared, Error, Limits, Search, SetOptions};

fn living(time: u64) -> SetOptions {
    SetOptions { time_to_live: Some(seconds(time)) }
}

#[test]
fn get_set_tells_a_new_key_from_one_that_is_null() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        assert_eq!(state.get_set("b", "k", Value::Null).unwrap(), None);
        assert_eq!(state.get_set("b", "k", json!(1)).unwrap(), Some(Value::Null));
        assert_eq!(state.get_set("b", "k", json!(2)).unwrap(), Some(json!(1)));
    });
}

#[test]
fn a_key_of_a_missing_bucket_does_not_exist() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        assert!(!state.exists("none", "k").unwrap());
        assert_eq!(state.get("none", "k").unwrap(), None);
        assert!(state.bucket("none").unwrap().entries.is_empty());
        assert!(state.keys("none").unwrap().is_empty());
        assert_eq!(state.remove("none", "k").unwrap(), None);
    });
}

#[test]
fn a_default_is_returned_and_not_stored() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        assert_eq!(state.get_or("b", "k", json!("d")).unwrap(), json!("d"));
        assert!(!state.exists("b", "k").unwrap());
        state.set("b", "k", json!(1)).unwrap();
        assert_eq!(state.get_or("b", "k", json!("d")).unwrap(), json!(1));
    });
}

#[test]
fn set_if_missing_writes_once() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        let plain = SetOptions::default();
        assert!(state.set_if_missing("b", "k", json!(1), &plain).unwrap());
        assert!(!state.set_if_missing("b", "k", json!(2), &plain).unwrap());
        assert_eq!(state.get("b", "k").unwrap(), Some(json!(1)));
    });
}

#[test]
fn compare_and_set_writes_only_on_the_revision_that_is_there() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        let Compared::Set(first, ()) = state.compare_and_set("b", "k", 0, json!(1)).unwrap() else { panic!() };
        assert_eq!(state.compare_and_set("b", "k", 0, json!(2)).unwrap(), Compared::Differs(first));
        let Compared::Set(second, ()) = state.compare_and_set("b", "k", first, json!(3)).unwrap() else { panic!() };
        assert!(second > first);
        assert_eq!(state.compare_and_set("b", "k", first, json!(4)).unwrap(), Compared::Differs(second));
        state.remove("b", "k").unwrap();
        assert_eq!(state.compare_and_set("b", "k", second, json!(5)).unwrap(), Compared::Differs(0));
        assert_eq!(state.get("b", "k").unwrap(), None);
    });
}

#[test]
fn compare_and_remove_removes_only_the_revision_that_is_there() {
    each_engine(|store| {
        let state = store.shared.sharedstate();
        for revision in [0, 1] {
            assert_eq!(state.compare_and_remove("b", "k", revision).unwrap(), Compared::Differs(0));
        }
        let first = state.set("b", "k", json!(1)).unwrap();
        let second = state.set("b", "k", json!(null)).unwrap();
        for revision in [0, first, second + 1] {
            assert_eq!(state.compare_and_remove("b", "k", revision).unwrap(), Compared::Differs(second));
        }
        let Compared::Set(third, value) = state.compare_and_remove("b", "k", second).unwrap() else { panic!() };
        assert_eq!((third > second, value), (true, json!(null)));
        assert!(!state.exists("b", "k").unwrap());
        assert_eq!(state.compare_and_remove("b", "k", second).unwrap(), Compared::Differs(0));
        assert!(state.set("b", "k", json!(2)).unwrap() > third);
        let options = SetOptions { time_to_live: Some(seconds(1)) };
        let dying = state.set_with("b", "gone", json!(1), &options).unwrap();
        store.advance(1.0);
        assert_eq!(state.compare_and_remove("b", "gone", dying).unwrap(), Compared::Differs(0));
        assert_eq!(state.compare_and_remove("", "k", 1).unwrap_err().code(), "bad_argument");
    });
}

#[test]
fn of_many_that_remove_one_revision_one_does() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        for _ in 0..20 {
            let revision = state.set("b", "k", json!(1)).unwrap();
            let removed = std::thread::scope(|scope| {
                let remove = || matches!(state.compare_and_remove("b", "k", revision).unwrap(), Compared::Set(..));
                let all: Vec<_> = (0..4).map(|_| scope.spawn(remove)).collect();
                all.into_iter().map(|thread| thread.join().unwrap()).filter(|removed| *removed).count()
            });
            assert_eq!(removed, 1);
        }
    });
}

#[test]
fn compare_and_set_with_a_time_to_live_sets_both_or_neither() {
    each_engine(|store| {
        let state = store.shared.sharedstate();
        let brief = SetOptions { time_to_live: Some(seconds(2)) };
        let longer = SetOptions { time_to_live: Some(seconds(10)) };
        let set = |revision, value, options| match state.compare_and_set_with("b", "k", revision, (value, options)) {
            Ok(Compared::Set(revision, ())) => revision,
            other => panic!("{other:?}"),
        };
        let first = set(0, json!(1), &longer);
        let second = set(first, json!(2), &brief);
        // One that does not fit leaves value and time to live as they are.
        let late = state.compare_and_set_with("b", "k", first, (json!(3), &longer)).unwrap();
        assert_eq!(late, Compared::Differs(second));
        store.advance(1.0);
        assert_eq!(state.entry("b", "k").unwrap().unwrap().remaining, Some(seconds(1)));
        store.advance(1.0);
        assert_eq!(state.get("b", "k").unwrap(), None);
        assert_eq!(state.compare_and_set("b", "k", second, json!(4)).unwrap(), Compared::Differs(0));
        let again = set(0, json!(5), &brief);
        set(again, json!(6), &SetOptions::default());
        store.advance(3.0);
        assert_eq!(state.get("b", "k").unwrap(), Some(json!(6)));
    });
}

#[test]
fn buckets_exist_while_they_have_keys_and_list_sorted() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        for (bucket, key) in [("b", "2"), ("b", "1"), ("a", "x")] {
            state.set(bucket, key, json!(key)).unwrap();
        }
        assert_eq!(state.buckets().unwrap(), ["a", "b"]);
        assert_eq!(state.keys("b").unwrap(), ["1", "2"]);
        assert_eq!(state.remove("a", "x").unwrap(), Some(json!("x")));
        assert_eq!(state.buckets().unwrap(), ["b"]);
        assert_eq!(state.remove_bucket("b").unwrap(), 2);
        assert!(state.buckets().unwrap().is_empty());
    });
}

#[test]
fn what_was_read_does_not_change_under_the_reader() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        state.set("b", "k", json!({"n": 1})).unwrap();
        let bucket = state.bucket("b").unwrap();
        state.set("b", "k", json!({"n": 2})).unwrap();
        assert_eq!(*bucket.entries["k"].value, json!({"n": 1}));
    });
}

#[test]
fn a_key_is_gone_at_the_end_of_its_time_to_live() {
    each_engine(|store| {
        let state = store.shared.sharedstate();
        state.set_with("b", "k", json!(1), &living(10)).unwrap();
        store.advance(9.0);
        assert_eq!(state.entry("b", "k").unwrap().unwrap().remaining, Some(seconds(1)));
        store.advance(1.0);
        assert!(!state.exists("b", "k").unwrap());
        assert!(state.keys("b").unwrap().is_empty());
        assert!(state.buckets().unwrap().is_empty());
        assert_eq!(state.get_set("b", "k", json!(2)).unwrap(), None);
    });
}

#[test]
fn a_write_sets_the_time_to_live_anew_and_one_without_ends_it() {
    each_engine(|store| {
        let state = store.shared.sharedstate();
        state.set_with("b", "renewed", json!(1), &living(10)).unwrap();
        state.set_with("b", "kept", json!(1), &living(10)).unwrap();
        store.advance(6.0);
        state.set_with("b", "renewed", json!(2), &living(10)).unwrap();
        state.set("b", "kept", json!(2)).unwrap();
        store.advance(6.0);
        assert_eq!(state.keys("b").unwrap(), ["kept", "renewed"]);
        store.advance(4.0);
        assert_eq!(state.keys("b").unwrap(), ["kept"]);
    });
}

#[test]
fn search_finds_text_in_values_whatever_the_case_to_a_depth_of_10() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        let nested = |depth| (0..depth).fold(json!("Ohio"), |value, _| json!([value]));
        state.set("hosts", "web1", json!({"city": "Columbus, OHIO"})).unwrap();
        state.set("hosts", "ohio", json!({"ohio": "keys of mappings do not count"})).unwrap();
        state.set("deep", "10", nested(10)).unwrap();
        state.set("deep", "11", nested(11)).unwrap();
        state.set("kinds", "number", json!(4217)).unwrap();
        let find = |pattern: &str, bucket: Option<&str>, key: Option<&str>| -> Vec<String> {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let search = Search { pattern: pattern.to_owned(), bucket: text(bucket), key: text(key) };
            state.search(&search).unwrap().iter().map(|entry| format!("{}/{}", entry.bucket, entry.key)).collect()
        };
        assert_eq!(find("ohio", None, None), ["deep/10", "hosts/web1"]);
        assert_eq!(find("ohio", Some("^HOSTS$"), None), ["hosts/web1"]);
        assert_eq!(find("ohio", None, Some("^1")), ["deep/10"]);
        assert_eq!(find("^42", None, None), ["kinds/number"]);
        assert!(find("nowhere", None, None).is_empty());
    });
}

#[test]
fn a_bad_or_monstrous_pattern_is_an_error_on_one_line() {
    each_engine(|Store { shared, .. }| {
        for pattern in ["(", "a{1000}{1000}{1000}"] {
            let search = Search { pattern: pattern.to_owned(), ..Search::default() };
            let error = shared.sharedstate().search(&search).unwrap_err();
            assert_eq!(error.code(), "bad_argument");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    });
}

#[test]
fn names_that_look_alike_as_paths_do_not_collide() {
    each_engine(|Store { shared, .. }| {
        let state = shared.sharedstate();
        let keys = ["a/b", "a_b", "a.b", "a b", "A/B", "ä/b"];
        for (number, key) in keys.iter().enumerate() {
            state.set("b", key, json!(number)).unwrap();
        }
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(state.get("b", key).unwrap(), Some(json!(number)), "{key}");
        }
    });
}

#[test]
fn values_to_the_cap_are_kept_whole_and_larger_or_deeper_ones_refused() {
    let limits = Limits { value_bytes_max: 1_000, names_max: 2, ..Limits::default() };
    each_engine_with(limits, |Store { shared, .. }| {
        let state = shared.sharedstate();
        let largest = json!("x".repeat(998));
        state.set("b", "k", largest.clone()).unwrap();
        assert_eq!(state.get("b", "k").unwrap(), Some(largest));
        let error = state.set("b", "k", json!("x".repeat(999))).unwrap_err();
        assert_eq!(error.code(), "too_large");
        assert!(error.to_string().contains("1000"), "{error}");
        let deep = (0..200).fold(json!(0), |value, _| json!([value]));
        assert_eq!(state.set("b", "k", deep).unwrap_err().code(), "too_large");
        state.set("b", "two", json!("")).unwrap();
        assert!(matches!(state.set("b", "three", json!(0)), Err(Error::TooMany { .. })));
    });
}

#[test]
fn a_day_of_expiry_leaves_nothing_behind() {
    each_engine(|store| {
        let state = store.shared.sharedstate();
        for second in 0..24 * 360 {
            state.set_with("sessions", &format!("s{second}"), json!(second), &living(60)).unwrap();
            store.advance(10.0);
        }
        assert_eq!(state.keys("sessions").unwrap().len(), 5);
    });
}
