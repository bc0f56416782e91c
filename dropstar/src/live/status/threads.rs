//! Run-threads and workers: all of them, or one with what its runs took, gave and failed with.

use serde_json::json;

use super::listing::part;
use super::sparkline::sparkline;
use super::visit::{Visit, now};
use crate::answer::Problem;
use crate::{Map, Value};

/// What the page shows.
///
/// # Errors
/// There is no run-thread of the name.
pub(super) async fn read(visit: &Visit<'_>) -> Result<Map, Problem> {
    let now = now();
    let mut page = Map::new();
    page.insert("now".into(), now.into());
    if let Some(name) = &visit.place.name {
        let mut thread = visit.ask_about("thread", "name", name).await?;
        if let Some(thread) = thread.as_object_mut() {
            add_time(thread, now);
        }
        page.insert("name".into(), name.as_str().into());
        page.insert("thread".into(), thread);
        return Ok(page);
    }
    let threads = match visit.ask("threads", Map::new()).await {
        Ok(Some(Value::Object(threads))) => threads,
        _ => Map::new(),
    };
    let (threads, listing) = part(threads, |(name, _)| name, &visit.view);
    page.insert("threads".into(), Value::Object(threads.into_iter().collect()));
    page.insert("listing".into(), listing.to_value());
    add_times(&mut page, now);
    add_durations(visit, &mut page).await;
    if let Ok(Some(Value::Object(mut status))) = visit.ask("status", Map::new()).await {
        page.insert("workers".into(), status.shift_remove("workers").unwrap_or_else(|| json!({})));
        page.insert("lateness".into(), status.shift_remove("lateness").unwrap_or_default());
    }
    Ok(page)
}

/// Adds to each run-thread how long ago its newest run started and in how long the next will, in seconds.
pub(super) fn add_times(page: &mut Map, now: f64) {
    let Some(Value::Object(threads)) = page.get_mut("threads") else { return };
    threads.values_mut().filter_map(Value::as_object_mut).for_each(|thread| add_time(thread, now));
}

/// Adds to each run-thread how its newest runs went: `[seconds, has_failed]`. Only those that are shown are asked about:
/// there can be many thousands.
pub(super) async fn add_durations(visit: &Visit<'_>, page: &mut Map) {
    let Some(Value::Object(threads)) = page.get_mut("threads") else { return };
    let names: Value = threads.keys().cloned().collect();
    let told = visit.ask("durations", Map::from_iter([("names".to_string(), names)])).await;
    let Ok(Some(Value::Object(mut told))) = told else { return };
    for (name, thread) in threads.iter_mut() {
        if let (Some(durations), Value::Object(thread)) = (told.remove(name), thread) {
            thread.insert("durations".into(), durations);
        }
    }
}

fn add_time(thread: &mut Map, now: f64) {
    let number = |key: &str| thread.get(key).and_then(Value::as_f64);
    let since = number("last_start").map(|start| (now - start).max(0.0));
    let is_running = thread.get("is_running") == Some(&Value::Bool(true));
    let next = since.zip(number("every")).filter(|_| is_running).map(|(since, every)| (every - since).max(0.0));
    thread.insert("since_start".into(), since.into());
    thread.insert("next_start".into(), next.into());
}

/// Adds what only people look at: pictures of durations.
pub(super) fn draw(page: &mut Map) {
    let picture = |thread: &mut Map, width: f64, height: f64| {
        let durations = thread.get("durations").and_then(Value::as_array);
        let drawn = durations.and_then(|durations| sparkline(durations, width, height));
        thread.insert("sparkline".into(), drawn.into());
    };
    if let Some(Value::Object(threads)) = page.get_mut("threads") {
        threads.values_mut().filter_map(Value::as_object_mut).for_each(|thread| picture(thread, 120.0, 22.0));
    }
    if let Some(Value::Object(thread)) = page.get_mut("thread") {
        picture(thread, 640.0, 90.0);
    }
}
