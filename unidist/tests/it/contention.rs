//! Known totals under many threads.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;

use crate::common::{AT_ONCE, Store, each_engine, seconds};
use unidist::{AcquireOptions, AddOptions, Compared, Failure, SetOptions, Stop};

const THREADS: usize = 64;
const ROUNDS: usize = 500;

fn on_threads(work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
}

/// Numbers gathered from threads, each expected once.
#[derive(Default)]
struct Gathered(Mutex<BTreeSet<u64>>);

impl Gathered {
    fn add(&self, number: u64) {
        let is_new = self.0.lock().is_ok_and(|mut numbers| numbers.insert(number));
        assert!(is_new, "{number} came twice");
    }

    fn count(&self) -> usize {
        self.0.lock().map_or(0, |numbers| numbers.len())
    }
}

#[test]
fn increments_of_64_threads_are_all_counted() {
    each_engine(|Store { shared, .. }| {
        on_threads(|thread| {
            for round in 0..ROUNDS {
                shared.sharedcounter().increment("one", 1).unwrap();
                shared.sharedcounter().decrement(&format!("many {}", (thread + round) % 10), 1).unwrap();
            }
        });
        let all = shared.sharedcounter().all().unwrap();
        assert_eq!(all["one"], (THREADS * ROUNDS) as i64);
        assert_eq!(all.values().sum::<i64>(), 0);
    });
}

#[test]
fn one_thread_at_a_time_is_inside_a_lock() {
    each_engine(|Store { shared, .. }| {
        let is_inside = AtomicBool::new(false);
        let last_fence = AtomicU64::new(0);
        on_threads(|_| {
            let stop = Stop::new();
            for _ in 0..ROUNDS / 5 {
                let guard = shared.sharedlock().acquire("l", &AcquireOptions::default(), &stop).unwrap();
                assert!(!is_inside.swap(true, Ordering::SeqCst));
                assert!(last_fence.swap(guard.fence(), Ordering::SeqCst) < guard.fence());
                is_inside.store(false, Ordering::SeqCst);
            }
        });
        assert!(shared.sharedlock().find_all_locked().unwrap().is_empty());
    });
}

#[test]
fn at_most_the_permits_are_inside_a_semaphore() {
    each_engine(|Store { shared, .. }| {
        let inside = AtomicU64::new(0);
        let options = AcquireOptions { permits: 4, ..AcquireOptions::default() };
        on_threads(|_| {
            let stop = Stop::new();
            for _ in 0..ROUNDS / 5 {
                let _guard = shared.sharedlock().acquire("s", &options, &stop).unwrap();
                assert!(inside.fetch_add(1, Ordering::SeqCst) < 4);
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        });
    });
}

#[test]
fn compare_and_set_of_64_threads_loses_no_step() {
    each_engine(|Store { shared, .. }| {
        on_threads(|_| {
            for _ in 0..ROUNDS / 10 {
                loop {
                    let entry = shared.sharedstate().entry("b", "n").unwrap();
                    let (revision, value) =
                        entry.map_or((0, 0), |entry| (entry.revision, entry.value.as_i64().unwrap()));
                    let compared = shared.sharedstate().compare_and_set("b", "n", revision, json!(value + 1)).unwrap();
                    if matches!(compared, Compared::Set(..)) {
                        break;
                    }
                }
            }
        });
        assert_eq!(shared.sharedstate().get("b", "n").unwrap(), Some(json!(THREADS * ROUNDS / 10)));
    });
}

#[test]
fn set_if_missing_lets_one_of_64_threads_win() {
    each_engine(|Store { shared, .. }| {
        let (wins, plain) = (AtomicU64::new(0), SetOptions::default());
        on_threads(|thread| {
            for round in 0..ROUNDS {
                if shared.sharedstate().set_if_missing("b", &round.to_string(), json!(thread), &plain).unwrap() {
                    wins.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        assert_eq!(wins.into_inner(), ROUNDS as u64);
    });
}

#[test]
fn each_message_is_taken_once_by_consumers_that_wait() {
    each_engine(|Store { shared, .. }| {
        let seen = Gathered::default();
        on_threads(|thread| {
            let stop = Stop::new();
            for round in 0..ROUNDS {
                if thread % 2 == 0 {
                    let message = json!(thread * ROUNDS + round);
                    shared.messagequeue().add("q", message, &AddOptions::default(), &stop).unwrap();
                } else {
                    let message = shared.messagequeue().take("q", None, &stop).unwrap().unwrap();
                    seen.add(message.message.as_u64().unwrap());
                }
            }
        });
        assert_eq!(seen.count(), THREADS / 2 * ROUNDS);
        assert_eq!(shared.messagequeue().count("q").unwrap(), Some(0));
    });
}

#[test]
fn claims_that_fail_are_delivered_again_until_each_is_acknowledged_once() {
    each_engine(|Store { shared, .. }| {
        let total = THREADS * 20;
        for number in 0..total {
            shared.messagequeue().add("q", json!(number), &AddOptions::default(), &Stop::new()).unwrap();
        }
        let done = Gathered::default();
        on_threads(|_| {
            let stop = Stop::new();
            while let Some(claim) = shared.messagequeue().claim("q", seconds(60), AT_ONCE, &stop).unwrap() {
                let (id, attempt) = (claim.id.to_string(), Some(claim.attempt));
                if claim.attempt < 3 && claim.message.as_u64().unwrap() % 3 == 0 {
                    let failure = Failure { reason: "again", delay: seconds(0) };
                    shared.messagequeue().fail("q", &id, attempt, failure).unwrap();
                } else {
                    shared.messagequeue().ack("q", &id, attempt).unwrap();
                    done.add(claim.message.as_u64().unwrap());
                }
            }
        });
        assert_eq!(done.count(), total);
    });
}

#[test]
fn offsets_of_64_appending_threads_are_all_different() {
    each_engine(|Store { shared, .. }| {
        let offsets = Gathered::default();
        on_threads(|thread| {
            for _ in 0..ROUNDS / 5 {
                offsets.add(shared.sharedlog().append("l", json!(thread)).unwrap());
            }
        });
        assert_eq!(offsets.count(), THREADS * ROUNDS / 5);
        assert_eq!(shared.sharedlog().status("l").unwrap().unwrap().next, (THREADS * ROUNDS / 5) as u64);
    });
}
