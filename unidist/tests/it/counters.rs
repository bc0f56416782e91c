//! `sharedcounter`.

use crate::common::{each_engine, each_engine_with};
use unidist::{Error, Limits};

#[test]
fn a_new_counter_is_0_and_reading_does_not_create_it() {
    each_engine(|store| {
        let counters = store.shared.sharedcounter();
        assert_eq!(counters.get("n").unwrap(), 0);
        assert!(counters.all().unwrap().is_empty());
    });
}

#[test]
fn the_functions_return_the_value_before_or_after_as_they_say() {
    each_engine(|store| {
        let counters = store.shared.sharedcounter();
        assert_eq!(counters.get_increment("n", 1).unwrap(), 0);
        assert_eq!(counters.increment("n", 5).unwrap(), 6);
        assert_eq!(counters.get_set("n", 1).unwrap(), 6);
        assert_eq!(counters.increment("n", -3).unwrap(), -2);
        assert_eq!(counters.decrement("n", 2).unwrap(), -4);
        assert_eq!(counters.set("n", 9).unwrap(), 9);
        assert_eq!(counters.get("n").unwrap(), 9);
    });
}

#[test]
fn a_change_past_the_range_is_an_error_and_changes_nothing() {
    each_engine(|store| {
        let counters = store.shared.sharedcounter();
        counters.set("high", i64::MAX).unwrap();
        counters.set("low", i64::MIN).unwrap();
        assert_eq!(counters.increment("high", 1).unwrap_err().code(), "overflow");
        assert_eq!(counters.get_increment("low", -1).unwrap_err().code(), "overflow");
        assert_eq!(counters.decrement("low", 1).unwrap_err().code(), "overflow");
        assert_eq!(counters.decrement("none", i64::MIN).unwrap_err().code(), "overflow");
        assert_eq!((counters.get("high").unwrap(), counters.get("low").unwrap()), (i64::MAX, i64::MIN));
    });
}

#[test]
fn a_deleted_counter_is_0_and_not_listed() {
    each_engine(|store| {
        let counters = store.shared.sharedcounter();
        counters.set("n", 3).unwrap();
        assert!(counters.delete("n").unwrap());
        assert!(!counters.delete("n").unwrap());
        assert_eq!(counters.get("n").unwrap(), 0);
        assert!(counters.all().unwrap().is_empty());
    });
}

#[test]
fn all_lists_every_counter_sorted() {
    each_engine(|store| {
        let counters = store.shared.sharedcounter();
        for (name, value) in [("b", 2), ("a", 1), ("ü", 3)] {
            counters.set(name, value).unwrap();
        }
        let all: Vec<(String, i64)> = counters.all().unwrap().into_iter().collect();
        assert_eq!(all, [("a".to_owned(), 1), ("b".to_owned(), 2), ("ü".to_owned(), 3)]);
    });
}

#[test]
fn more_names_than_the_limit_are_refused_and_a_deleted_one_makes_room() {
    each_engine_with(Limits { names_max: 2, ..Limits::default() }, |store| {
        let counters = store.shared.sharedcounter();
        counters.increment("a", 1).unwrap();
        counters.increment("b", 1).unwrap();
        assert!(matches!(counters.increment("c", 1), Err(Error::TooMany { max: 2, .. })));
        assert_eq!(counters.increment("a", 1).unwrap(), 2);
        counters.delete("a").unwrap();
        assert_eq!(counters.increment("c", 1).unwrap(), 1);
    });
}
