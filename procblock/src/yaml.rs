//! Writing values as YAML that reads back the same.

use std::fmt::Write;

use crate::value::Value;

/// The value as a YAML document.
pub fn to_yaml(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_block(value, 0, &mut text),
        Value::Array(list) if !list.is_empty() => write_block(value, 0, &mut text),
        scalar => {
            text.push_str(&inline(scalar));
            text.push('\n');
        }
    }
    text
}

fn write_block(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let _ = write!(text, "{indent}{}:", scalar(key));
                write_inner(inner, depth, text);
            }
        }
        Value::Array(list) => {
            for inner in list {
                let _ = write!(text, "{indent}-");
                write_inner(inner, depth, text);
            }
        }
        _ => {}
    }
}

fn write_inner(inner: &Value, depth: usize, text: &mut String) {
    let is_block =
        inner.as_object().is_some_and(|map| !map.is_empty()) || inner.as_array().is_some_and(|list| !list.is_empty());
    if is_block {
        text.push('\n');
        write_block(inner, depth + 1, text);
    } else {
        let _ = writeln!(text, " {}", inline(inner));
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(string) => scalar(string),
        other => other.to_string(),
    }
}

/// Plain where that reads back as the same text, else quoted as JSON, which YAML 1.2 reads.
fn scalar(string: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ');
    let is_plain = string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/')
        && string.chars().all(is_word)
        && !string.ends_with(' ')
        && !matches!(
            string.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "nan" | "inf"
        );
    if is_plain { string.to_string() } else { Value::String(string.to_string()).to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC*".prop_map(Value::from),
            "[a-z0-9 :#'\"\\[\\]{}!&*?|>%@`~=-]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec(("[a-z ~:#-]{1,8}", inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any_value()) {
            let source = crate::load::Source::new("test.yaml", "/", to_yaml(&value));
            let read = crate::load::load_data_text(source).unwrap();
            prop_assert_eq!(read.root.to_value(), value);
        }
    }
}
