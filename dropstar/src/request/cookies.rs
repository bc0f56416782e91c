//! The cookies that a request brings.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::{Map, Value};

/// More cookies than this are not looked at.
const COOKIES_MAX: usize = 100;

/// What the names of sessions' cookies begin with, perhaps behind `__Host-`; the listener's port follows.
pub(crate) const SESSION_PREFIX: &str = "dropstar_";

/// Every cookie by its name, its value as the program that set it gave it; of two with one name the first wins, which is the one with the longer path (RFC 6265 5.4).
pub(crate) fn read(headers: &HeaderMap) -> Map {
    let mut map = Map::new();
    for (name, value) in pairs(headers).take(COOKIES_MAX) {
        // What proves who the visitor is stays with the server.
        if !is_of_session(name) && !map.contains_key(name) {
            map.insert(name.to_string(), Value::String(decoded(value)));
        }
    }
    map
}

/// What is written in percent, if that is text; else the value as it came.
fn decoded(value: &str) -> String {
    percent_decode_str(value).decode_utf8().map_or_else(|_| value.to_string(), std::borrow::Cow::into_owned)
}

/// Whether a cookie of this name is a session of some dropSTAR on this host.
fn is_of_session(name: &str) -> bool {
    name.strip_prefix("__Host-").unwrap_or(name).starts_with(SESSION_PREFIX)
}

/// Every cookie as it came, without the quotes around its value.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(http::header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .map(|(name, value)| (name, value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)))
        .filter(|(name, _)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_of_all_lines_are_read_and_the_first_of_a_name_wins() {
        let mut headers = HeaderMap::new();
        headers.append(http::header::COOKIE, "a=1; b=\"two\"; broken; =x".parse().unwrap());
        headers.append(
            http::header::COOKIE,
            "a=2;c=;d=%C3%A4%20%;e=%FF;dropstar_1=x;__Host-dropstar_2=y".parse().unwrap(),
        );
        assert_eq!(
            Value::Object(read(&headers)),
            serde_json::json!({"a": "1", "b": "two", "c": "", "d": "ä %", "e": "%FF"})
        );
    }
}
