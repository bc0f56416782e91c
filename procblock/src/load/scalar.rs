//! What a scalar means: the core schema of YAML 1.2 (section 10.3.2), and the standard tags that force a kind.
//!
//! `yes`, `no`, `on` and `off` are text. A number that JSON can't hold without loss is refused, never rounded.

use serde_json::Number;

use crate::load::problem::shown;
use crate::value::Value;

/// A scalar that can't be what it says: what is wrong, and the remedy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScalarError {
    pub(crate) what: String,
    pub(crate) remedy: &'static str,
}

fn refuse(what: String, remedy: &'static str) -> ScalarError {
    ScalarError { what, remedy }
}

/// The kind that a tag such as `!!int` forces on a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forced {
    Text,
    Integer,
    Float,
    Boolean,
    Null,
}

/// The value of a scalar written without quotes and without a tag.
///
/// # Errors
/// When it is a number that JSON can't hold.
pub(crate) fn plain(text: &str) -> Result<Value, ScalarError> {
    // Most plain scalars are words: one look at the first byte spares them the rest.
    let Some(first) = text.bytes().next() else { return Ok(Value::Null) };
    match first {
        b'~' | b'n' | b'N' if is_null(text) => Ok(Value::Null),
        b't' | b'T' | b'f' | b'F' => Ok(boolean(text).map_or_else(|| text.into(), Value::Bool)),
        b'0'..=b'9' | b'-' | b'+' | b'.' => Ok(number(text)?.map_or_else(|| text.into(), Value::Number)),
        _ => Ok(text.into()),
    }
}

/// The value of a scalar with a standard tag, quoted or not.
///
/// # Errors
/// When the text is not of that kind, or is a number that JSON can't hold.
pub(crate) fn tagged(text: &str, forced: Forced) -> Result<Value, ScalarError> {
    let (found, tag, remedy) = match forced {
        Forced::Text => return Ok(text.into()),
        Forced::Integer => {
            let found = if is_integer(text) { number(text)?.map(Value::Number) } else { None };
            (found, "!!int", "write a whole number or remove the tag")
        }
        Forced::Float => (float(text)?.map(Value::Number), "!!float", "write a number or remove the tag"),
        Forced::Boolean => (boolean(text).map(Value::Bool), "!!bool", "write true or false or remove the tag"),
        Forced::Null => (is_null(text).then_some(Value::Null), "!!null", "write null or remove the tag"),
    };
    found.ok_or_else(|| refuse(format!("{} is not of the kind that its tag {tag} says", shown(text)), remedy))
}

/// What `check` should tell of a plain number that many readers take for something else, and the remedy: `0644` is
/// octal in YAML 1.1 and 644 in YAML 1.2.
pub(crate) fn doubt(text: &str) -> Option<(String, String)> {
    let digits = text.strip_prefix('0').filter(|digits| all_digits(digits))?;
    let decimal = digits.trim_start_matches('0');
    if decimal.is_empty() {
        return None;
    }
    let what = format!("{} is the decimal number {}", shown_number(text), shown_number(decimal));
    let is_octal = decimal.bytes().all(|digit| digit < b'8');
    let octal = if is_octal { format!("write 0o{decimal} for an octal number, ") } else { String::new() };
    Some((what, format!("{octal}leave the zero out, or quote it to mean a text")))
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The number that `text` is, or nothing when it is a text such as `1.2.3`.
fn number(text: &str) -> Result<Option<Number>, ScalarError> {
    if is_not_finite(text) {
        return Err(refuse(
            format!("{text} is a number that no result can hold"),
            "leave the key out, or quote it to mean a text",
        ));
    }
    let based = text.strip_prefix("0x").map(|digits| (digits, 16));
    if let Some((digits, base)) = based.or_else(|| text.strip_prefix("0o").map(|digits| (digits, 8))) {
        let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
        return if is_number {
            u64::from_str_radix(digits, base).map(|n| Some(n.into())).or_else(|_| too_large(text))
        } else {
            Ok(None)
        };
    }
    if is_integer(text) {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let small = digits.parse::<i64>().map(Number::from).or_else(|_| digits.parse::<u64>().map(Number::from));
        return small.map(Some).or_else(|_| too_large(text));
    }
    if is_float(text) { finite(text) } else { Ok(None) }
}

fn float(text: &str) -> Result<Option<Number>, ScalarError> {
    if is_integer(text) || is_float(text) { finite(text) } else { number(text).map(|_| None) }
}

/// A number needs no quotes in a message, but it may be long.
fn shown_number(text: &str) -> String {
    shown(text).trim_matches('"').to_owned()
}

fn finite(text: &str) -> Result<Option<Number>, ScalarError> {
    let number = text.parse::<f64>().ok().and_then(Number::from_f64);
    let refused = || refuse(format!("the number {} is too large", shown_number(text)), "quote it to mean a text");
    number.map(Some).ok_or_else(refused)
}

fn too_large(text: &str) -> Result<Option<Number>, ScalarError> {
    Err(refuse(
        format!("the whole number {} is too large to be kept exactly", shown_number(text)),
        "quote it to mean a text, or write it with an exponent such as 1e20",
    ))
}

fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn is_integer(text: &str) -> bool {
    all_digits(text.strip_prefix(['-', '+']).unwrap_or(text))
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let has_mantissa = match mantissa.split_once('.') {
        None => all_digits(mantissa),
        Some(("", fraction)) => all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && (fraction.is_empty() || all_digits(fraction)),
    };
    has_mantissa && exponent.is_none_or(is_integer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let table = [
            ("", json!(null)),
            ("~", json!(null)),
            ("NULL", json!(null)),
            ("nULL", json!("nULL")),
            ("~x", json!("~x")),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("yes", json!("yes")),
            ("no", json!("no")),
            ("on", json!("on")),
            ("off", json!("off")),
            ("y", json!("y")),
            ("0", json!(0)),
            ("-0", json!(0)),
            ("+12", json!(12)),
            ("-7", json!(-7)),
            ("0644", json!(644)),
            ("0o17", json!(15)),
            ("0xFf", json!(255)),
            ("0x", json!("0x")),
            ("0o8", json!("0o8")),
            ("-0x1", json!("-0x1")),
            ("1_000", json!("1_000")),
            ("12:30", json!("12:30")),
            ("9223372036854775808", json!(9_223_372_036_854_775_808_u64)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("-1.5e3", json!(-1500.0)),
            ("1e3", json!(1000.0)),
            ("+1E-2", json!(0.01)),
            (".", json!(".")),
            ("..", json!("..")),
            ("-", json!("-")),
            ("1.2.3", json!("1.2.3")),
            ("1e", json!("1e")),
            ("e1", json!("e1")),
            (".e1", json!(".e1")),
            ("٣", json!("٣")),
            ("inf", json!("inf")),
            ("nan", json!("nan")),
        ];
        for (text, value) in table {
            assert_eq!(plain(text), Ok(value), "{text:?}");
        }
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_refused() {
        let texts = [".inf", "-.INF", "+.Inf", ".nan", ".NaN", "1e400", "18446744073709551616", "-9223372036854775809"];
        for text in texts {
            assert!(plain(text).is_err(), "{text}");
        }
        assert!(plain("0x10000000000000000").is_err());
        assert!(tagged(".nan", Forced::Float).is_err());
    }

    #[test]
    fn a_tag_forces_the_kind() {
        assert_eq!(tagged("12", Forced::Text), Ok(json!("12")));
        assert_eq!(tagged("12", Forced::Integer), Ok(json!(12)));
        assert_eq!(tagged("12", Forced::Float), Ok(json!(12.0)));
        assert_eq!(tagged("True", Forced::Boolean), Ok(json!(true)));
        assert_eq!(tagged("", Forced::Null), Ok(json!(null)));
        for (text, forced) in
            [("1.5", Forced::Integer), ("x", Forced::Float), ("yes", Forced::Boolean), ("0", Forced::Null)]
        {
            assert!(tagged(text, forced).is_err(), "{text}");
        }
    }
}
