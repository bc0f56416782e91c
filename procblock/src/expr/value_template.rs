//! A whole YAML value whose texts may hold `${…}`; keys are left as they are.

#![allow(clippy::result_large_err, reason = "the failure ends the step, it is not passed along a hot path")]

use std::borrow::Cow;

use crate::error::RunError;
use crate::expr::{Scope, Template};
use crate::load::{Kind, Node, Problems};
use crate::value::{Map, Value, check_depth};

/// A value compiled once and filled at each run.
#[derive(Debug, Clone)]
pub struct ValueTemplate {
    kind: Compiled,
}

#[derive(Debug, Clone)]
enum Compiled {
    /// Holds no `${…}` anywhere.
    Literal(Value),
    /// A text, with its node for the place of a failure.
    Text(Box<(Template, Node)>),
    List(Vec<Compiled>),
    Mapping(Vec<(String, Compiled)>),
}

impl ValueTemplate {
    /// Compiles a node; every mistake goes to `problems` with its place, and its text stands for itself.
    pub fn compile(node: &Node, problems: &mut Problems) -> ValueTemplate {
        ValueTemplate { kind: Compiled::of(node, problems) }
    }

    /// A value that is the same at every run.
    pub fn literal(value: Value) -> ValueTemplate {
        ValueTemplate { kind: Compiled::Literal(value) }
    }

    /// Whether it holds no `${…}`.
    pub fn is_literal(&self) -> bool {
        self.kind.is_literal()
    }

    /// The filled value.
    ///
    /// # Errors
    /// When a name is missing, an expression fails, or the value would nest too deeply; `place` is the `file:line:col` of
    /// the mistake.
    pub fn render(&self, scope: &dyn Scope) -> Result<Value, RunError> {
        self.render_borrowed(scope).map(Cow::into_owned)
    }

    /// As [`ValueTemplate::render`], without copying what is literal or stands in the scope.
    ///
    /// # Errors
    /// As [`ValueTemplate::render`].
    pub fn render_borrowed<'a>(&'a self, scope: &'a dyn Scope) -> Result<Cow<'a, Value>, RunError> {
        let value = self.kind.render(scope)?;
        // What is borrowed was there before.
        if let Cow::Owned(value) = &value {
            check_depth("the value", value).map_err(RunError::failed)?;
        }
        Ok(value)
    }
}

impl Compiled {
    fn of(node: &Node, problems: &mut Problems) -> Compiled {
        match &node.kind {
            Kind::Scalar(Value::String(text), _) => match Template::parse(text) {
                Ok(template) => Compiled::text(template, node),
                Err(error) => {
                    error.report(node, problems);
                    Compiled::Literal(Value::String(text.clone()))
                }
            },
            Kind::Scalar(value, _) => Compiled::Literal(value.clone()),
            Kind::List(items) => Compiled::list(items.iter().map(|item| Compiled::of(item, problems)).collect()),
            Kind::Mapping(entries) => Compiled::mapping(
                entries.iter().map(|entry| (entry.key.clone(), Compiled::of(&entry.value, problems))).collect(),
            ),
        }
    }

    /// A text without `${…}` is what it renders to: `$${` has become `${`.
    fn text(template: Template, node: &Node) -> Compiled {
        match template.literal() {
            Some(text) => Compiled::Literal(Value::String(text)),
            None => Compiled::Text(Box::new((template, node.clone()))),
        }
    }

    /// A list of literals is a literal.
    fn list(items: Vec<Compiled>) -> Compiled {
        if items.iter().all(Compiled::is_literal) {
            Compiled::Literal(items.into_iter().filter_map(Compiled::into_literal).collect())
        } else {
            Compiled::List(items)
        }
    }

    /// A mapping of literals is a literal.
    fn mapping(entries: Vec<(String, Compiled)>) -> Compiled {
        if entries.iter().all(|(_, value)| value.is_literal()) {
            let entries = entries.into_iter().filter_map(|(key, value)| Some((key, value.into_literal()?)));
            Compiled::Literal(Value::Object(entries.collect()))
        } else {
            Compiled::Mapping(entries)
        }
    }

    fn is_literal(&self) -> bool {
        matches!(self, Compiled::Literal(_))
    }

    fn into_literal(self) -> Option<Value> {
        match self {
            Compiled::Literal(value) => Some(value),
            _ => None,
        }
    }

    fn render<'a>(&'a self, scope: &'a dyn Scope) -> Result<Cow<'a, Value>, RunError> {
        match self {
            Compiled::Literal(value) => Ok(Cow::Borrowed(value)),
            Compiled::Text(text) => {
                let (template, node) = &**text;
                template.render_borrowed(scope).map_err(|error| error.into_run_error(node))
            }
            Compiled::List(items) => {
                let items: Result<Vec<Value>, RunError> =
                    items.iter().map(|item| item.render(scope).map(Cow::into_owned)).collect();
                items.map(|items| Cow::Owned(Value::Array(items)))
            }
            Compiled::Mapping(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, value) in entries {
                    map.insert(key.clone(), value.render(scope)?.into_owned());
                }
                Ok(Cow::Owned(Value::Object(map)))
            }
        }
    }
}
