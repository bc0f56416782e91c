//! `sharedlock`, within one store.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::common::{AT_ONCE, Store, each_engine, each_engine_with, polled_until_ready, seconds, until};
use unidist::{AcquireOptions, Error, Limits, Owner, Stop};

fn once() -> AcquireOptions {
    AcquireOptions { wait: AT_ONCE, ..AcquireOptions::default() }
}

fn for_ever() -> AcquireOptions {
    AcquireOptions::default()
}

fn leased(lease: u64) -> AcquireOptions {
    AcquireOptions { lease: Some(seconds(lease)), ..once() }
}

fn owner(name: &str) -> Owner {
    Owner::named(name).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_free_lock_is_had_and_a_held_one_is_busy_and_says_by_whom() {
    each_engine(|Store { shared, .. }| {
        let (locks, stop) = (shared.sharedlock(), Stop::new());
        locks.acquire_as("deploy", &owner("backup"), &once(), &stop).unwrap();
        assert!(locks.is_locked("deploy").unwrap());
        let error = locks.acquire("deploy", &once(), &stop).unwrap_err();
        assert_eq!(error.code(), "busy");
        assert!(error.to_string().contains("backup"), "{error}");
    });
}

#[test]
fn a_wait_with_a_limit_ends_after_it() {
    each_engine(|store| {
        let shared = store.shared.clone();
        let _guard = store.shared.sharedlock().acquire("l", &once(), &Stop::new()).unwrap();
        let waiter = std::thread::spawn(move || {
            let options = AcquireOptions { wait: Some(Duration::from_millis(500)), ..for_ever() };
            shared.sharedlock().acquire("l", &options, &Stop::new()).map(|_| ())
        });
        until(|| store.shared.sharedlock().waiting("l").unwrap() == 1);
        store.advance(0.4);
        assert!(!waiter.is_finished());
        // Until the waiter has set its deadline, the clock must go on.
        until(|| {
            store.advance(0.2);
            waiter.is_finished()
        });
        assert_eq!(waiter.join().unwrap().unwrap_err().code(), "busy");
        assert_eq!(store.shared.sharedlock().waiting("l").unwrap(), 0);
    });
}

#[test]
fn a_stop_ends_a_wait() {
    each_engine(|Store { shared, .. }| {
        let stop = Stop::new();
        let _guard = shared.sharedlock().acquire("l", &once(), &stop).unwrap();
        let (other, other_stop) = (shared.clone(), stop.clone());
        let waiter = std::thread::spawn(move || other.sharedlock().acquire("l", &for_ever(), &other_stop).map(|_| ()));
        until(|| shared.sharedlock().waiting("l").unwrap() == 1);
        stop.request();
        assert_eq!(waiter.join().unwrap().unwrap_err().code(), "stopped");
    });
}

#[test]
fn a_dropped_guard_frees_the_lock() {
    each_engine(|Store { shared, .. }| {
        let (locks, stop) = (shared.sharedlock(), Stop::new());
        let guard = locks.acquire("l", &once(), &stop).unwrap();
        assert!(guard.is_held());
        drop(guard);
        assert!(!locks.is_locked("l").unwrap());
        locks.acquire("l", &once(), &stop).unwrap().release().unwrap();
        assert!(!locks.is_locked("l").unwrap());
    });
}

#[test]
fn release_of_an_unknown_lock_says_that_it_does_not_exist() {
    each_engine(|Store { shared, .. }| {
        let locks = shared.sharedlock();
        let error = locks.release("nothing", &owner("a")).unwrap_err();
        assert_eq!(error.code(), "not_found");
        assert!(error.to_string().contains("does not exist"), "{error}");
        assert!(!locks.is_locked("nothing").unwrap());
        locks.acquire_as("was", &owner("a"), &once(), &Stop::new()).unwrap();
        locks.release("was", &owner("a")).unwrap();
        assert_eq!(locks.release("was", &owner("a")).unwrap_err().code(), "not_found");
    });
}

#[test]
fn release_by_another_owner_is_not_the_holder() {
    each_engine(|Store { shared, .. }| {
        let locks = shared.sharedlock();
        locks.acquire_as("l", &owner("a"), &once(), &Stop::new()).unwrap();
        let error = locks.release("l", &owner("b")).unwrap_err();
        assert!(error.to_string().starts_with("not the holder"), "{error}");
        assert!(locks.is_locked("l").unwrap());
    });
}

#[test]
fn a_lock_in_an_owners_name_may_be_released_by_whoever_speaks_in_that_name() {
    each_engine(|Store { shared, .. }| {
        let other = shared.clone();
        std::thread::spawn(move || {
            other.sharedlock().acquire_as("l", &owner("deploy 7"), &once(), &Stop::new()).unwrap();
        })
        .join()
        .unwrap();
        assert!(shared.sharedlock().is_locked("l").unwrap());
        shared.sharedlock().release("l", &owner("deploy 7")).unwrap();
        assert!(!shared.sharedlock().is_locked("l").unwrap());
    });
}

#[test]
fn acquiring_again_as_the_same_owner_is_an_error_instead_of_a_deadlock() {
    each_engine(|Store { shared, .. }| {
        let (locks, stop) = (shared.sharedlock(), Stop::new());
        locks.acquire_as("l", &owner("a"), &for_ever(), &stop).unwrap();
        let error = locks.acquire_as("l", &owner("a"), &for_ever(), &stop).unwrap_err();
        assert_eq!(error.code(), "reentrant");
        assert!(error.to_string().contains("already holds"), "{error}");
    });
}

#[test]
fn force_release_frees_whoever_holds_and_says_who_it_was() {
    each_engine(|Store { shared, .. }| {
        let (locks, stop) = (shared.sharedlock(), Stop::new());
        let guard = locks.acquire("l", &once(), &stop).unwrap();
        let released = locks.force_release("l").unwrap();
        assert_eq!((released.len(), released[0].fence), (1, guard.fence()));
        assert!(!guard.is_held());
        assert_eq!(locks.force_release("l").unwrap_err().code(), "not_found");
        assert!(guard.release().is_err());
    });
}

#[test]
fn find_all_locked_is_sorted_with_holder_and_age() {
    each_engine(|store| {
        let (locks, stop) = (store.shared.sharedlock(), Stop::new());
        locks.acquire_as("b", &owner("one"), &once(), &stop).unwrap();
        store.advance(3.0);
        locks.acquire_as("a", &owner("two"), &leased(10), &stop).unwrap();
        store.advance(1.0);
        let all = locks.find_all_locked().unwrap();
        let seen: Vec<_> = all.iter().map(|info| (&*info.name, &*info.owner, info.age, info.remaining)).collect();
        assert_eq!(seen, [("a", "two", seconds(1), Some(seconds(9))), ("b", "one", seconds(4), None)]);
        assert_eq!(locks.remaining("a").unwrap(), Some(seconds(9)));
        assert_eq!(locks.remaining("b").unwrap(), None);
    });
}

#[test]
fn a_lease_ends_the_lock_by_itself_and_at_its_time() {
    each_engine(|store| {
        let (locks, stop) = (store.shared.sharedlock(), Stop::new());
        let guard = locks.acquire("l", &leased(2), &stop).unwrap();
        store.advance(1.999);
        assert!(guard.is_held());
        store.advance(0.001);
        assert!(!guard.is_held());
        assert!(!locks.is_locked("l").unwrap());
        drop(locks.acquire("l", &once(), &stop).unwrap());
    });
}

#[test]
fn a_lease_that_ends_gives_the_lock_to_who_waits_for_it() {
    each_engine(|store| {
        let stop = Stop::new();
        let first = store.shared.sharedlock().acquire("l", &leased(1), &stop).unwrap();
        let shared = store.shared.clone();
        let waiter = std::thread::spawn(move || shared.sharedlock().acquire("l", &for_ever(), &Stop::new()));
        until(|| store.shared.sharedlock().waiting("l").unwrap() == 1);
        store.advance(1.0);
        let second = waiter.join().unwrap().unwrap();
        assert!(second.fence() > first.fence());
        // The late release of the first holder does not free the second one's lock.
        assert_eq!(first.release().unwrap_err().code(), "not_holder");
        assert!(second.is_held());
    });
}

#[test]
fn a_late_release_in_an_owners_name_does_not_free_the_next_holders_lock() {
    each_engine(|store| {
        let (locks, stop) = (store.shared.sharedlock(), Stop::new());
        locks.acquire_as("l", &owner("a"), &leased(1), &stop).unwrap();
        store.advance(1.0);
        locks.acquire_as("l", &owner("b"), &once(), &stop).unwrap();
        assert_eq!(locks.release("l", &owner("a")).unwrap_err().code(), "not_holder");
        assert_eq!(locks.holder("l").unwrap().unwrap().owner, "b");
    });
}

#[test]
fn renewal_moves_the_end_of_the_lease_and_none_ends_the_lease() {
    each_engine(|store| {
        let (locks, stop) = (store.shared.sharedlock(), Stop::new());
        let guard = locks.acquire("l", &leased(2), &stop).unwrap();
        store.advance(1.5);
        guard.renew(Some(seconds(2))).unwrap();
        store.advance(1.5);
        assert!(guard.is_held());
        guard.renew(None).unwrap();
        store.advance(1_000.0);
        assert!(guard.is_held());
        guard.renew(Some(seconds(1))).unwrap();
        store.advance(1.0);
        assert_eq!(guard.renew(None).unwrap_err().code(), "not_found");
        locks.acquire_as("m", &owner("a"), &leased(1), &stop).unwrap();
        locks.renew("m", &owner("a"), Some(seconds(9))).unwrap();
        assert_eq!(locks.renew("m", &owner("b"), None).unwrap_err().code(), "not_holder");
        assert_eq!(locks.renew("m", &owner("a"), Some(Duration::ZERO)).unwrap_err().code(), "bad_argument");
    });
}

#[test]
fn fencing_numbers_of_a_lock_only_rise() {
    each_engine(|store| {
        let (locks, stop) = (store.shared.sharedlock(), Stop::new());
        let (mut last, mut seen) = ([0; 3], HashSet::new());
        for round in 0..300 {
            let options = if round % 2 == 0 { leased(1) } else { once() };
            let guard = locks.acquire(&format!("lock {}", round % 3), &options, &stop).unwrap();
            assert!(guard.fence() > last[round % 3]);
            assert!(seen.insert(guard.fence()), "no two locks have the same");
            last[round % 3] = guard.fence();
            if round % 2 == 0 {
                store.advance(1.0);
            }
        }
    });
}

#[test]
fn waiters_are_served_in_the_order_in_which_they_came() {
    each_engine(|Store { shared, .. }| {
        let guard = shared.sharedlock().acquire("l", &once(), &Stop::new()).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut threads = Vec::new();
        for number in 0..20 {
            let (other, sender) = (shared.clone(), sender.clone());
            threads.push(std::thread::spawn(move || {
                let guard = other.sharedlock().acquire("l", &for_ever(), &Stop::new()).unwrap();
                sender.send(number).unwrap();
                drop(guard);
            }));
            until(|| shared.sharedlock().waiting("l").unwrap() == number + 1);
        }
        drop(guard);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(receiver.try_iter().eq(0..20));
    });
}

#[test]
fn a_semaphore_has_as_many_holders_as_permits() {
    each_engine(|Store { shared, .. }| {
        let (locks, stop) = (shared.sharedlock(), Stop::new());
        let options = AcquireOptions { permits: 3, ..once() };
        let mut guards: Vec<_> = (0..3).map(|_| locks.acquire("s", &options, &stop).unwrap()).collect();
        assert_eq!(locks.acquire("s", &options, &stop).unwrap_err().code(), "busy");
        assert_eq!(locks.holders("s").unwrap().len(), 3);
        drop(guards.remove(1));
        guards.push(locks.acquire("s", &options, &stop).unwrap());
        assert_eq!(locks.acquire("s", &options, &stop).unwrap_err().code(), "busy");
    });
}

#[test]
fn permits_that_differ_from_those_in_use_and_absurd_options_are_errors() {
    each_engine(|Store { shared, .. }| {
        let (locks, stop) = (shared.sharedlock(), Stop::new());
        let permits = |permits| AcquireOptions { permits, ..once() };
        let guard = locks.acquire("s", &permits(3), &stop).unwrap();
        assert_eq!(locks.acquire("s", &permits(4), &stop).unwrap_err().code(), "bad_argument");
        drop(guard);
        drop(locks.acquire("s", &permits(4), &stop).unwrap());
        for absurd in [0, 1_001, u32::MAX] {
            assert_eq!(locks.acquire("s", &permits(absurd), &stop).unwrap_err().code(), "bad_argument");
        }
        let lease = AcquireOptions { lease: Some(Duration::ZERO), ..once() };
        assert_eq!(locks.acquire("s", &lease, &stop).unwrap_err().code(), "bad_argument");
        let lease = AcquireOptions { lease: Some(Duration::MAX), ..once() };
        assert!(locks.acquire("s", &lease, &stop).unwrap().is_held());
    });
}

#[test]
fn a_lock_of_a_rank_not_above_those_held_is_an_error() {
    each_engine(|Store { shared, .. }| {
        let (locks, stop) = (shared.sharedlock(), Stop::new());
        let ranked = |rank| AcquireOptions { rank: Some(rank), owner: Some(owner("a")), ..once() };
        let low = locks.acquire("low", &ranked(1), &stop).unwrap();
        let high = locks.acquire("high", &ranked(5), &stop).unwrap();
        let error = locks.acquire("middle", &ranked(3), &stop).unwrap_err();
        assert_eq!(error.code(), "lock_order");
        assert!(error.to_string().contains("\"high\""), "{error}");
        assert_eq!(locks.acquire("equal", &ranked(5), &stop).unwrap_err().code(), "lock_order");
        drop(high);
        drop(locks.acquire("middle", &ranked(3), &stop).unwrap());
        drop(low);
        drop(locks.acquire("lowest", &ranked(0), &stop).unwrap());
        let nobody = AcquireOptions { rank: Some(1), ..once() };
        assert_eq!(locks.acquire("x", &nobody, &stop).unwrap_err().code(), "bad_argument");
    });
}

#[test]
fn the_end_of_an_owner_releases_all_that_it_holds_and_nothing_else() {
    each_engine(|store| {
        let (locks, stop) = (store.shared.sharedlock(), Stop::new());
        for name in ["a", "b", "c"] {
            locks.acquire_as(name, &owner("block 1"), &once(), &stop).unwrap();
        }
        locks.acquire_as("d", &owner("block 1"), &leased(1), &stop).unwrap();
        locks.acquire_as("e", &owner("block 2"), &once(), &stop).unwrap();
        locks.release("b", &owner("block 1")).unwrap();
        store.advance(1.0);
        assert_eq!(locks.release_all(&owner("block 1")).unwrap(), 2);
        let left: Vec<String> = locks.find_all_locked().unwrap().into_iter().map(|info| info.name).collect();
        assert_eq!(left, ["e"]);
        assert_eq!(locks.release_all(&owner("nobody")).unwrap(), 0);
    });
}

#[test]
fn more_waiters_than_the_limit_are_refused() {
    each_engine_with(Limits { waiters_max: 1, ..Limits::default() }, |Store { shared, .. }| {
        let stop = Stop::new();
        let guard = shared.sharedlock().acquire("l", &once(), &stop).unwrap();
        let other = shared.clone();
        let waiter = std::thread::spawn(move || other.sharedlock().acquire("l", &for_ever(), &Stop::new()).map(|_| ()));
        until(|| shared.sharedlock().waiting("l").unwrap() == 1);
        assert!(matches!(shared.sharedlock().acquire("l", &for_ever(), &stop), Err(Error::TooMany { .. })));
        drop(guard);
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn hostile_names_are_refused_or_locks_like_any_other() {
    each_engine(|Store { shared, .. }| {
        let (locks, stop) = (shared.sharedlock(), Stop::new());
        for name in ["", "a\nb", "nul\0", &"x".repeat(513)] {
            assert_eq!(locks.acquire(name, &once(), &stop).unwrap_err().code(), "bad_argument", "{name:?}");
        }
        for name in ["../../etc/passwd", "$(id)", "日本語", "a b", "%2F", &"ü".repeat(256)] {
            let guard = locks.acquire(name, &once(), &stop).unwrap();
            assert!(locks.is_locked(name).unwrap());
            drop(guard);
        }
    });
}

#[test]
fn a_dropped_future_leaves_the_line_and_frees_what_it_was_given() {
    each_engine(|Store { shared, .. }| {
        let (stop, options) = (Stop::new(), for_ever());
        let mut context = Context::from_waker(Waker::noop());
        let guard = shared.sharedlock().acquire("l", &once(), &stop).unwrap();
        {
            let mut waiting = pin!(shared.sharedlock().acquire_async("l", &options, &stop));
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            assert_eq!(shared.sharedlock().waiting("l").unwrap(), 1);
        }
        assert_eq!(shared.sharedlock().waiting("l").unwrap(), 0);
        {
            let mut waiting = pin!(shared.sharedlock().acquire_async("l", &options, &stop));
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            drop(guard);
            assert!(shared.sharedlock().is_locked("l").unwrap());
        }
        assert!(!shared.sharedlock().is_locked("l").unwrap());
    });
}

#[test]
fn an_awaited_lock_is_had_when_the_holder_releases_it() {
    each_engine(|Store { shared, .. }| {
        let (stop, options) = (Stop::new(), for_ever());
        let mut context = Context::from_waker(Waker::noop());
        let guard = shared.sharedlock().acquire("l", &once(), &stop).unwrap();
        let mut waiting = pin!(shared.sharedlock().acquire_async("l", &options, &stop));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(guard);
        let second = polled_until_ready(waiting, &mut context);
        assert!(second.unwrap().is_held());
    });
}

#[test]
fn a_day_of_leases_and_renewals_leaves_nothing_behind() {
    each_engine(|store| {
        let (locks, stop) = (store.shared.sharedlock(), Stop::new());
        let lasting = locks.acquire("lasting", &leased(20), &stop).unwrap();
        for minute in 0..24 * 60 {
            let late = locks.acquire(&format!("job {minute}"), &leased(30), &stop).unwrap();
            for _ in 0..6 {
                lasting.renew(Some(seconds(20))).unwrap();
                store.advance(10.0);
            }
            assert!(!late.is_held());
        }
        let left = locks.find_all_locked().unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].age, seconds(24 * 3600));
    });
}
