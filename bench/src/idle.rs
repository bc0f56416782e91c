//! A procblock that waits: what it costs, and how fast Ctrl-C ends it.

use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use unidist::Stop;

use crate::Outcome;
use crate::program::{Staying, cpu, memory, procblock};
use crate::rounds::median;
use crate::table::{Row, Target, Unit};

const THREADS: usize = 1_000;

const IDLE: Duration = Duration::from_secs(5);

const ROUNDS: usize = 5;

/// After this time from the start of the file its run-threads sleep for days.
const SLEEP_AFTER: f64 = 0.9;

/// When all of them do.
const ALL_ASLEEP: Duration = Duration::from_millis(2_100);

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let waiting = write(&folder.path().join("waiting.yaml"), "every: 1h, set: {n: 1}")?;
    let sleep = format!("every: 1s, sleep: '${{max(now() - begun - {SLEEP_AFTER}, 0) * 1000000}}'");
    let sleeping = write(&folder.path().join("sleeping.yaml"), &sleep)?;
    let (used, resident) = idle(&waiting)?;
    let ends = (0..ROUNDS).map(|_| interrupted(&sleeping)).collect::<Outcome<Vec<f64>>>()?;
    Ok(vec![
        Row::alone("CPU of one core, 1,000 waiting run-threads", Unit::Percent, used, Target::Shown),
        Row::alone("memory, 1,000 waiting run-threads", Unit::Megabytes, resident, Target::Shown),
        Row::alone(
            "Ctrl-C to exit, 1,000 run-threads in a sleep",
            Unit::Milliseconds,
            median(&ends),
            Target::AtMost(0.5),
        ),
    ])
}

fn write(file: &Path, step: &str) -> Outcome<PathBuf> {
    let mut text = "__usage: {longrunning: true}\nrun:\n  - set: {begun: '${now()}'}\n".to_string();
    for number in 0..THREADS {
        writeln!(text, "  - {{name: t{number}, {step}}}")?;
    }
    std::fs::write(file, text)?;
    Ok(file.to_path_buf())
}

fn start(file: &Path) -> Outcome<Staying> {
    let printed = file.with_extension("out");
    let mut staying = Staying::start(procblock(file)?.stdout(File::create(&printed)?))?;
    staying.wait_for("its first result", || std::fs::metadata(&printed).ok().filter(|data| data.len() > 0))?;
    Ok(staying)
}

/// The fraction of a core that is used, and the resident memory.
fn idle(file: &Path) -> Outcome<(f64, f64)> {
    let staying = start(file)?;
    let (before, since) = (cpu(staying.pid())?, Instant::now());
    Stop::new().wait(IDLE);
    let used = (cpu(staying.pid())? - before) / since.elapsed().as_secs_f64();
    Ok((used, memory(staying.pid(), "VmRSS")?))
}

/// How long it takes to end when every run-thread sleeps inside a run.
fn interrupted(file: &Path) -> Outcome<f64> {
    let staying = start(file)?;
    Stop::new().wait(ALL_ASLEEP);
    staying.interrupt()
}
