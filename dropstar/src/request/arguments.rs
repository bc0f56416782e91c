//! The arguments of a request: of its query, and of its body over them.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body::Body;
use tempfile::TempPath;

use crate::answer::Problem;
use crate::request::{RequestHead, body, multipart, pairs};
use crate::{Limits, Map, Value};

/// More arguments than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request has more than {0} arguments")]
pub(crate) struct TooMany(pub(crate) usize);

impl From<TooMany> for Problem {
    fn from(error: TooMany) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, error.to_string())
    }
}

/// What a request gives to a program.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// The arguments.
    pub(crate) arguments: Map,
    /// Uploaded files, which are removed when this is dropped.
    pub(crate) uploads: Vec<TempPath>,
}

impl Given {
    /// Takes out an argument that is none of the program's.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.arguments.shift_remove(name)
    }

    /// The arguments, to be shared.
    pub(crate) fn shared(&mut self) -> Arc<Map> {
        Arc::new(std::mem::take(&mut self.arguments))
    }
}

/// Reads all arguments.
///
/// # Errors
/// The body is of a kind that is not known, wrong, too large or too slow, or there are too many arguments.
pub(crate) async fn read<B>(head: &RequestHead, content: B, limits: &Limits) -> Result<Given, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let mut arguments = pairs::read(head.query().as_bytes(), limits.arguments)?;
    if content.is_end_stream() {
        return Ok(Given { arguments, uploads: Vec::new() });
    }
    // Boxed: most requests have no body, and each would carry the room that reading one takes.
    let mut given = Box::pin(of_body(head, content, limits)).await?;
    arguments.append(&mut given.arguments);
    if arguments.len() > limits.arguments {
        return Err(TooMany(limits.arguments).into());
    }
    Ok(Given { arguments, uploads: given.uploads })
}

async fn of_body<B>(head: &RequestHead, content: B, limits: &Limits) -> Result<Given, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let kind = head.header(CONTENT_TYPE).unwrap_or_default();
    let plain = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let arguments = match plain.as_str() {
        "multipart/form-data" => return multipart::read(head.headers(), kind, content, limits).await,
        "application/x-www-form-urlencoded" => {
            pairs::read(&body::read(head.headers(), content, limits).await?, limits.arguments)?
        }
        kind if is_json(kind) => match json(&body::read(head.headers(), content, limits).await?)? {
            Value::Object(map) => map,
            other => return Err(bad_json(format!("the body is {}, expected a JSON mapping", kind_of(&other)))),
        },
        "" => {
            // A body without bytes, sent in chunks, needs no kind.
            let empty = body::read(head.headers(), content, limits).await?.is_empty();
            if !empty {
                return Err(unknown_kind("no content type"));
            }
            Map::new()
        }
        kind => return Err(unknown_kind(kind)),
    };
    Ok(Given { arguments, uploads: Vec::new() })
}

/// Whether a content type is JSON.
pub(crate) fn is_json(kind: &str) -> bool {
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Reads JSON; at most 128 levels deep.
///
/// # Errors
/// It is none.
pub(crate) fn json(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| bad_json(format!("the body is no JSON: {error}")))
}

fn bad_json(text: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, text)
}

fn unknown_kind(kind: &str) -> Problem {
    let text = format!(
        "a body of {kind} is not understood, expected application/json, application/x-www-form-urlencoded or \
         multipart/form-data"
    );
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}

/// The kind of a value in words.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
