//! What is known of a run-thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::RunError;
use crate::value::{Map, Value};

/// Runs whose durations are kept.
const DURATIONS_MAX: usize = 100;

/// Different errors that are kept.
const ERRORS_MAX: usize = 5;

/// A kept error is cut at this length, in bytes.
const ERROR_BYTES_MAX: usize = 4096;

/// How a finished run went; small, because many run-threads keep many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Took {
    /// In seconds.
    pub seconds: f32,
    /// Whether it failed.
    pub has_failed: bool,
}

/// An error of one run, or of several with the same text one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// When the newest of them ended.
    pub at: SystemTime,
    /// What it said.
    pub text: String,
    /// How many runs said so.
    pub times: u64,
}

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
    /// How the newest runs went, the newest last.
    pub durations: VecDeque<Took>,
    /// The newest different errors, the newest last.
    pub errors: VecDeque<Failed>,
}

impl ThreadState {
    /// Keeps the outcome of a run.
    pub fn finish(&mut self, outcome: Result<Map, RunError>, duration: Duration, history_max: usize) {
        self.is_busy = false;
        self.runs += 1;
        self.last_duration = Some(duration);
        self.is_failing = outcome.is_err();
        if self.durations.len() >= DURATIONS_MAX {
            self.durations.pop_front();
        }
        self.durations.push_back(Took { seconds: duration.as_secs_f32(), has_failed: outcome.is_err() });
        match outcome {
            Ok(result) => {
                while self.history.len() >= history_max {
                    self.history.pop_front();
                }
                self.history.push_back(Kept { result: Arc::new(result), finished: Instant::now() });
            }
            Err(error) => {
                self.failed += 1;
                self.keep_error(error.to_string());
                self.last_error = Some(error);
            }
        }
    }

    fn keep_error(&mut self, mut text: String) {
        let end = (0..=ERROR_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        let at = SystemTime::now();
        match self.errors.back_mut().filter(|last| last.text == text) {
            Some(last) => {
                last.at = at;
                last.times += 1;
            }
            None => {
                if self.errors.len() >= ERRORS_MAX {
                    self.errors.pop_front();
                }
                self.errors.push_back(Failed { at, text, times: 1 });
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

impl Took {
    /// `[seconds, has_failed]`
    pub fn to_value(self) -> Value {
        let micros = (f64::from(self.seconds) * 1e6).round() / 1e6;
        Value::Array(vec![micros.into(), self.has_failed.into()])
    }
}

/// Seconds, to the microsecond.
fn round(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_different_errors_are_kept_within_bounds() {
        let mut state = ThreadState::default();
        for _ in 0..DURATIONS_MAX + 5 {
            state.finish(Ok(Map::new()), Duration::from_millis(1500), 1);
        }
        for error in ["a", "a", "b"] {
            state.finish(Err(RunError::failed(error)), Duration::ZERO, 1);
        }
        state.finish(Err(RunError::failed("ü".repeat(ERROR_BYTES_MAX))), Duration::ZERO, 1);
        assert_eq!(state.durations.len(), DURATIONS_MAX);
        assert_eq!(state.durations.front().map(|took| took.to_value().to_string()).as_deref(), Some("[1.5,false]"));
        assert_eq!(state.durations.back().map(|took| took.has_failed), Some(true));
        let kept: Vec<(usize, u64)> = state.errors.iter().map(|error| (error.text.len(), error.times)).collect();
        assert_eq!(kept, [(1, 2), (1, 1), (ERROR_BYTES_MAX, 1)]);
    }
}
