//! The cores of locks, queues and counters under a scheduler that tries many orders in which threads may meet: no order
//! breaks a rule of the contract. `make interleavings` runs it; a failure prints the schedule that leads to it.
#![cfg(shuttle)]
#![expect(clippy::unwrap_used, reason = "every helper here is a part of a test")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::json;
use shuttle::thread;
use unidist::{
    AcquireOptions, AddOptions, Fence, HostLocks, NameFilter, QueueOptions, Stop, Unidist, VirtualClock, WhenFull,
};

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);
const LEASE: Duration = Duration::from_secs(10);

/// Runs `rule` in many orders of its threads' steps; a thread that waits for ever is a failure, too.
fn in_many_orders(rule: impl Fn(Unidist, Arc<VirtualClock>) + Send + Sync + 'static) {
    let orders = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1_000);
    shuttle::check_random(
        move || {
            let clock = Arc::new(VirtualClock::new());
            let builder = Unidist::builder().clock(clock.clone()).host_locks(HostLocks::Off);
            rule(builder.open("memory:").unwrap(), clock);
        },
        orders,
    );
}

fn join(threads: Vec<thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Polls once; whoever waits then gives up at this moment.
fn try_and_give_up<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => {
            thread::yield_now();
            None
        }
    }
}

#[test]
fn one_at_a_time_is_inside_a_lock_and_numbers_rise() {
    in_many_orders(|shared, _| {
        let (inside, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..3).map(|_| {
            let (shared, inside, last) = (shared.clone(), inside.clone(), last.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    let guard = shared.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    let number = guard.fence() as usize;
                    assert!(last.swap(number, Ordering::SeqCst) < number);
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            })
        });
        join(threads.collect());
        assert!(!shared.sharedlock().is_locked("l").unwrap());
    });
}

#[test]
fn who_gives_up_waiting_at_the_moment_of_the_hand_over_leaves_the_lock_to_the_next() {
    in_many_orders(|shared, _| {
        let guard = shared.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()).unwrap();
        let (other, third) = (shared.clone(), shared.clone());
        let threads = vec![
            thread::spawn(move || {
                let (options, stop) = (AcquireOptions::default(), Stop::new());
                drop(try_and_give_up(other.sharedlock().acquire_async("l", &options, &stop)));
            }),
            thread::spawn(move || {
                drop(third.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()).unwrap());
            }),
        ];
        thread::yield_now();
        drop(guard);
        join(threads);
        assert!(!shared.sharedlock().is_locked("l").unwrap());
        assert_eq!(shared.sharedlock().waiting("l").unwrap(), 0);
    });
}

#[test]
fn a_lease_that_ends_beside_a_release_hands_the_lock_on_once() {
    in_many_orders(|shared, clock| {
        let leased = AcquireOptions { lease: Some(LEASE), ..AcquireOptions::default() };
        let guard = shared.sharedlock().acquire("l", &leased, &Stop::new()).unwrap();
        let inside = Arc::new(AtomicUsize::new(0));
        let waiters = (0..2).map(|_| {
            let (shared, inside) = (shared.clone(), inside.clone());
            thread::spawn(move || {
                let _guard = shared.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()).unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
            })
        });
        let mut threads: Vec<_> = waiters.collect();
        threads.push(thread::spawn(move || clock.advance(LEASE)));
        // Late or not, it never frees another's lock.
        let _ = guard.release();
        join(threads);
        assert!(!shared.sharedlock().is_locked("l").unwrap());
    });
}

#[test]
fn each_message_is_taken_once_also_when_a_consumer_gives_up() {
    in_many_orders(|shared, _| {
        let sum = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        for number in [1, 2, 4] {
            let shared = shared.clone();
            threads.push(thread::spawn(move || {
                shared.messagequeue().add("q", json!(number), &AddOptions::default(), &Stop::new()).unwrap();
            }));
        }
        for consumer in 0..3 {
            let (shared, sum) = (shared.clone(), sum.clone());
            threads.push(thread::spawn(move || {
                let stop = Stop::new();
                let taken = match consumer {
                    0 => try_and_give_up(shared.messagequeue().take_async("q", None, &stop)).and_then(Result::unwrap),
                    _ => shared.messagequeue().take("q", None, &stop).unwrap(),
                };
                let number = taken.map_or(0, |taken| taken.message.as_u64().unwrap());
                sum.fetch_add(number as usize, Ordering::SeqCst);
            }));
        }
        join(threads);
        while let Some(left) = shared.messagequeue().take("q", AT_ONCE, &Stop::new()).unwrap() {
            sum.fetch_add(left.message.as_u64().unwrap() as usize, Ordering::SeqCst);
        }
        assert_eq!(sum.load(Ordering::SeqCst), 7);
    });
}

#[test]
fn a_claim_whose_lease_ends_is_acknowledged_by_one_alone() {
    in_many_orders(|shared, clock| {
        shared.messagequeue().add("q", json!(1), &AddOptions::default(), &Stop::new()).unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        let consumers = (0..2).map(|_| {
            let (shared, done) = (shared.clone(), done.clone());
            thread::spawn(move || {
                let Some(claim) = shared.messagequeue().claim("q", LEASE, AT_ONCE, &Stop::new()).unwrap() else {
                    return;
                };
                thread::yield_now();
                if shared.messagequeue().ack("q", &claim.id.to_string(), Some(claim.attempt)).is_ok() {
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        let mut threads: Vec<_> = consumers.collect();
        threads.push(thread::spawn(move || clock.advance(LEASE)));
        join(threads);
        let left = shared.messagequeue().count("q").unwrap().unwrap();
        assert_eq!(done.load(Ordering::SeqCst) + left, 1);
    });
}

#[test]
fn producers_that_wait_for_room_get_in_once_each() {
    in_many_orders(|shared, _| {
        let options = QueueOptions { length_max: 1, when_full: WhenFull::Wait, ..QueueOptions::default() };
        shared.messagequeue().configure("q", options).unwrap();
        let producers = (0..3).map(|number| {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.messagequeue().add("q", json!(number), &AddOptions::default(), &Stop::new()).unwrap();
            })
        });
        let threads: Vec<_> = producers.collect();
        let mut seen: Vec<_> = (0..3)
            .map(|_| shared.messagequeue().take("q", None, &Stop::new()).unwrap().unwrap().message.as_u64().unwrap())
            .collect();
        join(threads);
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
    });
}

#[test]
fn a_snapshot_and_the_changes_after_it_make_the_end() {
    in_many_orders(|shared, _| {
        let writers = (0..2).map(|_| {
            let shared = shared.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    shared.sharedcounter().increment("c", 1).unwrap();
                }
            })
        });
        let threads: Vec<_> = writers.collect();
        let snapshot = shared.sharedcounter().snapshot().unwrap();
        let watcher = shared.sharedcounter().watch(NameFilter::All, Some(snapshot.revision)).unwrap();
        join(threads);
        let mut value = snapshot.values.get("c").copied().unwrap_or(0);
        while let Some(event) = watcher.next(AT_ONCE, &Stop::new()).unwrap() {
            assert_eq!(event.value, Some(value + 1));
            value += 1;
        }
        assert_eq!(value, 4);
    });
}

#[test]
fn a_watch_begun_beside_changes_sees_all_that_a_later_look_does_not() {
    in_many_orders(|shared, _| {
        let other = shared.clone();
        let writer = thread::spawn(move || {
            other.messagequeue().add("q", json!(1), &AddOptions::default(), &Stop::new()).unwrap();
        });
        let watcher = shared.messagequeue().watch(NameFilter::All, None).unwrap();
        let before = shared.messagequeue().count("q").unwrap().unwrap_or(0);
        writer.join().unwrap();
        let told = std::iter::from_fn(|| watcher.next(AT_ONCE, &Stop::new()).unwrap()).count();
        assert!(before + told >= 1);
    });
}

#[test]
fn no_change_under_a_stale_number_comes_after_one_under_a_newer() {
    in_many_orders(|shared, _| {
        let threads = (1..=3_u64).map(|number| {
            let fenced = shared.fenced(Fence::new("l", number).unwrap());
            thread::spawn(move || {
                for _ in 0..2 {
                    let changed = fenced.sharedcounter().set("c", number as i64);
                    assert!(changed.is_ok() || changed.unwrap_err().code() == "stale");
                }
            })
        });
        join(threads.collect());
        assert_eq!(shared.sharedcounter().get("c").unwrap(), 3);
    });
}
