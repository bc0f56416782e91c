//! What came back.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, SET_COOKIE};

use crate::http::{HttpError, HttpErrorKind, ReadAs};
use crate::value::{DEPTH_MAX, Map, Value, is_within};

/// How much of a body messages show, in bytes.
const SHOWN_MAX: usize = 2000;

/// What stands in place of a secret that the server sent back.
const HIDDEN: &str = "***";

/// A whole answer.
pub struct Answer {
    pub(super) status: StatusCode,
    /// The method and the last URL, for messages.
    pub(super) asked: String,
    /// The last URL with its query.
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) duration: Duration,
    /// What messages must not show.
    pub(super) secrets: Vec<String>,
}

impl Answer {
    /// The status, 100 to 999.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// `503 Service Unavailable`.
    pub(super) fn status_line(&self) -> String {
        match self.status.canonical_reason() {
            Some(reason) => format!("{} {reason}", self.status.as_u16()),
            None => self.status.as_u16().to_string(),
        }
    }

    pub(super) fn asked(&self) -> &str {
        &self.asked
    }

    /// From the request to the end of the body, redirects included.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The beginning of the body, for messages; without the request's own secrets.
    pub(super) fn beginning(&self) -> String {
        // A secret that the cut runs through would be found no more: it is looked for first.
        let longest = self.secrets.iter().map(String::len).max().unwrap_or(0);
        let start = self.body.get(..SHOWN_MAX + longest).unwrap_or(&self.body);
        let mut text = String::from_utf8_lossy(start).into_owned();
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, HIDDEN);
        }
        text.truncate(text.floor_char_boundary(SHOWN_MAX));
        text.trim().to_string()
    }

    /// The body as JSON; null when it is empty.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value, HttpError> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        let value: Value = serde_json::from_slice(&self.body).map_err(|error| self.not_json(&error.to_string()))?;
        // Room for the names that it will stand under.
        if !is_within(&value, DEPTH_MAX - 10) {
            return Err(self.not_json(&format!("nests deeper than {} levels", DEPTH_MAX - 10)));
        }
        Ok(value)
    }

    fn not_json(&self, why: &str) -> HttpError {
        let text = format!("{}: the answer is not JSON that can be taken: {why}", self.asked);
        let beginning = Some(self.beginning());
        HttpError { status: Some(self.status()), beginning, ..HttpError::new(HttpErrorKind::NotJson, text) }
    }

    /// The answer as data: `status`, `url`, `headers`, `duration` in seconds, and `json` or `body`.
    ///
    /// # Errors
    /// The body is to be JSON and is none.
    pub fn to_map(&self, read_as: ReadAs) -> Result<Map, HttpError> {
        let is_json = match read_as {
            ReadAs::Auto => is_json(self.headers.get(CONTENT_TYPE)),
            ReadAs::Json => true,
            ReadAs::Text => false,
        };
        let content = if is_json { ("json", self.json()?) } else { ("body", self.text().into()) };
        Ok(self.map_with(content))
    }

    /// The same with the body as text, whatever it should be.
    pub fn to_text_map(&self) -> Map {
        self.map_with(("body", self.text().into()))
    }

    fn map_with(&self, (name, content): (&str, Value)) -> Map {
        let mut map = Map::new();
        map.insert("status".into(), self.status().into());
        map.insert("url".into(), self.url.clone().into());
        map.insert("headers".into(), Value::Object(headers(&self.headers)));
        map.insert(name.into(), content);
        map.insert("duration".into(), seconds(self.duration));
        map
    }

    /// UTF-8, or Latin-1 if the content type says so. What is neither has marks in place of its letters.
    fn text(&self) -> String {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text.to_string(),
            Err(_) if is_latin(self.headers.get(CONTENT_TYPE)) => {
                self.body.iter().map(|byte| char::from(*byte)).collect()
            }
            Err(_) => String::from_utf8_lossy(&self.body).into_owned(),
        }
    }
}

/// Seconds to the microsecond.
pub(crate) fn seconds(duration: Duration) -> Value {
    ((duration.as_secs_f64() * 1e6).round() / 1e6).into()
}

/// The headers by their names in small letters. Several of one name are joined by a comma, as RFC 9110 5.2 has it;
/// `set-cookie`, which can't be joined, is a list.
fn headers(headers: &HeaderMap) -> Map {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut map = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter().map(text);
        let value = match *name == SET_COOKIE {
            true => Value::Array(values.map(Value::from).collect()),
            false => values.collect::<Vec<_>>().join(", ").into(),
        };
        map.insert(name.as_str().into(), value);
    }
    map
}

/// `application/json`, `application/problem+json; charset=utf-8`, …
fn is_json(kind: Option<&HeaderValue>) -> bool {
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

fn is_latin(kind: Option<&HeaderValue>) -> bool {
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    kind.contains("charset=iso-8859-1") || kind.contains("charset=\"iso-8859-1\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(kind: &'static str, body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Answer {
            status: StatusCode::OK,
            asked: "GET http://x/".into(),
            url: "http://x/".into(),
            headers,
            body: body.to_vec(),
            duration: Duration::from_millis(1500),
            secrets: vec!["hunter2".into(), String::new()],
        }
    }

    #[test]
    fn a_body_is_json_when_its_type_says_so_or_the_reader() {
        for (kind, read_as, name, value) in [
            ("application/json", ReadAs::Auto, "json", json!([1])),
            ("Application/Problem+JSON; charset=utf-8", ReadAs::Auto, "json", json!([1])),
            ("text/plain", ReadAs::Auto, "body", json!("[1]")),
            ("text/plain", ReadAs::Json, "json", json!([1])),
            ("application/json", ReadAs::Text, "body", json!("[1]")),
        ] {
            assert_eq!(answer(kind, b"[1]").to_map(read_as).unwrap().get(name), Some(&value), "{kind} {read_as:?}");
        }
        assert_eq!(answer("application/json", b" \n").json().unwrap(), Value::Null);
        let error = answer("application/json", b"<p>hunter2").to_map(ReadAs::Auto).unwrap_err();
        assert_eq!((error.kind, error.beginning.as_deref()), (HttpErrorKind::NotJson, Some("<p>***")));
    }

    #[test]
    fn json_that_nests_too_deeply_is_refused() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(answer("text/json", nested(DEPTH_MAX - 10).as_bytes()).json().is_ok());
        for levels in [DEPTH_MAX - 8, 100_000] {
            assert!(answer("text/json", nested(levels).as_bytes()).json().is_err(), "{levels}");
        }
    }

    #[test]
    fn text_is_read_by_its_charset() {
        assert_eq!(answer("text/plain; charset=ISO-8859-1", b"f\xfcr").text(), "für");
        assert_eq!(answer("text/plain", b"f\xfcr").text(), "f\u{fffd}r");
    }

    #[test]
    fn repeated_headers_are_joined_and_cookies_listed() {
        let mut answer = answer("text/plain", b"");
        for (name, value) in [("x-a", "1"), ("x-a", "2"), ("set-cookie", "c=1")] {
            answer.headers.append(name, HeaderValue::from_static(value));
        }
        let map = answer.to_text_map();
        assert_eq!(map["headers"], json!({"content-type": "text/plain", "x-a": "1, 2", "set-cookie": ["c=1"]}));
        assert_eq!(map["duration"], json!(1.5));
    }

    #[test]
    fn a_secret_across_the_cut_is_not_shown() {
        let text = format!("{}hunter2 and more", "x".repeat(SHOWN_MAX - 3));
        let shown = answer("text/plain", text.as_bytes()).beginning();
        assert!(!shown.contains("hun") && shown.len() <= SHOWN_MAX, "{}", shown.len());
    }
}
