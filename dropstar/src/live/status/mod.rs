//! The status page: everything that goes on inside the instance, as one page or as JSON.
//!
//! It is made on the server from one reading and works without scripts; with them, counters and queues follow what
//! changes. It shows what nobody but an administrator may see where there are users: the log, the state, sources.

mod store;
mod view;

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::health;
use super::process::Process;
use crate::answer::{self, AnswerBody, OwnTemplate, Problem};
use crate::server::handle::Allowed;
use crate::users::Sha256;
use crate::{Failure, FailureKind, Map, Value};
use view::View;

/// Lines of the log that are shown.
const LOG_LINES: u64 = 100;

/// Series that are shown.
const SERIES_MAX: usize = 200;

const STYLE: &str = include_str!("../../assets/status/status.css");

static PAGE: LazyLock<Result<OwnTemplate, String>> =
    LazyLock::new(|| OwnTemplate::new(include_str!("../../assets/status/status.html")));

/// Allows the page's own style by its hash, our script, pictures and events; nothing from elsewhere.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = Sha256::of(STYLE.as_bytes()).to_policy_source();
    format!(
        "default-src 'none'; script-src 'self'; style-src '{style}'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )
});

/// Answers with the page, or with its values as JSON.
///
/// # Errors
/// The search is no regular expression, the source is none of the instance's, or the store can't be read.
pub(crate) async fn answer(allowed: &Allowed<'_>) -> Result<Response<AnswerBody>, Problem> {
    let view = View::read(allowed.head.query());
    let mut page = gather(allowed, &view).await?;
    if allowed.wants_json {
        return Ok(answer::json(&page));
    }
    let files = page.get("sources").and_then(Value::as_array);
    let sources: Vec<Value> = files
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|file| {
            let is_chosen = view.source.as_deref() == Some(file);
            json!({"file": file, "link": view.link_to_source(file), "is_chosen": is_chosen})
        })
        .collect();
    page.insert("sources".into(), sources.into());
    page.insert("view".into(), view.names());
    page.insert("style".into(), STYLE.into());
    page.insert("prefix".into(), allowed.serving.config.prefix.as_str().into());
    page.insert("path".into(), allowed.serving.config.status.as_str().into());
    let template = PAGE.as_ref().map_err(|text| Problem::internal("the status page is broken", text.clone()))?;
    let filled = template.fill(page).map_err(|text| Problem::internal("the status page could not be made", text))?;
    let mut answer = answer::made(filled, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    Ok(answer)
}

async fn gather(allowed: &Allowed<'_>, view: &View) -> Result<Map, Problem> {
    let instance = &allowed.serving.surroundings.instance;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let mut page = match instance.call("status", Map::new()).await {
        Ok(Value::Object(status)) => status,
        _ => Map::new(),
    };
    // Their totals; the list takes their name.
    if let Some(totals) = page.shift_remove("series") {
        page.insert("series_totals".into(), totals);
    }
    page.insert("now".into(), now.into());
    page.insert("reasons".into(), health::reasons(allowed).await.into());
    times(&mut page, now);
    let mut series = match instance.call("series", Map::new()).await {
        Ok(Value::Array(series)) => series,
        _ => Vec::new(),
    };
    page.insert("series_count".into(), series.len().into());
    series.truncate(SERIES_MAX);
    page.insert("series".into(), series.into());
    let lines = Map::from_iter([("lines".to_string(), LOG_LINES.into())]);
    let log = instance.call("logs", lines).await.unwrap_or_default();
    page.insert("log".into(), log.get("lines").cloned().unwrap_or_else(|| json!([])));
    page.insert("sources".into(), instance.call("sources", Map::new()).await.unwrap_or_else(|_| json!([])));
    if let Some(file) = &view.source {
        let wanted = Map::from_iter([("file".to_string(), file.as_str().into())]);
        let text = instance.call("sources", wanted).await.map_err(no_source)?;
        page.insert("source".into(), text);
    }
    let (requests, connections) = allowed.serving.surroundings.traffic.totals();
    let unidist = instance.unidist().clone();
    let search = view.search.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let process = Process::read();
        let server = json!({
            "requests": requests, "connections": connections, "memory": process.memory, "processor": process.processor,
        });
        page.insert("server".into(), server);
        store::read(&unidist, &search, &mut page).map(|()| page)
    });
    let read = reading.await.map_err(|error| Problem::internal("the store could not be read", error.to_string()))?;
    read.map_err(|error| match view.search.is_empty() {
        true => Problem::internal("the store could not be read", error.to_string()),
        false => Problem::new(StatusCode::BAD_REQUEST, error.to_string()),
    })
}

fn no_source(failure: Failure) -> Problem {
    let status = match failure.kind {
        FailureKind::Failed | FailureKind::Missing => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, failure.text)
}

/// Adds to each run-thread how long ago its newest run started and in how long the next will, in seconds.
fn times(page: &mut Map, now: f64) {
    let Some(Value::Object(threads)) = page.get_mut("threads") else { return };
    for thread in threads.values_mut().filter_map(Value::as_object_mut) {
        let number = |key: &str| thread.get(key).and_then(Value::as_f64);
        let since = number("last_start").map(|start| (now - start).max(0.0));
        let is_running = thread.get("is_running") == Some(&Value::Bool(true));
        let next = since.zip(number("every")).filter(|_| is_running).map(|(since, every)| (every - since).max(0.0));
        thread.insert("since_start".into(), since.into());
        thread.insert("next_start".into(), next.into());
    }
}
