//! What goes over the socket: a JSON object a line.
//!
//! The server speaks first: [`Hello`]. Then `{"id", "call", "args"}` is answered by `{"id", "result"}` or
//! `{"id", "error": {"code", "text"}}`, in whatever order answers are ready.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use unidist::service::Request;

use crate::host::HostError;
use crate::value::{Map, Value};

/// The version of the protocol, the value of `procblock` in the first line.
pub const PROTOCOL: u64 = 1;

/// The longest line that a server takes, in bytes: a value of the largest size, escaped.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest line that a server sends and a client takes, in bytes.
pub const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The first line: who answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// The version of the protocol.
    pub procblock: u64,
    /// Of the program.
    pub version: String,
    /// The process's id.
    pub process: u32,
    /// The instance's name.
    pub name: String,
    /// The file that it runs.
    pub file: Option<PathBuf>,
    /// When it started, seconds since 1970.
    pub since: f64,
}

impl Hello {
    /// This process as the instance of that name, started now.
    pub fn new(name: &str, file: Option<PathBuf>) -> Self {
        Hello {
            procblock: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            process: std::process::id(),
            name: name.into(),
            file,
            since: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        }
    }

    /// As the first line's object.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("procblock".into(), self.procblock.into());
        map.insert("version".into(), self.version.clone().into());
        map.insert("pid".into(), self.process.into());
        map.insert("name".into(), self.name.clone().into());
        map.insert("file".into(), self.file.as_ref().map(|file| file.to_string_lossy().into_owned()).into());
        map.insert("since".into(), self.since.into());
        Value::Object(map)
    }

    /// Reads the first line; `None` when it is none.
    pub fn from_value(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        Some(Hello {
            procblock: value.get("procblock")?.as_u64()?,
            version: text("version")?.to_string(),
            process: u32::try_from(value.get("pid")?.as_u64()?).ok()?,
            name: text("name")?.to_string(),
            file: text("file").map(PathBuf::from),
            since: value.get("since").and_then(Value::as_f64).unwrap_or(0.0),
        })
    }
}

/// Reads a request; an error comes with the id to answer to, null when there is none.
pub(super) fn parse_request(line: &[u8]) -> Result<Request, (Value, HostError)> {
    Request::parse(line).map_err(|(id, text)| (id, HostError::new("bad_request", text)))
}

/// The line that answers a request.
pub(super) fn answer_line(id: &Value, answer: Result<Value, HostError>) -> String {
    let mut map = Map::new();
    map.insert("id".into(), id.clone());
    match answer {
        Ok(result) => map.insert("result".into(), result),
        Err(error) => map.insert("error".into(), error_value(&error)),
    };
    let line = format!("{}\n", Value::Object(map));
    if line.len() <= REPLY_BYTES_MAX {
        return line;
    }
    let text = format!("the answer has {} bytes, over {REPLY_BYTES_MAX}; ask for less", line.len());
    answer_line(id, Err(HostError::new("too_large", text)))
}

fn error_value(error: &HostError) -> Value {
    let mut map = Map::new();
    map.insert("code".into(), error.code.clone().into());
    map.insert("text".into(), error.text.clone().into());
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_over_the_limit_becomes_an_error() {
        let line = answer_line(&json!(1), Ok("x".repeat(REPLY_BYTES_MAX).into()));
        assert!(line.starts_with(r#"{"id":1,"error":{"code":"too_large","#), "{}", line.len());
    }

    #[test]
    fn a_hello_reads_back() {
        let hello = Hello {
            procblock: PROTOCOL,
            version: "1".into(),
            process: 5,
            name: "x".into(),
            file: Some("/x.yaml".into()),
            since: 1.5,
        };
        assert_eq!(Hello::from_value(&hello.to_value()), Some(hello));
        assert_eq!(Hello::from_value(&json!({"procblock": 1})), None);
    }
}
