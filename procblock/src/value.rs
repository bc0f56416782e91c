//! The one kind of data that passes between tags, steps and scripts of any language: JSON values whose mappings
//! keep the order in which their keys were written.

/// A value in pipe data: null, boolean, number, text, list or mapping.
pub type Value = serde_json::Value;

/// A mapping in pipe data, in the order in which its keys were first set.
pub type Map = serde_json::Map<String, Value>;

/// The word for a value's kind in messages: `null`, `boolean`, `number`, `text`, `list` or `mapping`.
pub fn kind_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "mapping",
    }
}

/// The text of a value as it appears inside a longer text: a text without quotes, null as nothing, else JSON.
pub fn to_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How deep lists and mappings may nest in one value of pipe data: more than blocks may run inside blocks, each of which
/// may add a level to its result, and less than the 128 levels at which readers of JSON commonly stop.
pub const DEPTH_MAX: usize = 100;

/// Whether lists and mappings nest in the value at most `levels` deep. Looks at the whole value.
pub fn is_within(value: &Value, levels: usize) -> bool {
    let Some(inside) = levels.checked_sub(1) else { return !value.is_array() && !value.is_object() };
    match value {
        Value::Array(items) => items.iter().all(|item| is_within(item, inside)),
        Value::Object(map) => map.values().all(|item| is_within(item, inside)),
        _ => true,
    }
}

/// Refuses a value that nests too deeply to go on; `name` is what it would become.
///
/// # Errors
/// It nests deeper than [`DEPTH_MAX`].
pub fn check_depth(name: &str, value: &Value) -> Result<(), String> {
    if is_within(value, DEPTH_MAX) {
        return Ok(());
    }
    Err(format!("{name} would nest deeper than {DEPTH_MAX} levels; does it hold what it was before?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_in_lists_and_mappings() {
        let nested = |levels: usize| {
            (0..levels).fold(Value::from(1), |value, level| {
                if level % 2 == 0 { Value::Array(vec![value]) } else { Map::from_iter([("a".into(), value)]).into() }
            })
        };
        assert!(is_within(&nested(0), 0) && !is_within(&nested(1), 0));
        assert!(check_depth("x", &nested(DEPTH_MAX)).is_ok());
        let refused = check_depth("x", &nested(DEPTH_MAX + 1)).unwrap_err();
        assert_eq!(refused, "x would nest deeper than 100 levels; does it hold what it was before?");
    }
}
