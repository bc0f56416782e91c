//! The marked tree: YAML as the user wrote it, with places.

use crate::load::Mark;
use crate::load::place::{comment_after_plain, place_within};
use crate::value::{Map, Value};

/// How a scalar was written; decides where inside it a column lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// A `|` or `>` block.
    Block,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Null, boolean, number or text.
    Scalar(Value, Style),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the document's order; keys are unique.
    Mapping(Vec<Entry>),
}

/// One value with the place where it began.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it began.
    pub mark: Mark,
    /// What it is.
    pub kind: Kind,
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key, as text (a number or boolean key is its text).
    pub key: String,
    /// Where the key stands.
    pub mark: Mark,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Nothing, at a place: stands for what is not YAML.
    pub fn at(mark: Mark) -> Self {
        Node { mark, kind: Kind::Scalar(Value::Null, Style::Plain) }
    }

    /// The plain value, without places.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value, _) => value.clone(),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Kind::Mapping(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect::<Map>())
            }
        }
    }

    /// The text of a text scalar.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(Value::String(text), _) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entry under `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// Whether it is null or absent text (`key:` with nothing behind it).
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Value::Null, _))
    }

    /// The word for its kind in messages.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(value, _) => crate::value::kind_name(value),
            Kind::List(_) => "list",
            Kind::Mapping(_) => "mapping",
        }
    }

    /// Its kind as a part of a sentence: `a mapping`, `null`.
    pub fn kind_phrase(&self) -> String {
        if self.is_null() { "null".into() } else { format!("a {}", self.kind_name()) }
    }

    /// The place of the `offset`th character (from 0) of a text, whatever way it was written; else the node's own.
    pub fn mark_within(&self, offset: usize) -> Mark {
        match &self.kind {
            Kind::Scalar(Value::String(text), style) => place_within(&self.mark, text, *style, offset),
            _ => self.mark.clone(),
        }
    }

    /// The place of the `#` when a comment stands behind this text on its last line, and the text has no quotes:
    /// in `shell: echo #1` the user may have meant it as part of the text.
    pub fn comment_after(&self) -> Option<Mark> {
        match &self.kind {
            Kind::Scalar(Value::String(text), Style::Plain) => comment_after_plain(&self.mark, text),
            _ => None,
        }
    }
}
