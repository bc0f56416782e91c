//! The server's own routes.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Body;

use crate::answer::{self, AnswerBody, Problem};
use crate::guard::{Access, LOG_IN_BYTES_MAX};
use crate::live::events::{EventKind, Selection};
use crate::live::{assets, graph, health, metrics, series, status};
use crate::server::handle::{Allowed, BodyError, Content, options};
use crate::site::Own;
use crate::{Limits, Map, Value, request, rpc};

/// The id of the last event that a reader has.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The methods of what can only be read.
const READ: &str = "GET, HEAD, OPTIONS";

/// Answers one of the server's own routes.
///
/// # Errors
/// The method is wrong, or what a procedure gives.
pub(crate) async fn answer<B>(
    allowed: &Allowed<'_>,
    own: Own,
    content: Content<B>,
) -> Result<Response<AnswerBody>, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    let allow = match own {
        Own::Procedures => rpc::METHODS,
        Own::LogIn => "GET, HEAD, OPTIONS, POST",
        Own::LogOut => "OPTIONS, POST",
        Own::Status => "GET, HEAD, OPTIONS, POST",
        _ => READ,
    };
    if *allowed.head.method() == Method::OPTIONS {
        return Ok(options(allow));
    }
    if *allowed.head.method() == Method::POST {
        match own {
            Own::Procedures => return rpc::call(allowed, content).await,
            Own::LogIn => return log_in(allowed, content).await,
            Own::LogOut => return Ok(log_out(allowed)),
            Own::Status => return status::change(allowed, content).await,
            _ => {}
        }
    }
    allowed.reads(allow)?;
    match own {
        Own::Procedures => Ok(rpc::list(allowed).await),
        Own::OpenApi => Ok(rpc::open_api(allowed).await),
        Own::Script => Ok(assets::SCRIPT.answer(allowed.head.headers()).await),
        Own::Charts => Ok(assets::CHARTS.answer(allowed.head.headers()).await),
        Own::Events => events(allowed),
        Own::Graph => graph::answer(allowed, own.below(&allowed.head.path)).await,
        Own::Series => series::answer(allowed, own.below(&allowed.head.path)).await,
        Own::Health => Ok(answer::json(&serde_json::json!({"status": "ok"}))),
        Own::Ready => Ok(health::ready(allowed).await),
        Own::Status => status::answer(allowed).await,
        Own::Metrics => metrics::answer(allowed).await,
        Own::LogIn => Ok(allowed.serving.guard.log_in_page(&allowed.head).map(AnswerBody::from)),
        Own::LogOut => Err(Problem::method(allow)),
        Own::Version => Ok(version(allowed).await),
    }
}

async fn log_in<B>(allowed: &Allowed<'_>, content: Content<B>) -> Result<Response<AnswerBody>, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    // A log-in wants no token, so its body was not read.
    let Some(body) = content.body() else { return Err(Problem::missing()) };
    let limits = Limits { body_bytes: LOG_IN_BYTES_MAX, ..allowed.serving.config.limits.clone() };
    let bytes = request::body::read(allowed.head.headers(), body, &limits).await?;
    Ok(allowed.serving.guard.log_in(&allowed.head, &bytes).await.map(AnswerBody::from))
}

/// The versions of what runs here: the instance's own, and the server's.
async fn version(allowed: &Allowed<'_>) -> Response<AnswerBody> {
    let about = allowed.serving.surroundings.instance.call("about", Map::new()).await.unwrap_or_default();
    let mut versions = match about.get("versions") {
        Some(Value::Object(versions)) => versions.clone(),
        _ => Map::new(),
    };
    versions.insert("dropstar".into(), env!("CARGO_PKG_VERSION").into());
    answer::json(&versions)
}

fn log_out(allowed: &Allowed<'_>) -> Response<AnswerBody> {
    allowed.serving.guard.log_out(&allowed.head, &allowed.visitor).map(AnswerBody::from)
}

/// What changes, from the event after the one that the reader names: the header is a browser's, the query a page's own.
fn events(allowed: &Allowed<'_>) -> Result<Response<AnswerBody>, Problem> {
    let query = allowed.head.query();
    let selection = Selection::read(query).map_err(|text| Problem::new(StatusCode::BAD_REQUEST, text))?;
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "last_id").map(|(_, id)| id);
    if selection.has(EventKind::Log) {
        allowed.serving.guard.allow(&allowed.visitor, Access::Inside)?;
    }
    let last_id = allowed.head.header(LAST_EVENT_ID).or(named.as_deref());
    let surroundings = &allowed.serving.surroundings;
    let body = surroundings.hub.read(selection, last_id, allowed.serving.config.limits.event_readers);
    let Some(body) = body else { return Err(Problem::busy()) };
    let mut answer = Response::new(AnswerBody::Stream(Box::pin(body)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would gather the events otherwise.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(answer)
}
