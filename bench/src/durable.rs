//! A store in a folder beside the disk under it and redis with `appendfsync always`; opening a large one.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use unidist::{Error, Unidist};

use crate::Outcome;
use crate::program::memory;
use crate::redis::{Kept, Redis};
use crate::rounds::{in_turns, median};
use crate::table::{Row, Target, Unit};

const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_millis(1_500);
const WRITERS: u32 = 50;
const KEYS: u32 = 1_000_000;
/// Of a key and its value, as they are given.
const RAW_BYTES: f64 = 12.0 + 100.0;

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    // In the current folder: the disk of a temporary one may be memory.
    let folder = tempfile::Builder::new().prefix("bench").tempdir_in(".")?;
    let folder = folder.path().canonicalize()?;
    let mut rows = writing(&folder)?;
    rows.push(reading(&folder)?);
    rows.extend(opening(&folder)?);
    Ok(rows)
}

fn url(folder: &Path, name: &str) -> String {
    format!("file:{}", folder.join(name).display())
}

fn writing(folder: &Path) -> Outcome<Vec<Row>> {
    let shared = Unidist::open(&url(folder, "counters"))?;
    let redis = Redis::start(folder, Kept::OnDisk)?;
    let increments = |threads| rate(threads, &|name: &str| shared.sharedcounter().increment(name, 1).map(drop));
    let unit = Unit::PerSecond("changes");
    let one = in_turns(ROUNDS, || increments(1), || append_rate(folder))?;
    let beside_redis = in_turns(ROUNDS, || increments(1), || redis.rate(1, 5_000, &["INCR", "c"]))?;
    let many = in_turns(ROUNDS, || increments(WRITERS), || redis.rate(WRITERS, 100_000, &["INCR", "c"]))?;
    let always = "redis, appendfsync always";
    Ok(vec![
        Row::beside("`file:`, one writer", "append and fdatasync", unit, &one, Target::AtLeast(0.75)),
        Row::beside("`file:`, one writer", &format!("{always}, one client"), unit, &beside_redis, Target::Shown),
        Row::beside("`file:`, 50 writers", &format!("{always}, 50 clients"), unit, &many, Target::AtLeast(0.9)),
    ])
}

/// How often a second this disk appends 100 bytes to a file and syncs them.
fn append_rate(folder: &Path) -> Outcome<f64> {
    let mut file = File::create(folder.join("append"))?;
    let (begun, mut count) = (Instant::now(), 0.0);
    while begun.elapsed() < MEASURED {
        file.write_all(&[7; 100])?;
        file.sync_data()?;
        count += 1.0;
    }
    Ok(count / begun.elapsed().as_secs_f64())
}

fn rate(threads: u32, act: &(dyn Fn(&str) -> Result<(), Error> + Sync)) -> Outcome<f64> {
    let begun = Instant::now();
    let done = std::thread::scope(|scope| {
        let run = |thread: u32| {
            scope.spawn(move || {
                let (name, mut count) = (format!("thread {thread}"), 0_u32);
                while begun.elapsed() < MEASURED {
                    act(&name)?;
                    count += 1;
                }
                Ok::<u32, Error>(count)
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or(Ok(0))).sum::<Result<u32, Error>>()
    })?;
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

fn reading(folder: &Path) -> Outcome<Row> {
    let (memory, file) = (Unidist::open("memory:")?, Unidist::open(&url(folder, "reads"))?);
    for shared in [&memory, &file] {
        shared.sharedstate().set("bucket", "thread 0", json!(1))?;
    }
    let gets = |shared: &Unidist| rate(1, &|name: &str| shared.sharedstate().get("bucket", name).map(drop));
    let pairs = in_turns(ROUNDS, || gets(&file), || gets(&memory))?;
    let unit = Unit::PerSecond("reads");
    Ok(Row::beside("`file:`, state get", "`memory:`, state get", unit, &pairs, Target::AtLeast(0.9)))
}

fn opening(folder: &Path) -> Outcome<Vec<Row>> {
    fill(&Unidist::open(&format!("{}?sync=interval", url(folder, "large")))?)?;
    let store = url(folder, "large");
    let opened: Vec<(f64, f64)> = (0..ROUNDS).map(|_| in_a_process(&["open", &store])).collect::<Outcome<_>>()?;
    let kept: Vec<(f64, f64)> = (0..ROUNDS).map(|_| in_a_process(&["open", "memory:"])).collect::<Outcome<_>>()?;
    let median_of =
        |of: &[(f64, f64)], which: fn(&(f64, f64)) -> f64| median(&of.iter().map(which).collect::<Vec<_>>());
    let (unit, at_most) = (Unit::Count("B"), Target::AtMost(3.0 * RAW_BYTES));
    Ok(vec![
        Row::alone(
            "opening a store of 1 million keys of 12 bytes with values of 100",
            Unit::Milliseconds,
            median_of(&opened, |(seconds, _)| *seconds),
            Target::AtMost(2.0),
        ),
        Row::alone("memory of one of its keys", unit, median_of(&opened, |(_, bytes)| *bytes), at_most),
        Row::alone("the same under `memory:`", unit, median_of(&kept, |(_, bytes)| *bytes), at_most),
    ])
}

fn fill(shared: &Unidist) -> Outcome<()> {
    // With its quotes 100 bytes as JSON.
    let value = "v".repeat(98);
    for key in 0..KEYS {
        shared.sharedstate().set("bucket", &format!("key {key:>8}"), json!(value))?;
    }
    Ok(())
}

/// Opens a store, fills it when it is in memory, and prints how long it took and the memory of a key.
///
/// A process of its own does this, so that no memory of another is used again.
pub(crate) fn open_and_print(url: &str) -> Outcome<()> {
    let resident = || memory(std::process::id(), "VmRSS");
    let (before, begun) = (resident()?, Instant::now());
    let shared = Unidist::open(url)?;
    if url == "memory:" {
        fill(&shared)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let bytes = (resident()? - before) / f64::from(KEYS);
    crate::table::print(&format!("{}\n", json!([seconds, bytes])))
}

fn in_a_process(words: &[&str]) -> Outcome<(f64, f64)> {
    let output = Command::new(std::env::current_exe()?).args(words).output()?;
    let printed: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let figure = |index| printed.get(index).and_then(Value::as_f64).ok_or("no figure");
    Ok((figure(0)?, figure(1)?))
}
