//! Declared fields as tables, nested mappings as tables of their own below.

use crate::docs::Part;
use crate::spec::{FieldKind, FieldSpec};

/// A table of `fields`, then one for each mapping inside them.
pub(super) fn tables(fields: &[FieldSpec]) -> Vec<Part> {
    let rows = fields.iter().map(row).collect();
    let mut parts = vec![Part::Table(vec!["key", "value", "default", "meaning"], rows)];
    for field in fields {
        for inner in mappings(&field.kind) {
            parts.push(Part::Paragraph(format!("Keys of `{}`:", field.name)));
            parts.extend(tables(inner));
        }
    }
    parts
}

/// What a value may be, with tables of the mappings inside it.
pub(super) fn value(kind: &FieldKind) -> Vec<Part> {
    let mut parts = vec![Part::Paragraph(format!("Value: {}.", words(kind)))];
    parts.extend(mappings(kind).into_iter().flat_map(tables));
    parts
}

fn row(field: &FieldSpec) -> Vec<String> {
    let default = match (field.default, field.is_required) {
        (Some(default), _) => format!("`{default}`"),
        (None, true) => "required".into(),
        (None, false) => String::new(),
    };
    vec![format!("`{}`", field.name), words(&field.kind), default, field.text.to_string()]
}

/// The mappings with declared keys inside a kind.
fn mappings(kind: &FieldKind) -> Vec<&'static [FieldSpec]> {
    match kind {
        FieldKind::Mapping(fields) => vec![*fields],
        FieldKind::ListOf(inner) | FieldKind::MapOf(inner) => mappings(inner),
        FieldKind::OneOf(kinds) => {
            let mut found: Vec<&'static [FieldSpec]> = Vec::new();
            for fields in kinds.iter().flat_map(mappings) {
                if !found.contains(&fields) {
                    found.push(fields);
                }
            }
            found
        }
        _ => Vec::new(),
    }
}

/// A kind in a few words.
pub(super) fn words(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Text => "text".into(),
        FieldKind::Path => "a path".into(),
        FieldKind::Number => "a number".into(),
        FieldKind::Integer => "a whole number".into(),
        FieldKind::Boolean => "`true` or `false`".into(),
        FieldKind::Duration => "a duration".into(),
        FieldKind::Size => "a size".into(),
        FieldKind::Expression => "an expression".into(),
        FieldKind::Any => "any value".into(),
        FieldKind::Nothing => "nothing".into(),
        FieldKind::Choice(choices) => {
            let quoted: Vec<String> = choices.iter().map(|word| format!("`{word}`")).collect();
            either(&quoted)
        }
        FieldKind::ListOf(inner) => format!("a list of: {}", words(inner)),
        FieldKind::MapOf(inner) => format!("a mapping of names to: {}", words(inner)),
        FieldKind::Mapping(_) => "a mapping".into(),
        FieldKind::Steps => "a list of steps".into(),
        FieldKind::Block => "a block".into(),
        FieldKind::OneOf(kinds) => either(&kinds.iter().map(words).collect::<Vec<_>>()),
    }
}

fn either(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} or {last}", before.join(", ")),
    }
}
