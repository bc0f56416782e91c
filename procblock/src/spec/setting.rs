//! One value of a user's mapping: literal in the file, or with `${…}` to fill in at run time.

use std::time::Duration;

use crate::error::RunError;
use crate::expr::{Scope, ValueTemplate};
use crate::load::{Kind, Mark, Node, Problems};
use crate::units;
use crate::value::{Map, Value, kind_name, to_text};

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// Makes a setting's type from a value; the error says what was expected.
pub trait FromValue: Sized + Clone + Send + Sync {
    /// The typed value.
    ///
    /// # Errors
    /// What was expected, when the value is of another kind.
    fn from_value(value: &Value) -> Result<Self, String>;
}

impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(to_text(value)),
            _ => Err("text".into()),
        }
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "true or false".into())
    }
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        let read = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        read.ok_or_else(|| "a whole number".into())
    }
}

impl FromValue for f64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        let read = match value {
            Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            other => other.as_f64(),
        };
        read.ok_or_else(|| "a number".into())
    }
}

impl FromValue for Duration {
    fn from_value(value: &Value) -> Result<Self, String> {
        let read = match value {
            Value::String(_) | Value::Number(_) => units::parse_duration(&to_text(value)),
            _ => None,
        };
        read.ok_or_else(|| units::DURATION_FORMS.into())
    }
}

impl FromValue for Size {
    fn from_value(value: &Value) -> Result<Self, String> {
        let read = match value {
            Value::String(_) | Value::Number(_) => units::parse_size(&to_text(value)),
            _ => None,
        };
        read.map(Size).ok_or_else(|| units::SIZE_FORMS.into())
    }
}

impl FromValue for Value {
    fn from_value(value: &Value) -> Result<Self, String> {
        Ok(value.clone())
    }
}

impl FromValue for Map {
    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_object().cloned().ok_or_else(|| "a mapping".into())
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: &Value) -> Result<Self, String> {
        let Value::Array(items) = value else { return Err("a list".into()) };
        items.iter().map(T::from_value).collect()
    }
}

/// A value that is known when the file is loaded, or is filled in each time it is needed.
#[derive(Debug, Clone)]
pub enum Setting<T> {
    /// Literal in the file.
    Fixed(T),
    /// Holds `${…}`.
    Templated(ValueTemplate, Mark),
}

impl<T: FromValue> Setting<T> {
    /// Reads a node; mistakes in its `${…}` and values of the wrong kind are added to `problems`.
    pub fn compile(node: &Node, problems: &mut Problems) -> Option<Self> {
        if has_placeholder(node) {
            return Some(Setting::Templated(ValueTemplate::compile(node, problems), node.mark.clone()));
        }
        match T::from_value(&node.to_value()) {
            Ok(value) => Some(Setting::Fixed(value)),
            Err(expected) => {
                problems.error(&node.mark, format!("found a {}", node.kind_name()), format!("expected {expected}"));
                None
            }
        }
    }

    /// The value, filled in.
    ///
    /// # Errors
    /// A name in `${…}` is undefined, or the filled-in value is of another kind than expected.
    pub fn get(&self, scope: &dyn Scope) -> Result<T, RunError> {
        let (template, mark) = match self {
            Setting::Fixed(value) => return Ok(value.clone()),
            Setting::Templated(template, mark) => (template, mark),
        };
        let value = template.render(scope)?;
        T::from_value(&value).map_err(|expected| {
            let mut error = RunError::failed(format!("expected {expected}, found the {} {value}", kind_name(&value)));
            error.place = Some(mark.to_string());
            error
        })
    }
}

/// Whether a `${` or `%(` stands anywhere in the node's texts: what the template compiler has to look at.
pub(super) fn has_placeholder(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar(Value::String(text), _) => text.contains("${") || text.contains("%("),
        Kind::Scalar(..) => false,
        Kind::List(items) => items.iter().any(has_placeholder),
        Kind::Mapping(entries) => entries.iter().any(|entry| has_placeholder(&entry.value)),
    }
}
