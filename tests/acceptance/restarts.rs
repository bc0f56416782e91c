//! One monitor, killed again and again and started over its own files, often while what it left still ends.
//!
//! `ROUNDS` says how many kills, 50 unless given; `make soak` gives 1,000.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Ended, Process, Run, is_png, last_update, rows};

/// Seconds before a kill whose samples may be lost: the flush window, and what a busy machine adds to a batch's way.
const WINDOW: f64 = 2.0;

const ROUNDS_DEFAULT: u32 = 50;

/// So many folders are killed side by side.
const LANES: u64 = 5;

/// Each sample's value is its time, which is also logged before it is handed over.
const BLOCK: &str = "
__usage: {longrunning: true}
run:
  - script: sample.lua
    every: 200ms
    name: sampler
    timeseries collect:
      - {path: a.rrd, interval: 1s, fields: [at], archives: [{rows: 5000}], graph: {path: a.png}}
      - {path: b.rrd, interval: 1s, fields: [at], archives: [{rows: 5000}]}
  - {exec: [sleep, '0.05'], every: 100ms, name: child}
";

const SAMPLE: &str = "
function ProcessBlock()
  local now = time.now()
  file.append('samples.txt', string.format('%.3f\\n', now))
  return {at = math.floor(now)}
end
";

#[test]
fn soak_starts_over_files_of_killed_runs_lose_nothing() {
    let rounds = std::env::var("ROUNDS").ok().map_or(ROUNDS_DEFAULT, |rounds| rounds.parse().unwrap());
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || kill_again_and_again(lane, rounds.div_ceil(LANES as u32)));
        }
    });
}

fn kill_again_and_again(lane: u64, rounds: u32) {
    let mut random = fastrand::Rng::with_seed(lane);
    let mut last: Option<Ended> = None;
    for round in 0..rounds {
        let run = match &last {
            None => Run::block(BLOCK).file("sample.lua", SAMPLE),
            Some(ended) => Run::again(ended),
        };
        let running = run.start();
        let process = Process::open(running.pid());
        let life = Duration::from_micros(random.u64(20_000..1_300_000));
        let what = format!("lane {lane}, round {round}, killed after {life:?}");
        let is_ended = process.ends_within(life);
        let ended = running.kill();
        assert!(!is_ended, "{what}: it ended by itself: {ended}");
        let killed = seconds();
        // Half of the time the next round begins while the processes of this one still end.
        if random.bool() {
            ended.leaves_nothing_within(Duration::from_secs(10));
            check(&ended, killed - WINDOW, &what);
        }
        last = Some(ended);
    }
    let ended = last.unwrap();
    ended.leaves_nothing_within(Duration::from_secs(10));
    let running = Run::again(&ended).start();
    running.wait_for_result();
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    check(&ended, seconds() - WINDOW, &format!("lane {lane}, at the end"));
    let mut left: Vec<String> = fs::read_dir(ended.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') || name.contains("rrd") || name.contains("png"))
        .collect();
    left.sort();
    assert_eq!(left, ["a.png", "a.rrd", "b.rrd", "block.yaml", "sample.lua", "samples.txt"], "nothing is left behind");
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Every sample that was taken before `due` is in both files, with its own value.
fn check(ended: &Ended, due: f64, what: &str) {
    let samples = fs::read_to_string(ended.path("samples.txt")).unwrap_or_default();
    let due: Vec<i64> = samples
        .lines()
        .filter_map(|line| line.parse::<f64>().ok())
        .filter(|time| *time < due)
        .map(|time| time.floor() as i64)
        .collect();
    assert!(!ended.path("a.png").exists() || is_png(&ended.path("a.png")), "{what}: half a picture");
    let Some(newest) = due.last() else { return };
    for name in ["a.rrd", "b.rrd"] {
        let path = ended.path(name);
        let stored = last_update(&path);
        assert!(stored >= *newest, "{what}: {name} ends at {stored}, but {newest} was due: {ended}");
        for (time, value) in rows(&path, "at", 3600) {
            // A gap is filled with the value of the next sample.
            assert!((value - time as f64).abs() < 15.0, "{what}: {name} holds {value} at {time}: {ended}");
        }
    }
}
