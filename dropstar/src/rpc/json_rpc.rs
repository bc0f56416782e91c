//! JSON-RPC 2.0 (<https://www.jsonrpc.org/specification>): single calls, batches, notifications.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use http_body::Body;
use serde_json::json;

use crate::answer::{self, AnswerBody, Problem};
use crate::guard::Access;
use crate::request::arguments::{is_json, kind_of};
use crate::request::{Given, body};
use crate::server::handle::{Allowed, BodyError, Content};
use crate::site::Route;
use crate::{Map, Value};

/// Calls in one batch.
const BATCH_MAX: usize = 100;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
/// The visitor may not call it; of the range that the specification leaves to servers.
const NOT_ALLOWED: i32 = -32001;
/// Too much is going on, or it took too long; try again.
const BUSY: i32 = -32002;

/// Answers a POST to `/rpc`.
///
/// # Errors
/// The body is no JSON by its type, or can't be read: told in HTTP, because there is no call yet.
pub(crate) async fn call<B>(allowed: &Allowed<'_>, content: Content<B>) -> Result<Response<AnswerBody>, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: BodyError,
{
    let kind = allowed.head.header(CONTENT_TYPE).unwrap_or_default();
    let is_json = is_json(kind.split(';').next().unwrap_or_default().trim());
    let Some(content) = content.body().filter(|_| is_json) else {
        let text = "JSON-RPC wants a body of application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    };
    let bytes = body::read(allowed.head.headers(), content, &allowed.serving.config.limits).await?;
    let replies = match serde_json::from_slice::<Value>(&bytes) {
        Err(error) => reply_error(Value::Null, PARSE_ERROR, &format!("the body is no JSON: {error}"), None),
        Ok(Value::Array(calls)) if calls.is_empty() => {
            reply_error(Value::Null, INVALID_REQUEST, "the batch is empty", None)
        }
        Ok(Value::Array(calls)) if calls.len() > BATCH_MAX => {
            reply_error(Value::Null, INVALID_REQUEST, &format!("the batch has more than {BATCH_MAX} calls"), None)
        }
        Ok(Value::Array(calls)) => {
            let mut replies = Vec::with_capacity(calls.len());
            for call in calls {
                replies.extend(one(allowed, call).await);
            }
            if replies.is_empty() {
                return Ok(nothing());
            }
            Value::Array(replies)
        }
        Ok(call) => match one(allowed, call).await {
            Some(reply) => reply,
            None => return Ok(nothing()),
        },
    };
    Ok(answer::json(&replies))
}

/// Notifications have no reply.
fn nothing() -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// A call as it was read.
struct Call {
    id: Option<Value>,
    method: String,
    parameters: Value,
}

async fn one(allowed: &Allowed<'_>, call: Value) -> Option<Value> {
    let call = match read(call) {
        Ok(call) => call,
        Err((id, text)) => return Some(reply_error(id, INVALID_REQUEST, &text, None)),
    };
    let done = run(allowed, &call.method, call.parameters).await;
    // Without an id it is a notification, which gets no reply, not even an error.
    let id = call.id?;
    Some(match done {
        Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
        Err(Refused { code, text, data }) => reply_error(id, code, &text, data),
    })
}

fn read(call: Value) -> Result<Call, (Value, String)> {
    let Value::Object(mut map) = call else {
        return Err((Value::Null, format!("a call is {}, expected a mapping", kind_of(&call))));
    };
    let id = map.remove("id");
    let known = match &id {
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        None | Some(Value::Null) => Value::Null,
        Some(_) => return Err((Value::Null, "the id is neither a text nor a number".into())),
    };
    if map.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err((known, "jsonrpc is not \"2.0\"".into()));
    }
    let Some(Value::String(method)) = map.remove("method") else {
        return Err((known, "method is not a text".into()));
    };
    let parameters = map.remove("params").unwrap_or(Value::Object(Map::new()));
    if !parameters.is_object() && !parameters.is_array() {
        return Err((known, "params is neither a mapping nor a list".into()));
    }
    Ok(Call { id, method, parameters })
}

/// Why a call has no result.
struct Refused {
    code: i32,
    text: String,
    data: Option<Value>,
}

impl Refused {
    fn new(code: i32, text: impl Into<String>) -> Refused {
        Refused { code, text: text.into(), data: None }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let code = match problem.status {
            StatusCode::BAD_REQUEST => INVALID_PARAMS,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => BUSY,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => NOT_ALLOWED,
            _ => INTERNAL_ERROR,
        };
        Refused { code, text: problem.text.into_owned(), data: problem.id.map(|id| json!({ "id": id })) }
    }
}

async fn run(allowed: &Allowed<'_>, method: &str, parameters: Value) -> Result<Value, Refused> {
    let is_name =
        !method.starts_with('/') && method.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    let route = if is_name { allowed.serving.sites.procedure(&allowed.head, method).await } else { Route::Missing };
    let entry = match &route {
        Route::Procedure(entry) => entry,
        Route::Broken(broken) => return Err(Problem::broken(broken).into()),
        _ => return Err(Refused::new(METHOD_NOT_FOUND, format!("there is no procedure {method}"))),
    };
    let access = Access::to(&route, !route.is_read_only());
    allowed.serving.guard.allow(&allowed.visitor, access).map_err(Problem::from)?;
    allowed.visitor.calls(method);
    let declaration = &entry.loaded.declaration;
    let arguments = match parameters {
        Value::Object(map) => map,
        Value::Array(values) if values.len() <= declaration.arguments.len() => {
            // By position: in the order in which they are declared.
            let names = declaration.arguments.iter().map(|argument| argument.name.clone());
            names.zip(values).collect()
        }
        Value::Array(values) => {
            let count = declaration.arguments.len();
            let text = format!("{method} declares {count} arguments, {} were given by position", values.len());
            return Err(Refused::new(INVALID_PARAMS, text));
        }
        other => return Err(Refused::new(INVALID_PARAMS, format!("params is {}", kind_of(&other)))),
    };
    if arguments.len() > allowed.serving.config.limits.arguments {
        let text = format!("the call has more than {} arguments", allowed.serving.config.limits.arguments);
        return Err(Refused::new(INVALID_PARAMS, text));
    }
    let mut given = Given { arguments, uploads: Vec::new() };
    let (mut values, _) = allowed.run(entry, &mut given).await?;
    // Status, headers and cookies are HTTP's, and here there is one answer for many calls.
    values.shift_remove("__response");
    Ok(Value::Object(values))
}

fn reply_error(id: Value, code: i32, text: &str, data: Option<Value>) -> Value {
    let mut error = json!({"code": code, "message": text});
    if let (Some(data), Some(map)) = (data, error.as_object_mut()) {
        map.insert("data".into(), data);
    }
    json!({"jsonrpc": "2.0", "error": error, "id": id})
}
