//! Reading a user's mapping against its declaration.

use crate::load::{Entry, Kind, Node, Problems, nearest};
use crate::spec::setting::has_placeholder;
use crate::spec::{FieldKind, FieldSpec, FromValue, Setting, Size};
use crate::value::Value;

/// Whether a key as written is the declared one: spaces may be written as underscores.
pub fn same_key(written: &str, declared: &str) -> bool {
    let same = |(written, declared): (u8, u8)| written == declared || (written, declared) == (b'_', b' ');
    written.len() == declared.len() && written.bytes().zip(declared.bytes()).all(same)
}

/// A mapping whose keys were found in its declaration, each at most once and of the declared kind.
#[derive(Debug)]
pub struct Fields<'n> {
    found: Vec<(&'static str, &'n Entry)>,
}

impl<'n> Fields<'n> {
    /// Reads `node` as a mapping of `specs`; `what` names it in messages ("a step", "require lock").
    ///
    /// Unknown keys, both spellings of one key, wrong kinds and absent required keys are added to `problems`.
    pub fn read(node: &'n Node, specs: &'static [FieldSpec], what: &str, problems: &mut Problems) -> Self {
        let Some(entries) = node.entries() else {
            let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
            let remedy = format!("expected a mapping with: {}", names.join(", "));
            problems.error(&node.mark, format!("{what} is a {}", node.kind_name()), remedy);
            return Fields { found: Vec::new() };
        };
        let fields = Self::sort(entries.iter(), specs, what, problems);
        for spec in specs.iter().filter(|spec| spec.is_required) {
            if !entries.iter().any(|entry| same_key(&entry.key, spec.name)) {
                let remedy = format!("add {}: {}", spec.name, spec.kind.expected());
                problems.error(&node.mark, format!("{what} has no {}", spec.name), remedy);
            }
        }
        fields
    }

    /// The same for entries that were picked out of a larger mapping.
    pub fn sort(
        entries: impl Iterator<Item = &'n Entry>,
        specs: &'static [FieldSpec],
        what: &str,
        problems: &mut Problems,
    ) -> Self {
        let mut found: Vec<(&'static str, &'n Entry)> = Vec::new();
        // A tag's own place in the order is read by the compiler, whatever the tag takes.
        for entry in entries.filter(|entry| entry.key != "__priority") {
            let Some(spec) = specs.iter().find(|spec| same_key(&entry.key, spec.name)) else {
                problems.error(
                    &entry.mark,
                    format!("unknown key \"{}\" in {what}", entry.key),
                    suggest(&entry.key, specs),
                );
                continue;
            };
            if let Some((_, earlier)) = found.iter().find(|(name, _)| *name == spec.name) {
                let what = format!("\"{}\" is given twice, also at line {}", spec.name, earlier.mark.line);
                problems.error(&entry.mark, what, "keep one of the two spellings");
                continue;
            }
            if check_kind(&entry.value, &spec.kind, spec.name, problems) {
                found.push((spec.name, entry));
            }
        }
        Fields { found }
    }

    /// The entry of a declared key, if the user gave it.
    pub fn entry(&self, name: &str) -> Option<&'n Entry> {
        self.found.iter().find(|(key, _)| *key == name).map(|(_, entry)| *entry)
    }

    /// The node behind a declared key.
    pub fn node(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|entry| &entry.value)
    }

    /// A value that is literal or filled in at run time.
    pub fn setting<T: FromValue>(&self, name: &str, problems: &mut Problems) -> Option<Setting<T>> {
        Setting::compile(self.node(name)?, problems)
    }

    /// A value that must be literal because it is needed before anything runs.
    pub fn literal<T: FromValue>(&self, name: &str, problems: &mut Problems) -> Option<T> {
        let node = self.node(name)?;
        if has_placeholder(node) {
            problems.error(
                &node.mark,
                format!("{name} can't hold ${{…}}"),
                "write the value itself: it is needed before anything runs",
            );
            return None;
        }
        T::from_value(&node.to_value()).ok()
    }

    /// Whether the user gave none of the declared keys.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

fn suggest(key: &str, specs: &[FieldSpec]) -> String {
    let spaced = key.replace('_', " ");
    match nearest(&spaced, specs.iter().map(|spec| spec.name)) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => format!("expected one of: {}", specs.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")),
    }
}

/// Checks a literal value against a kind, reporting what does not fit; a text with `${…}` fits every scalar kind.
pub fn check_kind(node: &Node, kind: &FieldKind, name: &str, problems: &mut Problems) -> bool {
    if fits(node, kind) {
        return check_inside(node, kind, name, problems);
    }
    let shown = match &node.kind {
        Kind::Scalar(Value::Null, _) => "nothing".to_string(),
        Kind::Scalar(value, _) => format!("the {} {value}", node.kind_name()),
        _ => format!("a {}", node.kind_name()),
    };
    let near = node.as_text().and_then(|word| nearest(word, choices(kind)));
    let remedy =
        near.map_or_else(|| format!("expected {}", kind.expected()), |word| format!("did you mean \"{word}\"?"));
    problems.error(&node.mark, format!("{name} is {shown}"), remedy);
    false
}

/// The words that a value may be.
fn choices(kind: &FieldKind) -> Vec<&'static str> {
    match kind {
        FieldKind::Choice(words) => words.to_vec(),
        FieldKind::OneOf(kinds) => kinds.iter().flat_map(choices).collect(),
        _ => Vec::new(),
    }
}

fn check_inside(node: &Node, kind: &FieldKind, name: &str, problems: &mut Problems) -> bool {
    match kind {
        FieldKind::ListOf(item) => {
            let results: Vec<bool> =
                node.items().unwrap_or_default().iter().map(|node| check_kind(node, item, name, problems)).collect();
            results.into_iter().all(|good| good)
        }
        FieldKind::MapOf(value) => {
            let results: Vec<bool> = node
                .entries()
                .unwrap_or_default()
                .iter()
                .map(|entry| check_kind(&entry.value, value, &entry.key, problems))
                .collect();
            results.into_iter().all(|good| good)
        }
        FieldKind::OneOf(kinds) => {
            kinds.iter().find(|kind| fits(node, kind)).is_none_or(|kind| check_inside(node, kind, name, problems))
        }
        _ => true,
    }
}

fn fits(node: &Node, kind: &FieldKind) -> bool {
    match kind {
        FieldKind::Any => true,
        FieldKind::Nothing => node.is_null(),
        FieldKind::ListOf(_) => node.items().is_some() || whole_placeholder(node),
        FieldKind::MapOf(_) => node.entries().is_some() || whole_placeholder(node),
        FieldKind::Steps => node.items().is_some(),
        FieldKind::Mapping(_) | FieldKind::Block => node.entries().is_some(),
        FieldKind::OneOf(kinds) => kinds.iter().any(|kind| fits(node, kind)),
        scalar => fits_scalar(node, scalar),
    }
}

fn whole_placeholder(node: &Node) -> bool {
    node.as_text().is_some_and(|text| text.starts_with("${") && text.ends_with('}'))
}

fn fits_scalar(node: &Node, kind: &FieldKind) -> bool {
    let Kind::Scalar(value, _) = &node.kind else { return false };
    if has_placeholder(node) {
        return true;
    }
    match kind {
        FieldKind::Text | FieldKind::Path | FieldKind::Expression => {
            matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
        }
        FieldKind::Number => f64::from_value(value).is_ok(),
        FieldKind::Integer => i64::from_value(value).is_ok(),
        FieldKind::Boolean => value.is_boolean(),
        FieldKind::Duration => std::time::Duration::from_value(value).is_ok(),
        FieldKind::Size => Size::from_value(value).is_ok(),
        FieldKind::Choice(words) => value.as_str().is_some_and(|text| words.contains(&text)),
        _ => false,
    }
}
