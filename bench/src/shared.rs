//! Shared things inside one process, beside redis with one client and no persistence.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use unidist::{AcquireOptions, AddOptions, Error, Stop, Unidist};

use crate::Outcome;
use crate::redis::{Kept, Redis};
use crate::rounds::{Pairs, in_turns};
use crate::table::{Row, Target, Unit};

const ROUNDS: usize = 7;
const THREADS: u32 = 8;
/// Operations of one round, of all threads together: some tenths of a second, in which threads take turns many times.
const OURS: u32 = 2_400_000;
const THEIRS: u32 = 10_000;

type Act = fn(&Unidist, &str, &Stop) -> Result<(), Error>;

/// An operation with what redis does in its place, as commands; their number.
struct Operation {
    name: &'static str,
    act: Act,
    redis: &'static [&'static [&'static str]],
    at_least: f64,
    ratio: Target,
}

const OPERATIONS: [Operation; 5] = [
    Operation {
        name: "counter increment",
        act: |shared, name, _| shared.sharedcounter().increment(name, 1).map(|value| _ = black_box(value)),
        redis: &[&["INCR", "c"]],
        at_least: 10e6,
        ratio: Target::AtLeast(100.0),
    },
    Operation {
        name: "state get",
        act: |shared, name, _| shared.sharedstate().get("bucket", name).map(|value| _ = black_box(value)),
        redis: &[&["GET", "k"]],
        at_least: 10e6,
        ratio: Target::Shown,
    },
    Operation {
        name: "state set",
        act: |shared, name, _| shared.sharedstate().set("bucket", name, json!(1)).map(drop),
        redis: &[&["SET", "k", "1"]],
        at_least: 2e6,
        ratio: Target::Shown,
    },
    Operation {
        name: "queue add + take",
        act: |shared, name, stop| {
            shared.messagequeue().add(name, Value::from(1), &AddOptions::default(), stop)?;
            shared.messagequeue().take(name, Some(Duration::ZERO), stop).map(drop)
        },
        redis: &[&["LPUSH", "q", "1"], &["RPOP", "q"]],
        at_least: 2e6,
        ratio: Target::Shown,
    },
    Operation {
        name: "lock + release",
        act: |shared, name, stop| shared.sharedlock().acquire(name, &AcquireOptions::default(), stop).map(drop),
        redis: &[&["SET", "l", "1", "NX"], &["DEL", "l"]],
        at_least: 5e6,
        ratio: Target::Shown,
    },
];

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let redis = Redis::start(folder.path(), Kept::InMemory)?;
    let shared = Unidist::open("memory:")?;
    for thread in 0..THREADS {
        shared.sharedstate().set("bucket", &format!("__{thread}"), json!(1))?;
    }
    let mut rows = Vec::new();
    for operation in &OPERATIONS {
        let ours = || rate(&shared, operation.act, 1);
        let pairs = in_turns(ROUNDS, ours, || theirs(&redis, operation.redis))?;
        let unit = Unit::PerSecond("times");
        let name = format!("{}, one thread", operation.name);
        rows.push(Row::beside(&name, "redis, one client", unit, &pairs, operation.ratio));
        rows.push(Row::alone(&format!("… {name}"), unit, pairs.ours(), Target::AtLeast(operation.at_least)));
    }
    for operation in &OPERATIONS {
        rows.push(scaling(&shared, operation)?);
    }
    Ok(rows)
}

fn rate(shared: &Unidist, act: Act, threads: u32) -> Outcome<f64> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let run = |thread: u32| {
            scope.spawn(move || {
                let (name, stop) = (format!("__{thread}"), Stop::new());
                (0..OURS / threads).try_for_each(|_| act(shared, &name, &stop))
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })?;
    Ok(f64::from(OURS / threads * threads) / begun.elapsed().as_secs_f64())
}

fn theirs(redis: &Redis, commands: &[&[&str]]) -> Outcome<f64> {
    let mut seconds = 0.0;
    for command in commands {
        seconds += 1.0 / redis.rate(1, THEIRS, command)?;
    }
    Ok(1.0 / seconds)
}

/// Threads on different names beside one of them.
fn scaling(shared: &Unidist, operation: &Operation) -> Outcome<Row> {
    let cores = std::thread::available_parallelism()?.get();
    #[expect(clippy::cast_precision_loss, reason = "cores are few")]
    let wanted = 0.8 * cores.min(THREADS as usize) as f64;
    let pairs: Pairs = in_turns(ROUNDS, || rate(shared, operation.act, THREADS), || rate(shared, operation.act, 1))?;
    let name = format!("{}, {THREADS} threads on different names, {cores} cores", operation.name);
    Ok(Row::beside(&name, "one thread", Unit::PerSecond("times"), &pairs, Target::AtLeast(wanted)))
}
