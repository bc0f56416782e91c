//! Calls of procedures that another instance serves: one HTTP request, a mapping of arguments in, a mapping out.
//!
//! Flat, as `/rpc/NAME` takes it, or JSON-RPC 2.0 to any server that speaks it. What goes wrong is an [`HttpError`]: also
//! an answer that says so.

use std::path::Path;

use serde_json::json;
use unidist::Stop;

use crate::http::{Answer, HttpClient, HttpError, HttpErrorKind, Request, read_request};
use crate::value::{Map, Value, kind_name};

/// What may be said of a call besides its URL, name and arguments. All but the last are those of an HTTP request.
pub const OPTIONS: &[&str] = &["timeout", "token", "user", "password", "verify", "ca file", "json rpc"];

/// A call, ready to be sent. Not printable as a whole: it may hold secrets.
pub struct Call {
    request: Request,
    name: String,
    is_json_rpc: bool,
}

impl Call {
    /// Reads a call. `url` is the address of the server, under which `rpc/NAME` lies; with `json rpc` it is that of the
    /// JSON-RPC 2.0 service itself. A relative `ca file` starts from `folder`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(url: &str, name: &str, arguments: &Map, options: &Map, folder: &Path) -> Result<Self, String> {
        if let Some(unknown) = options.keys().find(|key| !OPTIONS.contains(&key.replace('_', " ").as_str())) {
            return Err(format!("a call has no option {unknown}; there are: {}", OPTIONS.join(", ")));
        }
        if !is_name(name) {
            let shown = name.escape_debug();
            return Err(format!("\"{shown}\" can't be the name of a procedure; expected letters, digits, - _ . and /"));
        }
        let is_json_rpc = match options.get("json rpc").or_else(|| options.get("json_rpc")) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(is_json_rpc)) => *is_json_rpc,
            Some(other) => return Err(format!("json rpc is a {}; expected true or false", kind_name(other))),
        };
        let mut given: Map = options.clone();
        given.retain(|key, _| key.replace('_', " ") != "json rpc");
        if is_json_rpc {
            given.insert("url".into(), url.into());
            given.insert("json".into(), json!({"jsonrpc": "2.0", "id": 1, "method": name, "params": arguments}));
        } else {
            if url.contains(['?', '#']) {
                return Err("the url of a call has a query; expected the address of a server".into());
            }
            given.insert("url".into(), format!("{}/rpc/{name}", url.trim_end_matches('/')).into());
            given.insert("json".into(), Value::Object(arguments.clone()));
        }
        given.insert("headers".into(), json!({"Accept": "application/json"}));
        given.insert("follow redirects".into(), 0.into());
        let request = read_request(&given, folder).map_err(|error| error.to_string())?;
        Ok(Call { request, name: name.to_string(), is_json_rpc })
    }

    /// How long it may take.
    pub fn set_timeout(&mut self, timeout: std::time::Duration) {
        self.request.timeout = timeout;
    }

    /// Sends it and gives the reply. Only what is sent may have been done when there is no reply.
    ///
    /// # Errors
    /// There is no reply, or it says that the call failed.
    pub async fn send(&self, client: &HttpClient, stop: &Stop) -> Result<Map, HttpError> {
        let answer = client.send(&self.request, stop).await?;
        if self.is_json_rpc { self.read_json_rpc(&answer) } else { self.read_flat(&answer) }
    }

    fn read_flat(&self, answer: &Answer) -> Result<Map, HttpError> {
        let is_good = (200..300).contains(&answer.status());
        match answer.json() {
            Ok(Value::Object(map)) if is_good => Ok(map),
            Ok(Value::Null) if is_good => Ok(Map::new()),
            Ok(other) if is_good => Err(self.failed(answer, format!("answered with a {}", kind_name(&other)))),
            Ok(other) => Err(self.failed(answer, told(&other).unwrap_or_else(|| "failed".into()))),
            Err(error) if is_good => Err(error),
            Err(_) => Err(self.failed(answer, "failed".into())),
        }
    }

    fn read_json_rpc(&self, answer: &Answer) -> Result<Map, HttpError> {
        let reply = match answer.json() {
            Ok(reply) => reply,
            Err(_) if !(200..300).contains(&answer.status()) => return Err(self.failed(answer, "failed".into())),
            Err(error) => return Err(error),
        };
        if let Some(text) = told(&reply) {
            return Err(self.failed(answer, text));
        }
        match reply.get("result") {
            Some(Value::Object(map)) => Ok(map.clone()),
            Some(Value::Null) => Ok(Map::new()),
            Some(other) => Ok(Map::from_iter([("result".to_string(), other.clone())])),
            None => Err(self.failed(answer, "answered with neither result nor error".into())),
        }
    }

    fn failed(&self, answer: &Answer, text: String) -> HttpError {
        let (asked, name, status) = (self.request.asked(), &self.name, answer.status());
        HttpError {
            kind: HttpErrorKind::Status,
            text: format!("{asked}: {name}: {text} ({status})"),
            status: Some(status),
            beginning: None,
        }
    }
}

/// The text of an answer that says that the call failed, with the id under which the server's log has more.
fn told(reply: &Value) -> Option<String> {
    let error = reply.get("error")?;
    let text = error.as_str().or_else(|| error.get("text")?.as_str()).or_else(|| error.get("message")?.as_str());
    let id = error.get("id").or_else(|| error.get("data")?.get("id")).and_then(Value::as_str);
    let more = id.map(|id| format!(", the server's log has more under {id}")).unwrap_or_default();
    Some(format!("{}{more}", text.unwrap_or("failed")))
}

fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    name.len() <= 255 && name.chars().all(is_plain) && name.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, name: &str, options: Value) -> String {
        let Value::Object(options) = options else { panic!("no mapping") };
        match Call::read(url, name, &Map::new(), &options, Path::new("/")) {
            Ok(_) => panic!("{url} {name} is accepted"),
            Err(text) => text,
        }
    }

    #[test]
    fn what_makes_no_call_is_told() {
        for (url, name, options, expected) in [
            ("http://h", "../x", json!({}), "can't be the name of a procedure"),
            ("http://h", "a?b", json!({}), "can't be the name of a procedure"),
            ("http://h?x=1", "a", json!({}), "has a query"),
            ("h", "a", json!({}), "url"),
            ("http://h", "a", json!({"timout": 5}), "a call has no option timout; there are: timeout, token"),
            ("http://h", "a", json!({"json_rpc": "yes"}), "json rpc is a text"),
            ("http://h", "a", json!({"timeout": "soon"}), "timeout"),
        ] {
            let text = refused(url, name, options);
            assert!(text.contains(expected), "{url} {name}: {text}");
        }
    }

    #[test]
    fn a_call_goes_below_the_address_of_the_server() {
        for (url, expected) in
            [("http://h:8686", "http://h:8686/rpc/a/b"), ("http://h:8686/tools/", "http://h:8686/tools/rpc/a/b")]
        {
            let call = Call::read(url, "a/b", &Map::new(), &Map::new(), Path::new("/")).ok().unwrap();
            assert_eq!(call.request.url(), expected);
        }
        let options = Map::from_iter([("json rpc".to_string(), Value::Bool(true))]);
        let call = Call::read("http://h/api", "a", &Map::new(), &options, Path::new("/")).ok().unwrap();
        assert_eq!(call.request.url(), "http://h/api");
    }

    #[test]
    fn the_words_of_a_failed_call_are_found() {
        for (reply, expected) in [
            (
                json!({"error": {"status": 500, "text": "it broke", "id": "ab"}}),
                "it broke, the server's log has more under ab",
            ),
            (json!({"error": {"code": -32601, "message": "no such method"}}), "no such method"),
            (json!({"error": "no"}), "no"),
            (json!({"error": 5}), "failed"),
        ] {
            assert_eq!(told(&reply).as_deref(), Some(expected));
        }
        assert_eq!(told(&json!({"sum": 3})), None);
    }
}
