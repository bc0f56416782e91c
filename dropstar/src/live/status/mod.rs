//! The status pages: what goes on inside the instance, a page for each kind of thing, also as JSON.
//!
//! They are made on the server and work without scripts; with them, numbers and the log follow what changes. They show
//! and change what only an administrator may where there are users: the log, the state, sources.

mod change;
mod counters;
mod listing;
mod locks;
mod log;
mod overview;
mod place;
mod queues;
mod series;
mod sources;
mod sparkline;
mod state;
mod threads;
mod view;
mod visit;

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use http_body::Body;
use serde_json::json;

use crate::answer::{self, AnswerBody, OwnTemplates, Problem};
use crate::request::arguments;
use crate::server::handle::{Allowed, BodyError, Content};
use crate::users::Sha256;
use crate::{Map, Value};
use change::Change;
use listing::Listing;
use place::{Kind, Place};
use visit::Visit;

const STYLE: &str = include_str!("../../assets/status/status.css");

/// Templates by the names that they use for each other.
const TEMPLATES: &[(&str, &str)] = &[
    ("base.html", include_str!("../../assets/status/base.html")),
    ("parts.html", include_str!("../../assets/status/parts.html")),
    ("overview.html", include_str!("../../assets/status/overview.html")),
    ("threads.html", include_str!("../../assets/status/threads.html")),
    ("thread.html", include_str!("../../assets/status/thread.html")),
    ("series.html", include_str!("../../assets/status/series.html")),
    ("one_series.html", include_str!("../../assets/status/one_series.html")),
    ("locks.html", include_str!("../../assets/status/locks.html")),
    ("counters.html", include_str!("../../assets/status/counters.html")),
    ("queues.html", include_str!("../../assets/status/queues.html")),
    ("queue.html", include_str!("../../assets/status/queue.html")),
    ("state.html", include_str!("../../assets/status/state.html")),
    ("key.html", include_str!("../../assets/status/key.html")),
    ("log.html", include_str!("../../assets/status/log.html")),
    ("sources.html", include_str!("../../assets/status/sources.html")),
];

static PAGES: LazyLock<Result<OwnTemplates, String>> = LazyLock::new(|| OwnTemplates::new(TEMPLATES));

/// Allows the pages' own style by its hash, our script, pictures and events; nothing from elsewhere.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = Sha256::of(STYLE.as_bytes()).to_policy_source();
    format!(
        "default-src 'none'; script-src 'self'; style-src '{style}'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )
});

/// Answers with a page, or with its values as JSON.
///
/// # Errors
/// There is no such page or thing, the search is no regular expression, or the store can't be read.
pub(crate) async fn answer(allowed: &Allowed<'_>) -> Result<Response<AnswerBody>, Problem> {
    let visit = Visit::of(allowed)?;
    let values = read(&visit).await?;
    if allowed.wants_json {
        return Ok(answer::json(&values));
    }
    show(&visit, values, None).await
}

/// Makes the change that a form or JSON asks for. Browsers are sent to what has changed, or see why it has not.
///
/// # Errors
/// The page knows no such change, an argument is wrong, or it can't be made.
pub(crate) async fn change<B>(allowed: &Allowed<'_>, content: Content<B>) -> Result<Response<AnswerBody>, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    let visit = Visit::of(allowed)?;
    if !visit.place.kind.is_changeable() {
        return Err(Problem::method("GET, HEAD, OPTIONS"));
    }
    let given = match content {
        Content::Given(given) => given.arguments,
        Content::Body(body) => arguments::read(&allowed.head, body, &allowed.serving.config.limits).await?.arguments,
    };
    let kind = allowed.head.header(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let are_json = arguments::is_json(kind.split(';').next().unwrap_or_default().trim());
    match make(&visit, &given, are_json).await {
        Ok((_, changed)) if allowed.wants_json => Ok(answer::json(&changed.to_value())),
        Ok((change, changed)) => Ok(moved(&visit, &change.place_after(&changed))),
        Err(problem) if allowed.wants_json || problem.id.is_some() => Err(problem),
        Err(problem) => match read(&visit).await {
            Ok(values) => show(&visit, values, Some((problem, &given))).await,
            // What it was about is gone, so there is no page of it to show the refusal on.
            Err(_) => Err(problem),
        },
    }
}

async fn make(visit: &Visit<'_>, given: &Map, are_json: bool) -> Result<(Change, change::Changed), Problem> {
    let change = Change::read(&visit.place, given, are_json)?;
    visit.allowed.visitor.calls(&change.to_string());
    let unidist = visit.allowed.serving.surroundings.instance.unidist().clone();
    let making = change.clone();
    let made = tokio::task::spawn_blocking(move || making.make(&unidist)).await;
    let made = made.map_err(|error| Problem::internal("a change could not be made", error.to_string()))?;
    Ok((change, made.map_err(|refused| refused.0)?))
}

async fn read(visit: &Visit<'_>) -> Result<Map, Problem> {
    match visit.place.kind {
        Kind::Overview => overview::read(visit).await,
        Kind::Threads => threads::read(visit).await,
        Kind::Series => series::read(visit).await,
        Kind::Locks => locks::read(visit).await,
        Kind::Counters => counters::read(visit).await,
        Kind::Queues => queues::read(visit).await,
        Kind::State => state::read(visit).await,
        Kind::Log => log::read(visit).await,
        Kind::Sources => sources::read(visit).await,
    }
}

fn template(visit: &Visit<'_>) -> &'static str {
    let has_name = visit.place.name.is_some();
    match visit.place.kind {
        Kind::Overview => "overview.html",
        Kind::Threads if has_name => "thread.html",
        Kind::Threads => "threads.html",
        Kind::Series if has_name => "one_series.html",
        Kind::Series => "series.html",
        Kind::Locks => "locks.html",
        Kind::Counters => "counters.html",
        Kind::Queues if has_name => "queue.html",
        Kind::Queues => "queues.html",
        Kind::State if has_name && visit.view.key.is_some() => "key.html",
        Kind::State => "state.html",
        Kind::Log => "log.html",
        Kind::Sources => "sources.html",
    }
}

/// The page with its values; with a refused change, why, and what was typed.
async fn show(
    visit: &Visit<'_>,
    mut values: Map,
    refused: Option<(Problem, &Map)>,
) -> Result<Response<AnswerBody>, Problem> {
    match visit.place.kind {
        Kind::Overview | Kind::Threads => threads::draw(&mut values),
        Kind::State => state::draw(&mut values),
        Kind::Sources => sources::draw(&mut values),
        _ => {}
    }
    values.insert("view".into(), visit.view.names());
    values.insert("page".into(), around(visit, &values, refused.as_ref()).await);
    let pages = PAGES.as_ref().map_err(|text| Problem::internal("the status pages are broken", text.clone()))?;
    let filled = pages.fill(template(visit), values);
    let filled = filled.map_err(|text| Problem::internal("the status page could not be made", text))?;
    let mut answer = answer::made(filled, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Some((problem, _)) = refused {
        *answer.status_mut() = problem.status;
    }
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    Ok(answer)
}

/// What every page has around its own.
async fn around(visit: &Visit<'_>, values: &Map, refused: Option<&(Problem, &Map)>) -> Value {
    let Place { kind, name } = &visit.place;
    let serving = visit.allowed.serving;
    let config = &serving.config;
    let about = visit.ask("about", Map::new()).await.ok().flatten().unwrap_or_default();
    let tabs = Kind::ALL.map(|(tab, word, title)| {
        let separator = if word.is_empty() { "" } else { "/" };
        json!({"link": format!("{separator}{word}"), "title": title, "is_chosen": tab == *kind})
    });
    let title = Kind::ALL.iter().find(|(known, ..)| known == kind).map(|(.., title)| *title);
    let listing = values.get("listing").and_then(|listing| {
        let number = |name: &str| listing.get(name)?.as_u64().and_then(|number| usize::try_from(number).ok());
        let listing = Listing {
            all: number("all")?,
            matching: number("matching")?,
            page: number("page")?,
            pages: number("pages")?,
        };
        Some(visit.view.beside(&listing))
    });
    json!({
        "instance": about.get("name"),
        "prefix": config.prefix,
        "root": format!("{}{}", config.prefix, config.status),
        "style": STYLE,
        "tabs": tabs,
        "word": kind.word(),
        "title": title,
        "name": name,
        "beside": listing,
        "may_change": visit.allowed.serving.guard.lets_administer(&visit.allowed.head, &visit.allowed.visitor),
        "csrf_token": visit.allowed.visitor.csrf_token().as_deref(),
        "user": visit.allowed.visitor.name().map(|name| name.to_string()),
        "done": visit.view.done,
        "alert": refused.map(|(problem, _)| problem.text.clone()),
        "typed": refused.map(|(_, given)| Value::Object((*given).clone())),
    })
}

/// The browser is sent to look at what has changed.
fn moved(visit: &Visit<'_>, place: &str) -> Response<AnswerBody> {
    let config = &visit.allowed.serving.config;
    let mut answer = Response::new(AnswerBody::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    // Names are in percent, so this fits a header.
    if let Ok(location) = HeaderValue::try_from(format!("{}{}{place}", config.prefix, config.status)) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
