//! Arguments as a page or procedure declares them: converted, filled with defaults, the missing ones named.

use http::StatusCode;

use crate::answer::Problem;
use crate::request::Given;
use crate::request::arguments::{json, kind_of};
use crate::{Argument, ArgumentKind, Declaration, Value};

/// Converts what was given to what is declared. Names that are not declared stay as they came.
///
/// # Errors
/// One is missing or can't be converted; all such are named at once.
pub(crate) fn convert(declaration: &Declaration, given: &mut Given) -> Result<(), Problem> {
    let mut wrong = Vec::new();
    let Given { arguments, uploads } = given;
    // The path of this very request's upload is known to nobody but the server.
    let is_upload = |value: &Value| {
        let path = value.get("file").and_then(Value::as_str);
        path.is_some_and(|path| uploads.iter().any(|upload| upload.as_os_str() == path))
    };
    for declared in &declaration.arguments {
        let given = arguments.get_mut(&declared.name).map(Value::take);
        let converted = match given {
            Some(value) if declared.kind == ArgumentKind::File && !is_upload(&value) => {
                Err(format!("{} is no file; send it in a form of the type multipart/form-data", declared.name))
            }
            Some(value) => value_of(declared, value).map(Some),
            None if declared.is_required => Err(format!("{} is missing", declared.name)),
            None => Ok(declared.default.clone()),
        };
        match converted {
            Ok(Some(value)) => {
                arguments.insert(declared.name.clone(), value);
            }
            Ok(None) => {}
            Err(text) => wrong.push(text),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Problem::new(StatusCode::BAD_REQUEST, wrong.join("; "))) }
}

fn value_of(declared: &Argument, value: Value) -> Result<Value, String> {
    let expected = match declared.kind {
        ArgumentKind::Text => "text",
        ArgumentKind::Integer => "a whole number",
        ArgumentKind::Number => "a number",
        ArgumentKind::Boolean => "true or false",
        ArgumentKind::List => "a list",
        ArgumentKind::Mapping => "a mapping",
        ArgumentKind::File => "a file",
    };
    let found = match &value {
        Value::String(text) => format!("{:?}", shortened(text)),
        other => kind_of(other).to_string(),
    };
    convert_value(declared.kind, value).ok_or_else(|| format!("{} is {found}, expected {expected}", declared.name))
}

fn convert_value(kind: ArgumentKind, value: Value) -> Option<Value> {
    match (kind, value) {
        (ArgumentKind::Text, Value::String(text)) => Some(Value::String(text)),
        (ArgumentKind::Text, value @ (Value::Number(_) | Value::Bool(_))) => Some(Value::String(value.to_string())),
        (ArgumentKind::Integer, Value::Number(number)) if number.is_i64() => Some(Value::Number(number)),
        (ArgumentKind::Integer, Value::Number(number)) => whole(number.as_f64()?),
        (ArgumentKind::Integer, Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
        (ArgumentKind::Number, Value::Number(number)) => Some(Value::Number(number)),
        (ArgumentKind::Number, Value::String(text)) => number(text.trim()),
        (ArgumentKind::Boolean, Value::Bool(is)) => Some(Value::Bool(is)),
        (ArgumentKind::Boolean, Value::Number(number)) => match number.as_i64() {
            Some(1) => Some(Value::Bool(true)),
            Some(0) => Some(Value::Bool(false)),
            _ => None,
        },
        (ArgumentKind::Boolean, Value::String(text)) => match text.as_str() {
            "true" | "1" | "on" | "" => Some(Value::Bool(true)),
            "false" | "0" | "off" => Some(Value::Bool(false)),
            _ => None,
        },
        (ArgumentKind::List, value @ Value::Array(_)) => Some(value),
        (ArgumentKind::List, Value::String(text)) => parsed(&text).filter(Value::is_array),
        (ArgumentKind::Mapping | ArgumentKind::File, value @ Value::Object(_)) => Some(value),
        (ArgumentKind::Mapping, Value::String(text)) => parsed(&text).filter(Value::is_object),
        _ => None,
    }
}

fn parsed(text: &str) -> Option<Value> {
    json(text.as_bytes()).ok()
}

fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number)
}

/// A number without a fraction that is exact as 64 bits.
fn whole(number: f64) -> Option<Value> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then(|| Value::from(number as i64))
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN { text.to_string() } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn converted(kind: ArgumentKind, value: Value) -> Option<Value> {
        convert_value(kind, value)
    }

    #[test]
    fn texts_become_what_is_declared() {
        use ArgumentKind::{Boolean, Integer, List, Mapping, Number, Text};
        for (kind, given, expected) in [
            (Text, json!(5), Some(json!("5"))),
            (Text, json!(["a"]), None),
            (Integer, json!("-7"), Some(json!(-7))),
            (Integer, json!(7.0), Some(json!(7))),
            (Integer, json!(7.5), None),
            (Integer, json!("1e3"), None),
            (Integer, json!("99999999999999999999"), None),
            (Number, json!("1.5"), Some(json!(1.5))),
            (Number, json!("nan"), None),
            (Boolean, json!("on"), Some(json!(true))),
            (Boolean, json!(""), Some(json!(true))),
            (Boolean, json!("yes"), None),
            (List, json!("[1]"), Some(json!([1]))),
            (List, json!("1"), None),
            (Mapping, json!("{\"a\":1}"), Some(json!({"a": 1}))),
            (Mapping, json!(null), None),
        ] {
            assert_eq!(converted(kind, given.clone()), expected, "{kind:?} {given}");
        }
    }

    #[test]
    fn every_missing_and_wrong_argument_is_named_at_once() {
        let argument = |name: &str, is_required, default| Argument {
            name: name.into(),
            kind: ArgumentKind::Integer,
            is_required,
            default,
            summary: None,
        };
        let declaration = Declaration {
            arguments: vec![
                argument("n", true, None),
                argument("m", false, None),
                argument("d", false, Some(json!(3))),
            ],
            ..Declaration::default()
        };
        let of = |arguments: Value| Given { arguments: arguments.as_object().unwrap().clone(), uploads: Vec::new() };
        let mut given = of(json!({"m": "many"}));
        let problem = convert(&declaration, &mut given).unwrap_err();
        assert_eq!(problem.text, "n is missing; m is \"many\", expected a whole number");
        let mut given = of(json!({"n": "4", "other": "x"}));
        convert(&declaration, &mut given).unwrap();
        assert_eq!(Value::Object(given.arguments), json!({"n": 4, "other": "x", "d": 3}));
    }
}
