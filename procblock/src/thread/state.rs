//! What is known of a run-thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::RunError;
use crate::value::{Map, Value};

/// One finished run that gave a result.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What the step returned.
    pub result: Arc<Map>,
    /// When it ended.
    pub finished: Instant,
}

/// Counts and results of a run-thread; the lock around it is held for moments only.
#[derive(Debug, Default)]
pub struct ThreadState {
    /// Whether a run is under way.
    pub is_busy: bool,
    /// Whether no further run will start.
    pub has_ended: bool,
    /// Runs finished, failed ones included.
    pub runs: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Runs that started late.
    pub late: u64,
    /// Starts left out because the run before was still under way, or the machine was.
    pub skipped: u64,
    /// When the newest run started.
    pub last_start: Option<SystemTime>,
    /// How long the newest finished run took.
    pub last_duration: Option<Duration>,
    /// Why the newest failed run failed.
    pub last_error: Option<RunError>,
    /// Whether the newest finished run failed.
    pub is_failing: bool,
    /// Newest results, the newest last.
    pub history: VecDeque<Kept>,
}

impl ThreadState {
    /// Keeps the outcome of a run.
    pub fn finish(&mut self, outcome: Result<Map, RunError>, duration: Duration, history_max: usize) {
        self.is_busy = false;
        self.runs += 1;
        self.last_duration = Some(duration);
        self.is_failing = outcome.is_err();
        match outcome {
            Ok(result) => {
                while self.history.len() >= history_max {
                    self.history.pop_front();
                }
                self.history.push_back(Kept { result: Arc::new(result), finished: Instant::now() });
            }
            Err(error) => {
                self.failed += 1;
                self.last_error = Some(error);
            }
        }
    }

    /// The newest result.
    pub fn newest(&self) -> Option<&Kept> {
        self.history.back()
    }

    /// The state as data: for results, `status` and pages.
    pub fn to_value(&self, scripts: &[String], every: Duration) -> Value {
        let mut map = Map::new();
        map.insert("is_running".into(), (!self.has_ended).into());
        map.insert("scripts".into(), scripts.to_vec().into());
        map.insert("every".into(), every.as_secs_f64().into());
        map.insert("runs".into(), self.runs.into());
        map.insert("failed".into(), self.failed.into());
        map.insert("late".into(), self.late.into());
        map.insert("skipped".into(), self.skipped.into());
        map.insert("age".into(), self.newest().map(|kept| round(kept.finished.elapsed())).into());
        let start = self.last_start.and_then(|start| start.duration_since(UNIX_EPOCH).ok());
        map.insert("last_start".into(), start.map(round).into());
        map.insert("last_duration".into(), self.last_duration.map(round).into());
        map.insert("error".into(), self.last_error.as_ref().map(ToString::to_string).into());
        map.insert("is_failing".into(), self.is_failing.into());
        Value::Object(map)
    }
}

/// Seconds, to the microsecond.
fn round(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}
