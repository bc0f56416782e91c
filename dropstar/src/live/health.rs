//! `/readyz`: whether requests should be sent here and whether all goes well, with the reasons where not.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Response, StatusCode};
use serde_json::json;

use crate::answer::{self, AnswerBody};
use crate::server::handle::Allowed;
use crate::{FailureKind, Map, Value};

/// Reasons that are told; past these only how many there are.
const REASONS_MAX: usize = 20;

/// A run-thread is stuck when its newest start is this many periods ago, and at least [`STUCK_MIN`].
const STUCK_PERIODS: f64 = 3.0;

/// In seconds.
const STUCK_MIN: f64 = 60.0;

/// Answers 200 `{"status": "ready"}`, or 503 with the reasons.
pub(crate) async fn ready(allowed: &Allowed<'_>) -> Response<AnswerBody> {
    let reasons = reasons(allowed).await;
    if reasons.is_empty() {
        return answer::json(&json!({"status": "ready"}));
    }
    let mut answer = answer::json(&json!({"status": "not ready", "reasons": reasons}));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}

/// Why this server is not ready; none when it is.
pub(super) async fn reasons(allowed: &Allowed<'_>) -> Vec<String> {
    let surroundings = &allowed.serving.surroundings;
    let mut reasons = Vec::new();
    if surroundings.is_ending() {
        reasons.push("the server ends".to_string());
    }
    match surroundings.instance.call("status", Map::new()).await {
        Ok(status) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            reasons.extend(of_instance(&status, now));
        }
        // There is no instance around the server, so there is nothing to wait for.
        Err(failure) if failure.kind == FailureKind::Missing => {}
        Err(failure) => reasons.push(format!("the instance does not tell its status: {}", failure.text)),
    }
    let unidist = surroundings.instance.unidist().clone();
    let reading = tokio::task::spawn_blocking(move || unidist.sharedstate().revision());
    if let Ok(Err(error)) = reading.await {
        reasons.push(format!("the store can't be read: {error}"));
    }
    let more = reasons.len().saturating_sub(REASONS_MAX);
    if more > 0 {
        reasons.truncate(REASONS_MAX);
        reasons.push(format!("and {more} more"));
    }
    reasons
}

/// What keeps an instance of this status from being ready; `now` in seconds since 1970.
fn of_instance(status: &Value, now: f64) -> Vec<String> {
    let mut reasons = Vec::new();
    if status.get("stopping") == Some(&Value::Bool(true)) {
        reasons.push("the instance stops".to_string());
    }
    let threads = status.get("threads").and_then(Value::as_object);
    reasons.extend(threads.into_iter().flatten().filter_map(|(name, thread)| of_thread(name, thread, now)));
    reasons
}

fn of_thread(name: &str, thread: &Value, now: f64) -> Option<String> {
    let is = |key: &str| thread.get(key) == Some(&Value::Bool(true));
    let number = |key: &str| thread.get(key).and_then(Value::as_f64);
    if is("is_failing") {
        let error = thread.get("error").and_then(Value::as_str).unwrap_or("for an unknown reason");
        return Some(format!("the run-thread {name} fails: {error}"));
    }
    if !is("is_running") {
        return None;
    }
    let period = number("every").unwrap_or_default();
    let since = now - number("last_start").unwrap_or(now);
    if since > (period * STUCK_PERIODS).max(STUCK_MIN) {
        return Some(format!("the run-thread {name} is stuck: it runs every {period} s and started {since:.0} s ago"));
    }
    if number("runs") == Some(0.0) {
        return Some(format!("the run-thread {name} has not finished a run yet"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_ready_when_every_run_thread_has_run_and_none_fails_or_is_stuck() {
        let thread = |change: Value| {
            let mut thread = json!({"is_running": true, "every": 5.0, "runs": 2, "last_start": 995.0, "error": null});
            let changes = change.as_object().unwrap().clone();
            thread.as_object_mut().unwrap().extend(changes);
            of_instance(&json!({"stopping": false, "threads": {"cpu": thread}}), 1000.0).pop().unwrap_or_default()
        };
        assert_eq!(thread(json!({})), "");
        assert_eq!(thread(json!({"runs": 0})), "the run-thread cpu has not finished a run yet");
        assert_eq!(thread(json!({"is_failing": true, "error": "no x"})), "the run-thread cpu fails: no x");
        let stuck = "the run-thread cpu is stuck: it runs every 5 s and started 61 s ago";
        assert_eq!(thread(json!({"last_start": 939.0})), stuck);
        assert_eq!(thread(json!({"last_start": 939.0, "every": 30.0})), "", "a slow period");
        assert_eq!(thread(json!({"last_start": 1.0, "is_running": false})), "", "it has ended");
        assert_eq!(of_instance(&json!({"stopping": true}), 0.0), ["the instance stops"]);
        assert!(of_instance(&json!({}), 0.0).is_empty());
    }
}
