//! What goes over the socket: a JSON object a line.
//!
//! The server speaks first: [`Hello`]. Then `{"id", "call", "args"}` is answered by `{"id", "result"}` or
//! `{"id", "error": {"code", "text"}}`, in whatever order answers are ready.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::host::HostError;
use crate::value::{Map, Value, kind_name};

/// The version of the protocol, the value of `procblock` in the first line.
pub const PROTOCOL: u64 = 1;

/// The longest line that a server takes, in bytes: a value of the largest size, escaped.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest line that a server sends and a client takes, in bytes.
pub const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The keys of a request.
const KEYS: &[&str] = &["id", "call", "args"];

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

/// What a client asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub(super) id: Value,
    pub(super) call: String,
    /// Positional; a mapping given as `args` is one argument.
    pub(super) args: Vec<Value>,
}

impl Request {
    /// Reads a line; an error comes with the id to answer to, null when there is none.
    pub(super) fn parse(line: &[u8]) -> Result<Self, (Value, HostError)> {
        let refuse = |id: Value, text: String| (id, HostError::new("bad_request", text));
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| refuse(Value::Null, format!("the request is no JSON: {error}")))?;
        let Value::Object(mut map) = value else {
            let found = kind_name(&value);
            return Err(refuse(Value::Null, format!("a request is {{\"id\", \"call\", \"args\"}}, found a {found}")));
        };
        let id = match map.remove("id") {
            Some(id @ (Value::String(_) | Value::Number(_))) => id,
            Some(_) => return Err(refuse(Value::Null, "the id of a request is a number or a text".into())),
            None => return Err(refuse(Value::Null, "the request has no id".into())),
        };
        if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(refuse(id, format!("a request has no {key:?}; it has id, call and args")));
        }
        let Some(Value::String(call)) = map.remove("call") else {
            return Err(refuse(id, "the request names no call".into()));
        };
        let args = match map.remove("args") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(args)) => args,
            Some(options @ Value::Object(_)) => vec![options],
            Some(_) => return Err(refuse(id, "args is a list".into())),
        };
        Ok(Request { id, call, args })
    }
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
    fn a_request_is_read_with_a_list_a_mapping_or_nothing() {
        let parse = |line: &str| Request::parse(line.as_bytes()).unwrap();
        assert_eq!(parse(r#"{"id":1,"call":"stop"}"#), Request { id: json!(1), call: "stop".into(), args: vec![] });
        assert_eq!(parse(r#"{"id":"a","call":"x","args":[1,"b"]}"#).args, [json!(1), json!("b")]);
        assert_eq!(parse(r#"{"id":1,"call":"logs","args":{"lines":5}}"#).args, [json!({"lines": 5})]);
    }

    #[test]
    fn a_wrong_request_is_told_with_its_id() {
        for (line, id, part) in [
            ("", json!(null), "no JSON"),
            ("\u{0}", json!(null), "no JSON"),
            ("[1]", json!(null), "found a list"),
            (r#"{"call":"x"}"#, json!(null), "no id"),
            (r#"{"id":{},"call":"x"}"#, json!(null), "a number or a text"),
            (r#"{"id":7}"#, json!(7), "names no call"),
            (r#"{"id":7,"call":"x","args":1}"#, json!(7), "args is a list"),
            (r#"{"id":7,"call":"x","extra":1}"#, json!(7), "no \"extra\""),
        ] {
            let (found, error) = Request::parse(line.as_bytes()).unwrap_err();
            assert_eq!(found, id, "{line}");
            assert!(error.text.contains(part), "{}", error.text);
        }
        let deep = format!(r#"{{"id":1,"call":"x","args":{}}}"#, "[".repeat(100_000));
        assert!(Request::parse(deep.as_bytes()).is_err());
    }

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
