//! Time series of a run through the built procblock-series, with the system's `rrdtool` as witness.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod commands;
mod faults;
mod linking;
mod rrdcached;
mod storing;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};

use procblock::series::SeriesClient;
use unidist::timeseries::{Archive, Consolidation, FieldSpec, SeriesSpec};

/// A multiple of 5 and 60.
const START: i64 = 1_700_000_100;

/// Nothing here takes so long unless it hangs.
const LONG: Duration = Duration::from_secs(60);

fn client() -> SeriesClient {
    SeriesClient::new(PathBuf::from(env!("CARGO_BIN_EXE_procblock-series")))
}

fn spec(path: &Path, fields: &[&str]) -> SeriesSpec {
    let archives = vec![Archive::new(Consolidation::Average, 1, 20_000)];
    let fields = fields.iter().map(|name| FieldSpec::gauge(*name)).collect();
    SeriesSpec { archives, ..SeriesSpec::new(path, Duration::from_secs(5), fields) }
}

fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONG, future).await.expect("it does not hang") })
}

/// The numbers of the first field that `rrdtool fetch` prints, by time.
fn column(path: &Path, from: i64, to: i64) -> Vec<(i64, Option<f64>)> {
    let (from, to_text) = (from.to_string(), to.to_string());
    let output =
        Command::new("rrdtool").arg("fetch").arg(path).args(["AVERAGE", "-s", &from, "-e", &to_text]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let row = |line: &str| {
        let (time, values) = line.split_once(':')?;
        let value = values.split_whitespace().next()?.parse::<f64>().ok().filter(|value| value.is_finite());
        Some((time.parse().ok()?, value))
    };
    String::from_utf8(output.stdout).unwrap().lines().filter_map(row).filter(|(time, _)| *time <= to).collect()
}

/// Waits for something that another process does; there is no event to wait for.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What was logged, by anyone; tests look for lines with their own paths.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.target().starts_with("procblock") {
            lines().push(format!("{} {}", record.level(), record.args()));
        }
    }

    fn flush(&self) {}
}

fn lines() -> MutexGuard<'static, Vec<String>> {
    LINES.lock().unwrap()
}

/// Keeps log lines from now on.
fn watch_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Lines).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
}

/// The logged lines that hold a text.
fn logged(text: &Path) -> Vec<String> {
    let text = text.to_string_lossy();
    lines().iter().filter(|line| line.contains(&*text)).cloned().collect()
}
