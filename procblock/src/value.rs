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
