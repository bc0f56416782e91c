//! kill -9 of a monitor at any moment: whole files, nothing lost that was told as stored, nothing left running.
//!
//! `ROUNDS` says how many kills, 50 unless given; `make soak` gives 1,000.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Ended, Run, Running, is_png, last_update, logged_samples, rows, rrd_info};

/// Kills at a time, each in a folder of its own.
const AT_ONCE: usize = 4;

/// A number that a script gave longer ago than this is in the file, told or not.
const WINDOW: Duration = Duration::from_secs(2);

/// What was started with the runner is gone after this at the latest, on a busy machine.
const GONE: Duration = Duration::from_secs(30);

/// Five series, so that a kill is likely to fall between two of them, a graph of each, and children of both kinds.
const MONITOR: &str = "
__usage: {longrunning: true}
run simultaneous:
  side: [{shell: 'sleep 600 & setsid sleep 600 & sleep 600'}]
run:
  - script: numbers.lua
    every: 1s
    name: numbers
    timeseries collect:
      path: ${key}.rrd
      key: series
      fields: [n]
      graph: [{path: '${key}.png', title: '${key}'}]
";

/// One number for all series, written down with its time before it is returned.
const NUMBERS: &str = "
function ProcessBlock()
  local n = unidist.sharedcounter.increment('n')
  local series = {}
  for number = 1, 5 do series['s' .. number] = {n = n} end
  file.append('given.txt', time.now() .. ' ' .. n .. '\\n')
  return {series = series}
end
";

/// When a round's runner is killed.
enum Moment {
    /// So long after it was started.
    AfterStart(Duration),
    /// So long after so many samples were told as stored.
    AfterSamples(usize, Duration),
}

impl Moment {
    /// Mostly while it starts and makes its files; else while it stores or draws, and now and then much later.
    fn of(round: usize) -> Self {
        let milliseconds = |range| Duration::from_millis(fastrand::u64(range));
        match round % 5 {
            0..=2 => Moment::AfterStart(milliseconds(20..400)),
            3 => Moment::AfterSamples(1, milliseconds(0..100)),
            _ => Moment::AfterSamples(5 * fastrand::usize(2..=4), milliseconds(0..1000)),
        }
    }

    fn wait(&self, running: &Running) {
        let pause = match self {
            Moment::AfterStart(pause) => pause,
            Moment::AfterSamples(count, pause) => {
                running.wait_for_error_texts("Storing RRD occurrence", *count);
                pause
            }
        };
        std::thread::park_timeout(*pause);
    }
}

#[test]
fn soak_kills_of_the_runner_leave_whole_files_and_no_process() {
    let rounds = std::env::var("ROUNDS").map_or(50, |rounds| rounds.parse().expect("ROUNDS is a number"));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds {
                        return;
                    }
                    kill_once(round);
                }
            });
        }
    });
}

fn kill_once(round: usize) {
    let running = Run::block(MONITOR).file("numbers.lua", NUMBERS).own(["-v"]).start();
    Moment::of(round).wait(&running);
    let killed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ended = running.kill();
    ended.leaves_nothing_within(GONE);
    for path in files(&ended, "rrd") {
        assert!(rrd_info(&path).contains("step = 1\n"), "{} of {ended}", path.display());
        has_what_was_told(&ended, &path, 0);
        has_what_was_given(&ended, &path, killed);
    }
    for path in files(&ended, "png") {
        assert!(is_png(&path), "{} of {ended}", path.display());
    }
    for extension in ["part", "undo"] {
        assert_eq!(files(&ended, extension), [] as [PathBuf; 0], "half-written files are left: {ended}");
    }
    if round % 10 == 4 {
        goes_on(&ended);
    }
}

/// What was told as stored is in the file. Of two samples of one second the first counts, also when it is of an
/// earlier run, whose newest is `before`.
fn has_what_was_told(ended: &Ended, path: &Path, before: i64) {
    let stored = rows(path, "n", 300);
    let logged = logged_samples(&ended.stderr, path, "n");
    for sample in logged.iter().filter(|sample| !sample.is_in_second(before)) {
        let is_it = |(time, value): &(i64, f64)| sample.is_in_second(*time) && sample.value == Some(*value);
        assert!(stored.iter().any(is_it), "{sample:?} is not in {stored:?}: {ended}");
    }
}

/// What was given longer ago than the window, told or not, is in the file.
fn has_what_was_given(ended: &Ended, path: &Path, killed: Duration) {
    let stored = rows(path, "n", 300);
    let given = std::fs::read_to_string(ended.path("given.txt")).unwrap_or_default();
    for line in given.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let (time, number) = line.split_once(' ').unwrap();
        let (time, number): (f64, f64) = (time.parse().unwrap(), number.parse().unwrap());
        // Two numbers of one second are one sample, the first.
        let second = time.floor() as i64;
        let is_there = stored.iter().any(|(at, value)| *value == number || (second..=second + 1).contains(at));
        assert!(is_there || time > (killed - WINDOW).as_secs_f64(), "{line} is not in {stored:?}: {ended}");
    }
}

/// The same monitor stores into the same files again.
fn goes_on(ended: &Ended) {
    let series = files(ended, "rrd");
    let before: Vec<i64> = series.iter().map(|path| last_update(path)).collect();
    let running = Run::again(ended).own(["-v"]).start();
    running.wait_for_error_texts("Storing RRD occurrence", 10);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    for (path, before) in series.iter().zip(before) {
        assert!(last_update(path) > before, "{} of {ended}", path.display());
        has_what_was_told(&ended, path, before);
    }
    ended.leaves_nothing_within(GONE);
}

/// The files with an extension, by their real paths, as the log has them.
fn files(ended: &Ended, extension: &str) -> Vec<PathBuf> {
    let folder = ended.path("").canonicalize().unwrap();
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}
