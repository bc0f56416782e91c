//! 1,000 threads that wait for one lock: what they cost, and how fast it is handed on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{FairMutex, Mutex};
use unidist::{AcquireOptions, Stop, Unidist};

use crate::Outcome;
use crate::program::cpu;
use crate::rounds::in_turns;
use crate::table::{Row, Target, Unit};

const WAITERS: usize = 1_000;
const ROUNDS: usize = 3;
const WATCHED: Duration = Duration::from_secs(2);
const STACK_BYTES: usize = 128 * 1024;
/// Between two looks whether all wait.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let mut used = 0.0;
    let ours = || {
        let (p99, share) = ours()?;
        used = share;
        Ok(p99)
    };
    let pairs = in_turns(ROUNDS, ours, peer)?;
    let (what, unit) = ("hand-over of a lock with 1,000 waiters, p99", Unit::Microseconds);
    Ok(vec![
        Row::beside(what, "parking_lot's fair mutex", unit, &pairs, Target::Shown),
        Row::alone("the same alone", unit, pairs.ours(), Target::AtMost(0.001)),
        Row::alone("CPU of one core, 1,000 waiters of one lock", Unit::Percent, used, Target::AtMost(0.01)),
    ])
}

/// When each had the lock and when it began to give it back.
type Turns = Arc<Mutex<Vec<(Instant, Instant)>>>;

/// The 99th percentile of the hand-overs, and the share of a core that waiting took.
fn ours() -> Outcome<(f64, f64)> {
    let (shared, turns) = (Unidist::open("memory:")?, Turns::default());
    let acquire = |shared: &Unidist| shared.sharedlock().acquire("__l", &AcquireOptions::default(), &Stop::new());
    let guard = acquire(&shared)?;
    let mut threads = Vec::new();
    for _ in 0..WAITERS {
        let (other, turns) = (shared.clone(), turns.clone());
        let wait = move || {
            let Ok(guard) = acquire(&other) else { return };
            let had = Instant::now();
            turns.lock().push((had, Instant::now()));
            drop(guard);
        };
        threads.push(std::thread::Builder::new().stack_size(STACK_BYTES).spawn(wait)?);
    }
    while shared.sharedlock().waiting("__l")? < WAITERS {
        Stop::new().wait(LOOK_EVERY);
    }
    let before = cpu(std::process::id())?;
    Stop::new().wait(WATCHED);
    let used = (cpu(std::process::id())? - before) / WATCHED.as_secs_f64();
    drop(guard);
    threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a waiter failed"))?;
    Ok((p99(&turns.lock()), used))
}

fn peer() -> Outcome<f64> {
    let (lock, turns) = (Arc::new(FairMutex::new(())), Turns::default());
    let begun = Arc::new(AtomicUsize::new(0));
    let guard = lock.lock();
    let mut threads = Vec::new();
    for _ in 0..WAITERS {
        let (lock, turns, begun) = (lock.clone(), turns.clone(), begun.clone());
        let wait = move || {
            begun.fetch_add(1, Ordering::SeqCst);
            let guard = lock.lock();
            let had = Instant::now();
            turns.lock().push((had, Instant::now()));
            drop(guard);
        };
        threads.push(std::thread::Builder::new().stack_size(STACK_BYTES).spawn(wait)?);
    }
    while begun.load(Ordering::SeqCst) < WAITERS {
        Stop::new().wait(LOOK_EVERY);
    }
    // It can't be asked whether they wait already.
    Stop::new().wait(WATCHED / 10);
    drop(guard);
    threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a waiter failed"))?;
    Ok(p99(&turns.lock()))
}

fn p99(turns: &[(Instant, Instant)]) -> f64 {
    let pairs = turns.iter().zip(turns.iter().skip(1));
    let mut hand_overs: Vec<Duration> = pairs.map(|((_, given), (had, _))| had.duration_since(*given)).collect();
    hand_overs.sort_unstable();
    hand_overs.get(hand_overs.len() * 99 / 100).map_or(0.0, Duration::as_secs_f64)
}
