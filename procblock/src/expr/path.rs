//! Paths: a name and the keys behind it, looked up in borrowed data.
//!
//! A key may itself contain dots (`run_thread.simplest`): where a mapping has no key `run_thread`, the key
//! `run_thread.simplest` is tried, then the next longer one. An exact key always wins, and brackets reach any key:
//! `run["run_thread.simplest"]`. A path through null or a scalar is missing. Ancestor: null restarted at the root, and
//! digits never reached the key of a mapping.

use std::borrow::Cow;
use std::ops::Range;

use crate::expr::ast::{Kind, Term};
use crate::expr::error::did_you_mean;
use crate::expr::eval::Datum;
use crate::expr::{ExprError, Scope};
use crate::value::{Value, kind_name, to_text};

/// A name, or a computed value, and the keys behind it.
#[derive(Debug, Clone)]
pub(super) struct Path {
    root: Root,
    steps: Vec<Step>,
    /// The root's name and the keys that stand behind dots, joined by dots; steps are ranges of it.
    dotted: String,
    /// As it stands in the expression, for messages.
    written: String,
}

#[derive(Debug, Clone)]
enum Root {
    /// A name of the scope: this range of `dotted`.
    Name(Range<usize>),
    /// A parenthesis, list or function.
    Computed(Term),
}

#[derive(Debug, Clone)]
enum Step {
    /// `.key`: a range of `dotted`; in a list the index that it says.
    Key(Range<usize>, Option<i64>),
    /// `.(expression)` or `[expression]`.
    Computed(Term),
}

impl Path {
    /// The path that is one name.
    pub(super) fn named(name: &str) -> Self {
        Path { root: Root::Name(0..name.len()), steps: Vec::new(), dotted: name.into(), written: name.into() }
    }

    /// A computed value with no keys yet.
    pub(super) fn computed(root: Term) -> Self {
        Path { root: Root::Computed(root), steps: Vec::new(), dotted: String::new(), written: String::new() }
    }

    /// Adds `.key`.
    pub(super) fn push_key(&mut self, key: &str) {
        self.dotted.push('.');
        let start = self.dotted.len();
        self.dotted.push_str(key);
        self.steps.push(Step::Key(start..self.dotted.len(), key.parse().ok()));
    }

    /// Adds `.(key)` or `[key]`.
    pub(super) fn push_computed(&mut self, key: Term) {
        self.steps.push(Step::Computed(key));
    }

    /// Sets the text that messages show.
    pub(super) fn set_written(&mut self, written: &str) {
        self.written = written.into();
    }

    /// Whether it is one name without keys.
    pub(super) fn is_name(&self) -> bool {
        self.steps.is_empty() && matches!(self.root, Root::Name(_))
    }

    /// The term that evaluates it, in `column`: without keys, the computed root itself.
    pub(super) fn into_term(self, column: usize) -> Term {
        match self.root {
            Root::Computed(term) if self.steps.is_empty() => term,
            root => Term { column, kind: Kind::Path(Box::new(Path { root, ..self })) },
        }
    }

    /// The value at the path, borrowed from the scope where it comes from there.
    ///
    /// # Errors
    /// When a computed root or key fails, or a key is neither text nor number.
    pub(super) fn eval<'a>(&'a self, scope: &'a dyn Scope) -> Result<Datum<'a>, ExprError> {
        match &self.root {
            Root::Name(name) => match self.find(name, 0, |key| scope.get(key)) {
                Some((value, next)) => Ok(self.walk(value, next, scope)?.map(Cow::Borrowed)),
                None => Ok(None),
            },
            Root::Computed(term) => match term.eval(scope)? {
                Some(Cow::Borrowed(value)) => Ok(self.walk(value, 0, scope)?.map(Cow::Borrowed)),
                Some(Cow::Owned(value)) => Ok(self.walk(&value, 0, scope)?.cloned().map(Cow::Owned)),
                None => Ok(None),
            },
        }
    }

    /// Looks up `key`, then `key` joined with the following dotted keys; also gives the step to go on with.
    fn find<'v>(
        &self,
        key: &Range<usize>,
        next: usize,
        look_up: impl Fn(&str) -> Option<&'v Value>,
    ) -> Option<(&'v Value, usize)> {
        if let Some(value) = self.dotted.get(key.clone()).and_then(&look_up) {
            return Some((value, next));
        }
        for (index, step) in self.steps.iter().enumerate().skip(next) {
            let Step::Key(range, _) = step else { break };
            if let Some(value) = self.dotted.get(key.start..range.end).and_then(&look_up) {
                return Some((value, index + 1));
            }
        }
        None
    }

    fn walk<'v>(&self, from: &'v Value, first: usize, scope: &dyn Scope) -> Result<Option<&'v Value>, ExprError> {
        let mut value = from;
        let mut next = first;
        while let Some(step) = self.steps.get(next) {
            match self.step(value, step, next + 1, scope)? {
                Some((found, after)) => (value, next) = (found, after),
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }

    fn step<'v>(
        &self,
        value: &'v Value,
        step: &Step,
        next: usize,
        scope: &dyn Scope,
    ) -> Result<Option<(&'v Value, usize)>, ExprError> {
        match (step, value) {
            (Step::Key(key, _), Value::Object(map)) => Ok(self.find(key, next, |key| map.get(key))),
            (Step::Key(_, Some(index)), Value::Array(items)) => Ok(item(items, *index).map(|found| (found, next))),
            (Step::Key(..), _) => Ok(None),
            (Step::Computed(term), value) => {
                let Some(key) = term.eval(scope)? else { return Ok(None) };
                Ok(look_up_computed(value, &key, term.column)?.map(|found| (found, next)))
            }
        }
    }

    /// Why there is nothing at the path, naming the first key that is missing.
    pub(super) fn explain_missing(&self, column: usize, scope: &dyn Scope) -> ExprError {
        let written = &self.written;
        let Root::Name(name) = &self.root else {
            return ExprError::new(column, "the value has no such key", "");
        };
        let Some((mut value, mut next)) = self.find(name, 0, |key| scope.get(key)) else {
            let name = self.dotted.get(name.clone()).unwrap_or_default();
            let remedy = did_you_mean(name, scope.names()).unwrap_or_default();
            return ExprError::new(column, format!("\"{written}\" is not defined"), remedy);
        };
        while let Some(step) = self.steps.get(next) {
            match self.step(value, step, next + 1, scope) {
                Ok(Some((found, after))) => (value, next) = (found, after),
                Ok(None) => return self.explain_step(column, value, step),
                Err(error) => return error,
            }
        }
        ExprError::new(column, format!("\"{written}\" is not defined"), "")
    }

    fn explain_step(&self, column: usize, value: &Value, step: &Step) -> ExprError {
        let key = match step {
            Step::Key(range, _) => self.dotted.get(range.clone()).unwrap_or_default(),
            Step::Computed(_) => "",
        };
        let (reason, remedy) = match value {
            Value::Object(map) if !key.is_empty() => (
                format!("the mapping has no key \"{key}\""),
                did_you_mean(key, map.keys().map(String::as_str)).unwrap_or_default(),
            ),
            Value::Object(_) => ("the mapping has no such key".into(), String::new()),
            Value::Array(items) => {
                (format!("the list has {} items", items.len()), "items count from 0, from the end -1".into())
            }
            other => (format!("a {} has no keys", kind_name(other)), String::new()),
        };
        ExprError::new(column, format!("\"{}\" is not defined: {reason}", self.written), remedy)
    }
}

/// The item at `index`; a negative one counts from the end.
fn item(items: &[Value], index: i64) -> Option<&Value> {
    let position = match usize::try_from(index) {
        Ok(position) => position,
        Err(_) => items.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    items.get(position)
}

fn look_up_computed<'v>(value: &'v Value, key: &Value, column: usize) -> Result<Option<&'v Value>, ExprError> {
    match (value, key) {
        (_, Value::Null) => Ok(None),
        (Value::Object(map), Value::String(key)) => Ok(map.get(key)),
        (Value::Object(map), Value::Number(_)) => Ok(map.get(&to_text(key))),
        (Value::Array(items), Value::String(text)) => Ok(text.parse().ok().and_then(|index| item(items, index))),
        (Value::Array(items), Value::Number(number)) => Ok(number.as_i64().and_then(|index| item(items, index))),
        (_, Value::String(_) | Value::Number(_)) => Ok(None),
        (_, other) => {
            let message = format!("a key is a text or a number, found a {}", kind_name(other));
            Err(ExprError::new(column, message, ""))
        }
    }
}
