//! When values are equal, which comes first, what contains what, and what counts as true.
//!
//! A text that is wholly a decimal number counts, beside a number, as that number; two texts compare as texts by code
//! point; other mixed kinds are never equal and have no order. Ancestor: Python 2 ordered every kind against every other.

use std::cmp::Ordering;

use crate::expr::number::Number;
use crate::value::Value;

/// False are: null, false, 0, and the empty text, list and mapping. Everything else is true, the texts `"0"` and
/// `"false"` included. It is the rule of Python and Jinja.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(boolean) => *boolean,
        Value::Number(_) => !Number::of(value).is_some_and(Number::is_zero),
        other => !is_empty(other),
    }
}

/// Empty are: null and the empty text, list and mapping. A number or boolean never is.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Whether two values are equal; lists and mappings by their items.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => compare_numbers(left, right) == Some(Ordering::Equal),
    }
}

/// The order of two numbers or two texts; `None` for every other pair.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => compare_numbers(left, right),
    }
}

/// Whether `container` holds `item`: a list an element equal to it, a text it as a part, a mapping it as a key.
/// A number is looked for in a text or mapping as it is written. Other kinds hold nothing.
pub(super) fn contains(container: &Value, item: &Value) -> bool {
    match (container, item) {
        (Value::Array(items), item) => items.iter().any(|element| equal(element, item)),
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::String(text), Value::Number(number)) => text.contains(&number.to_string()),
        (Value::Object(map), Value::String(key)) => map.contains_key(key),
        (Value::Object(map), Value::Number(number)) => map.contains_key(&number.to_string()),
        _ => false,
    }
}

/// Compares two values of which at least one is a number and the other is or says one.
fn compare_numbers(left: &Value, right: &Value) -> Option<Ordering> {
    if !left.is_number() && !right.is_number() {
        return None;
    }
    Some(Number::said_by(left)?.compare(Number::said_by(right)?))
}
