//! `name=value` pairs of a query or a form.

use crate::request::TooMany;
use crate::{Map, Value};

/// Reads pairs. `+` is a space, `name=` is empty, `name[]` makes a list, of a repeated name the last wins, and what
/// has no `=` is left out (as in the original).
///
/// # Errors
/// There are more than `limit`.
pub(crate) fn read(text: &[u8], limit: usize) -> Result<Map, TooMany> {
    let mut map = Map::new();
    if text.is_empty() {
        return Ok(map);
    }
    let pairs = text.split(|byte| *byte == b'&').filter(|pair| pair.contains(&b'='));
    for (index, pair) in pairs.enumerate() {
        if index >= limit {
            return Err(TooMany(limit));
        }
        if let Some((name, value)) = plain(pair) {
            add(&mut map, name, Value::String(value.to_string()));
            continue;
        }
        for (name, value) in form_urlencoded::parse(pair) {
            add(&mut map, &name, Value::String(value.into_owned()));
        }
    }
    Ok(map)
}

/// A pair of which nothing has to be decoded.
fn plain(pair: &[u8]) -> Option<(&str, &str)> {
    if pair.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return None;
    }
    std::str::from_utf8(pair).ok()?.split_once('=')
}

/// Adds one argument as a pair does.
pub(crate) fn add(map: &mut Map, name: &str, value: Value) {
    let Some(list) = name.strip_suffix("[]") else {
        map.insert(name.to_string(), value);
        return;
    };
    match map.get_mut(list) {
        Some(Value::Array(values)) => values.push(value),
        _ => {
            map.insert(list.to_string(), Value::Array(vec![value]));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pairs_are_read_as_the_original_did() {
        for (text, expected) in [
            ("a=x+y&c=", json!({"a": "x y", "c": ""})),
            ("x=1&y[]=2&y[]=3", json!({"x": "1", "y": ["2", "3"]})),
            ("y%5B%5D=2", json!({"y": ["2"]})),
            ("a=1&a=2", json!({"a": "2"})),
            ("a&&b=1&=2", json!({"b": "1", "": "2"})),
            ("a=%zz%41&b=%ff", json!({"a": "%zzA", "b": "\u{fffd}"})),
            ("a=b=c", json!({"a": "b=c"})),
            ("", json!({})),
        ] {
            assert_eq!(read(text.as_bytes(), 10).map(Value::Object), Ok(expected), "{text}");
        }
    }

    #[test]
    fn more_arguments_than_allowed_are_refused() {
        assert!(read("a=1&".repeat(10).as_bytes(), 10).is_ok());
        assert_eq!(read("a=1&".repeat(11).as_bytes(), 10), Err(TooMany(10)));
    }
}
