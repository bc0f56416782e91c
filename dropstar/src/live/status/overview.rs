//! The overview: how the instance is, and the first things of each kind.

use serde_json::json;

use super::threads;
use super::visit::{Visit, now, refused};
use super::{locks, queues};
use crate::answer::Problem;
use crate::live::health;
use crate::live::process::Process;
use crate::{Map, Value};
use unidist::{Error, Unidist};

/// Lines of the log that are shown.
const LOG_LINES: u64 = 15;

/// Series that are shown.
const SERIES_MAX: usize = 6;

/// Run-threads that are shown; those that fail come first.
const THREADS_MAX: usize = 25;

/// Locks, counters, queues and buckets that are shown, of each.
const SHOWN_MAX: usize = 20;

/// What the page shows.
///
/// # Errors
/// The store can't be read.
pub(super) async fn read(visit: &Visit<'_>) -> Result<Map, Problem> {
    let now = now();
    let mut page = match visit.ask("status", Map::new()).await {
        Ok(Some(Value::Object(status))) => status,
        _ => Map::new(),
    };
    // Their totals; the list takes their name.
    if let Some(totals) = page.shift_remove("series") {
        page.insert("series_totals".into(), totals);
    }
    page.insert("now".into(), now.into());
    page.insert("reasons".into(), health::reasons(visit.allowed).await.into());
    threads::add_times(&mut page, now);
    shorten_threads(&mut page);
    threads::add_durations(visit, &mut page).await;
    let mut series = match visit.ask("series", Map::new()).await {
        Ok(Some(Value::Array(series))) => series,
        _ => Vec::new(),
    };
    page.insert("series_count".into(), series.len().into());
    series.truncate(SERIES_MAX);
    page.insert("series".into(), series.into());
    let lines = Map::from_iter([("lines".to_string(), LOG_LINES.into())]);
    let log = visit.ask("logs", lines).await.ok().flatten().unwrap_or_default();
    page.insert("log".into(), log.get("lines").cloned().unwrap_or_else(|| json!([])));
    let (requests, connections) = visit.allowed.serving.surroundings.traffic.totals();
    let unidist = visit.allowed.serving.surroundings.instance.unidist().clone();
    let reading = tokio::task::spawn_blocking(move || {
        let process = Process::read();
        let server = json!({
            "requests": requests, "connections": connections, "memory": process.memory, "processor": process.processor,
        });
        page.insert("server".into(), server);
        of_store(&unidist, &mut page).map(|()| page)
    });
    let read = reading.await.map_err(|error| Problem::internal("the store could not be read", error.to_string()))?;
    read.map_err(refused)
}

fn shorten_threads(page: &mut Map) {
    let Some(Value::Object(threads)) = page.get_mut("threads") else { return };
    let is_failing = |thread: &Value| thread.get("is_failing") == Some(&Value::Bool(true));
    let mut all: Vec<(String, Value)> = std::mem::take(threads).into_iter().collect();
    let count = all.len();
    all.sort_by_key(|(_, thread)| !is_failing(thread));
    *threads = all.into_iter().take(THREADS_MAX).collect();
    page.insert("threads_count".into(), count.into());
}

fn of_store(unidist: &Unidist, page: &mut Map) -> Result<(), Error> {
    let locks = unidist.sharedlock().find_all_locked()?;
    page.insert("locks_count".into(), locks.len().into());
    page.insert("locks".into(), locks.iter().take(SHOWN_MAX).map(locks::lock).collect());
    let counters = unidist.sharedcounter().all()?;
    page.insert("counters_count".into(), counters.len().into());
    let shown: Map = counters.into_iter().take(SHOWN_MAX).map(|(name, value)| (name, value.into())).collect();
    page.insert("counters".into(), Value::Object(shown));
    let names = unidist.messagequeue().list()?;
    page.insert("queues_count".into(), names.len().into());
    let queues: Result<Vec<Value>, Error> =
        names.iter().take(SHOWN_MAX).map(|name| queues::queue(unidist, name)).collect();
    page.insert("queues".into(), queues?.into());
    let buckets = unidist.sharedstate().buckets()?;
    page.insert("buckets_count".into(), buckets.len().into());
    page.insert("buckets".into(), buckets.into_iter().take(SHOWN_MAX).collect());
    Ok(())
}
