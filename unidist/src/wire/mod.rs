//! What goes between a store's owner and other processes: a JSON object a line, within bounds.
//!
//! The owner speaks first ([`Hello`]). Then `{"id", "call", "args"}` is answered by `{"id", "result"}` or
//! `{"id", "error": {"code", "text"}}`. A call is a function by name (`sharedcounter.increment`, arguments as a list)
//! or one of four that other stores of this library use: `node.begin` names the session that the connection belongs to,
//! `node.ask` does what an engine does ([`ask::Ask`]), `node.events` gives what was waited for, and `node.end` is the
//! orderly end of a session.

pub(crate) mod ask;
mod eager;
mod fault;
mod lines;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::eager::Eager;
pub(crate) use self::fault::{error_of, fault_of};
pub use self::lines::{LineReader, Next};

/// The version of the protocol, the value of `unidist` in the first line.
pub(crate) const PROTOCOL: u64 = 1;

/// The longest line either way, in bytes: eight times the largest value, which is what escapes can make of it.
pub const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How deep a line may nest: a value of the deepest kind, and what is around it.
const DEPTH_MAX: usize = crate::limits::VALUE_DEPTH_MAX + 16;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol.
    pub unidist: u64,
    /// This opening of the store: another one has other locks and, under `memory:`, other contents.
    pub opening: String,
    /// Whether answers survive the owner, so that a request can be repeated to the next one.
    #[serde(default)]
    pub remembers: bool,
    /// Whether what is acknowledged may still be lost with the owner.
    #[serde(default)]
    pub is_relaxed: bool,
    /// The owner's process.
    pub pid: u32,
}

/// A request as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What the answer is marked with: a number or a text.
    pub id: Value,
    /// The function.
    pub call: String,
    /// Positional; a mapping given as `args` is one argument.
    pub args: Vec<Value>,
}

/// A request as nearly all are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    id: Value,
    call: String,
    args: Vec<Value>,
}

/// A line that is no request: the id to answer to, null when there is none, and what is wrong.
pub type BadRequest = (Value, String);

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// It is no JSON, nests too deep, or has other keys than id, call and args.
    pub fn parse(line: &[u8]) -> Result<Self, BadRequest> {
        match read_json::<Plain>(line) {
            Ok(Plain { id: id @ (Value::String(_) | Value::Number(_)), call, args }) => Ok(Request { id, call, args }),
            _ => Self::parse_slowly(line),
        }
    }

    /// Any request, or what is wrong with it.
    fn parse_slowly(line: &[u8]) -> Result<Self, BadRequest> {
        let value = read_json(line).map_err(|text| (Value::Null, format!("the request is no JSON: {text}")))?;
        let Value::Object(mut map) = value else {
            return Err((Value::Null, "a request is {\"id\", \"call\", \"args\"}".to_owned()));
        };
        let id = match map.remove("id") {
            Some(id @ (Value::String(_) | Value::Number(_))) => id,
            Some(_) => return Err((Value::Null, "the id of a request is a number or a text".to_owned())),
            None => return Err((Value::Null, "the request has no id".to_owned())),
        };
        let call = map.remove("call");
        let args = map.remove("args");
        if let Some(key) = map.keys().next() {
            return Err((id, format!("a request has no {key:?}; it has id, call and args")));
        }
        let Some(Value::String(call)) = call else { return Err((id, "the request names no call".to_owned())) };
        let args = match args {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(args)) => args,
            Some(options @ Value::Object(_)) => vec![options],
            Some(_) => return Err((id, "args is a list".to_owned())),
        };
        Ok(Request { id, call, args })
    }
}

/// An answer as it is read.
#[derive(Deserialize)]
pub(crate) struct Reply {
    #[serde(default)]
    pub(crate) result: Value,
    #[serde(default)]
    pub(crate) error: Option<Value>,
}

/// The line that answers a request.
pub(crate) fn answer_line(id: &Value, answer: Result<Value, Value>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        id: &'a Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Value>,
    }
    let (result, error) = match answer {
        Ok(result) => (Some(result), None),
        Err(error) => (None, Some(error)),
    };
    let line = line_of(&Line { id, result, error });
    if line.len() <= LINE_BYTES_MAX {
        return line;
    }
    let text = format!("the answer has {} bytes, over {LINE_BYTES_MAX}: ask for less", line.len());
    answer_line(id, Err(plain_fault("too_large", &text)))
}

/// An error that is none of the library's.
pub(crate) fn plain_fault(code: &str, text: &str) -> Value {
    serde_json::json!({"code": code, "text": text})
}

/// A value as a line.
pub(crate) fn line_of(value: &impl Serialize) -> Vec<u8> {
    // What is sent always has a JSON form.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Reads JSON as deep as values may be.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    check_depth(line)?;
    let mut reader = serde_json::Deserializer::from_slice(line);
    reader.disable_recursion_limit();
    let value = T::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// The recursion of the reader is bounded by this, before it begins.
fn check_depth(line: &[u8]) -> Result<(), String> {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in line {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(format!("it nests deeper than {DEPTH_MAX} levels"));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_read_with_a_list_a_mapping_or_nothing() {
        let parse = |line: &str| Request::parse(line.as_bytes()).unwrap();
        assert_eq!(parse(r#"{"id":1,"call":"x"}"#), Request { id: json!(1), call: "x".into(), args: vec![] });
        assert_eq!(parse(r#"{"id":"a","call":"x","args":[1,"b"]}"#).args, [json!(1), json!("b")]);
        assert_eq!(parse(r#"{"id":1,"call":"x","args":{"a":5}}"#).args, [json!({"a": 5})]);
    }

    #[test]
    fn a_wrong_request_is_told_with_its_id() {
        let deep = format!(r#"{{"id":1,"call":"x","args":{}}}"#, "[".repeat(1_000_000));
        for (line, id, part) in [
            ("", json!(null), "no JSON"),
            ("\u{0}", json!(null), "no JSON"),
            ("[1]", json!(null), "a request is"),
            (r#"{"call":"x"}"#, json!(null), "no id"),
            (r#"{"id":{},"call":"x"}"#, json!(null), "a number or a text"),
            (r#"{"id":7}"#, json!(7), "names no call"),
            (r#"{"id":7,"call":"x","args":1}"#, json!(7), "args is a list"),
            (r#"{"id":7,"call":"x","extra":1}"#, json!(7), "no \"extra\""),
            (&deep, json!(null), "nests deeper"),
        ] {
            let (found, text) = Request::parse(line.as_bytes()).unwrap_err();
            assert_eq!(found, id);
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn the_deepest_value_passes_whatever_its_texts_hold() {
        let deep = (0..crate::limits::VALUE_DEPTH_MAX).fold(json!("[[[\"\\[{"), |value, _| json!([value]));
        let line = line_of(&json!({"id": 1, "call": "x", "args": [{"ask": {"value": deep}}]}));
        assert_eq!(Request::parse(&line).unwrap().args, [json!({"ask": {"value": deep}})]);
    }
}
