//! The marked tree: YAML as the user wrote it, with places.

use crate::load::Mark;
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

    /// The place of the `offset`th character (from 0) of a one-line scalar's text.
    ///
    /// In a block scalar the line is found too; in a folded or escaped text the place is the scalar's own.
    pub fn mark_within(&self, offset: usize) -> Mark {
        let mut mark = self.mark.clone();
        let Kind::Scalar(Value::String(text), style) = &self.kind else { return mark };
        let before: String = text.chars().take(offset).collect();
        let lines_before = u32::try_from(before.matches('\n').count()).unwrap_or(0);
        let in_line = before.rsplit('\n').next().map_or(0, |line| line.chars().count());
        let in_line = u32::try_from(in_line).unwrap_or(0);
        match style {
            Style::Plain if lines_before == 0 => mark.column += in_line,
            Style::Quoted if lines_before == 0 => mark.column += in_line + 1,
            Style::Block => {
                mark.line += 1 + lines_before;
                let indent = mark.source.line(mark.line).chars().take_while(|c| *c == ' ').count();
                mark.column = u32::try_from(indent).unwrap_or(0) + in_line + 1;
            }
            Style::Plain | Style::Quoted => {}
        }
        mark
    }
}
