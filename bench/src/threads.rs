//! 10,000 run-threads every 5 s for a minute, beside a bare timer loop with the same due times at the same time.
//!
//! The timer loop is one thread with a heap and a condition variable. Its due times are those of the run-threads, half
//! a period later, so that both meet the machine's other load but not each other. A second of such load is more than
//! the hundredth of the starts that p99 leaves out, and hits only one of the two: so the minute is measured in several
//! rounds, and the ratio is the median of theirs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use procblock::thread::Lateness;
use serde_json::Value;
use unidist::Stop;

use crate::Outcome;
use crate::program::{Staying, cpu, memory, procblock};
use crate::rounds::{Pairs, median};
use crate::table::{Row, Target, Unit};

const THREADS: usize = 10_000;

const EVERY: Duration = Duration::from_secs(5);

/// Of each round; a minute in all.
const MEASURED: Duration = Duration::from_secs(12);

const ROUNDS: u32 = 5;

/// Every so many run-threads one writes down when it started.
const NOTED_EVERY: usize = 500;

/// A start this far from its grid is a drift, in seconds: far more than the machine's other load delays one.
const DRIFT_MAX: f64 = 1.0;

/// What procblock did in the time.
struct Measured {
    /// Of the peer.
    peer: Lateness,
    /// Its last log line about run-threads.
    summary: Summary,
    cpu: f64,
    peak: f64,
    off_grid: f64,
}

/// The log line `run-threads: …` of a run that ended.
struct Summary {
    starts: f64,
    skipped: f64,
    late_p99: f64,
}

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let mut rows = rows_of("set", "set: {n: 1}")?;
    rows.extend(rows_of("Lua", "lua: 'return {n = 1}'")?);
    Ok(rows)
}

fn rows_of(kind: &str, step: &str) -> Outcome<Vec<Row>> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir()?;
        rounds.push(measure(folder.path(), step)?);
    }
    let all = |figure: fn(&Measured) -> f64| rounds.iter().map(figure).collect::<Vec<f64>>();
    let most = |figure| all(figure).into_iter().fold(0.0, f64::max);
    let late = Pairs::new(all(|round| round.summary.late_p99), all(|round| round.peer.quantile(0.99).as_secs_f64()));
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark")]
    let expected = (THREADS as f64) * f64::from(ROUNDS) * (MEASURED.as_secs_f64() / EVERY.as_secs_f64());
    let row = |what: &str, unit, figure, target| Row::alone(&format!("… {kind}: {what}"), unit, figure, target);
    let starts = all(|round| round.summary.starts).iter().sum();
    Ok(vec![
        Row::beside(
            &format!("10,000 run-threads every 5 s, 60 s, {kind}: lateness p99"),
            "bare timer loop",
            Unit::Microseconds,
            &late,
            Target::AtMost(3.0),
        ),
        row("starts", Unit::Count("starts"), starts, Target::AtLeast(expected)),
        row("skipped", Unit::Count("starts"), most(|round| round.summary.skipped), Target::AtMost(0.0)),
        row("farthest from the grid", Unit::Milliseconds, most(|round| round.off_grid), Target::AtMost(DRIFT_MAX)),
        row("peak memory", Unit::Megabytes, most(|round| round.peak), Target::AtMost(400e6)),
        row("CPU of one core", Unit::Percent, median(&all(|round| round.cpu)), Target::Shown),
    ])
}

fn measure(folder: &Path, step: &str) -> Outcome<Measured> {
    let (file, printed, logged) = (folder.join("many.yaml"), folder.join("printed"), folder.join("logged"));
    std::fs::write(&file, many(step)?)?;
    let mut command = procblock(&file)?;
    command.arg("-v").stdout(File::create(&printed)?).stderr(File::create(&logged)?);
    let mut staying = Staying::start(&mut command)?;
    let read = || std::fs::read_to_string(&printed).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let result = staying.wait_for("its first result", read)?;
    let due = due_times(&result)?;
    let (before, since) = (cpu(staying.pid())?, Instant::now());
    let peer = timer_loop(due);
    let used = (cpu(staying.pid())? - before) / since.elapsed().as_secs_f64();
    let peak = memory(staying.pid(), "VmHWM")?;
    staying.interrupt()?;
    let log = std::fs::read_to_string(&logged)?;
    Ok(Measured { peer, summary: summary(&log)?, cpu: used, peak, off_grid: off_grid(folder)? })
}

/// The step, 10,000 times; here and there one notes when it started instead.
fn many(step: &str) -> Outcome<String> {
    let mut text = "__usage: {longrunning: true}\nrun:\n".to_string();
    for number in 0..THREADS {
        let noting = || format!("lua: 'file.append(\"starts.{number}\", string.format(\"%.6f\\n\", time.now()))'");
        let step = if number % NOTED_EVERY == 0 { noting() } else { step.to_string() };
        writeln!(text, "  - {{name: t{number}, every: {}s, {step}}}", EVERY.as_secs())?;
    }
    Ok(text)
}

/// When the run-threads are due next but half a period, in order.
fn due_times(result: &Value) -> Outcome<Vec<Instant>> {
    let run = result.get("run").and_then(Value::as_object).ok_or("no run in the result")?;
    let (now, clock) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64());
    let started = run
        .iter()
        .filter(|(name, _)| name.starts_with("run_thread."))
        .filter_map(|(_, thread)| thread.get("last_start").and_then(Value::as_f64));
    let mut due: Vec<Instant> = started
        .map(|start| {
            let period = EVERY.as_secs_f64();
            now + Duration::from_secs_f64((start + period * 1.5 - clock).rem_euclid(period))
        })
        .collect();
    due.sort();
    if due.len() == THREADS { Ok(due) } else { Err(format!("{} run-threads of {THREADS} started", due.len()).into()) }
}

/// A thread that waits for the next due time, notes how late it is and puts the next one in; for a minute.
fn timer_loop(due: Vec<Instant>) -> Lateness {
    let lateness = Lateness::default();
    let ends = Instant::now() + MEASURED;
    let waiting = (Mutex::new(BinaryHeap::from_iter(due.into_iter().map(Reverse))), Condvar::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let Ok(mut heap) = waiting.0.lock() else { return };
            while let Some(Reverse(at)) = heap.peek().copied().filter(|Reverse(at)| *at < ends) {
                let left = at.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    let Ok((again, _)) = waiting.1.wait_timeout(heap, left) else { return };
                    heap = again;
                    continue;
                }
                heap.pop();
                lateness.record(at.elapsed());
                heap.push(Reverse(at + EVERY));
            }
        });
    });
    let _ = Stop::new().wait(ends.saturating_duration_since(Instant::now()));
    lateness
}

/// Reads `run-threads: 10000, starts 120000, late 0, skipped 0, …: p50 100, p99 200, max 1000`.
fn summary(log: &str) -> Outcome<Summary> {
    let line = log.lines().rev().find(|line| line.contains("run-threads: ")).ok_or("no log line about run-threads")?;
    let figure = |name: &str| -> Outcome<f64> {
        let (_, rest) = line.split_once(name).ok_or_else(|| format!("no{name}in: {line}"))?;
        let digits: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        Ok(digits.parse()?)
    };
    Ok(Summary { starts: figure(" starts ")?, skipped: figure(" skipped ")?, late_p99: figure(" p99 ")? / 1e6 })
}

/// How far a noted start was from the grid that its run-thread's first start began, in seconds.
fn off_grid(folder: &Path) -> Outcome<f64> {
    let mut farthest: f64 = 0.0;
    for number in (0..THREADS).step_by(NOTED_EVERY) {
        let text = std::fs::read_to_string(folder.join(format!("starts.{number}")))?;
        let starts = text.lines().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let first = starts.first().copied().ok_or("a run-thread noted no start")?;
        let period = EVERY.as_secs_f64();
        for start in starts {
            let past = (start - first).rem_euclid(period);
            farthest = farthest.max(past.min(period - past));
        }
    }
    Ok(farthest)
}
