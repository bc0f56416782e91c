//! The JSON Schema of block files, for editors.
//!
//! It is made from the same declarations that the checker reads. What a schema can't say (expressions, names that must
//! exist, words that are nearly a tag) is left to `procblock check`; what it refuses, `check` refuses too.

use serde_json::json;

use crate::docs::fields;
use crate::spec::{Example, Expected, FieldKind, FieldSpec};
use crate::step::{self, ATTRIBUTES};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{self, COMING_TAGS};
use crate::value::{Map, Value};

/// The dialect.
pub(super) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A text that is filled in when it is needed.
const PLACEHOLDER: &str = r"\$\{";

const DURATION: &str = r"^\s*(\d+:[0-5]?\d:[0-5]?\d|\d+\.?\d*|\.\d+|((\d+\.?\d*|\.\d+)(us|ms|s|m|h|d|w))+)\s*$";

const SIZE: &str = r"^\s*(\d+\.?\d*|\.\d+)\s*(B|[kKMGT]i?B?)?\s*$";

const NUMBER: &str = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$";

const INTEGER: &str = r"^\s*[-+]?\d+\s*$";

/// The schema of a block file (draft 2020-12).
pub fn block_schema() -> Value {
    let mut file = mapping_of_tags(Place::File);
    let mut schema = Map::new();
    schema.insert("$schema".into(), DIALECT.into());
    schema.insert("title".into(), "procblock block file".into());
    schema.insert("description".into(), "A file that procblock runs: tags, and data of your own.".into());
    schema.append(&mut file);
    schema.insert("type".into(), json!(["object", "null"]));
    schema.insert("$defs".into(), Value::Object(definitions()));
    Value::Object(schema)
}

/// Where a mapping of tags stands: some keys have a meaning in one place only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the top of a file.
    File,
    /// Under a key.
    Nested,
    /// Behind `if`, with `elif EXPR` and `else` in it.
    Branch,
}

pub(super) fn definitions() -> Map {
    let mut definitions = Map::new();
    for (name, schema) in [
        ("block", Value::Object(mapping_of_tags(Place::Nested))),
        ("branch", Value::Object(mapping_of_tags(Place::Branch))),
        ("steps", json!({"type": "array", "items": reference("step")})),
        ("handler_steps", json!({"type": "array", "items": {"anyOf": [reference("step"), then()]}})),
        ("step", step()),
        ("text", json!({"type": ["string", "number", "boolean"]})),
        ("filled_in", json!({"type": "string", "pattern": PLACEHOLDER})),
        ("duration", scalar(json!({"type": "number", "minimum": 0}), DURATION)),
        ("size", scalar(json!({"type": "number", "minimum": 0}), SIZE)),
        ("number", scalar(json!({"type": "number"}), NUMBER)),
        ("integer", scalar(json!({"type": "integer"}), INTEGER)),
        ("boolean", json!({"anyOf": [{"type": "boolean"}, reference("filled_in")]})),
        ("data", json!({"anyOf": [reference("block"), {"type": ["null", "boolean", "number", "string", "array"]}]})),
    ] {
        definitions.insert(name.into(), schema);
    }
    for tag in tag::ALL {
        let spec = tag.spec();
        let text = text_of(spec.summary, spec.text, spec.examples);
        definitions.insert(tag_name(spec), described(tag_value(spec), &text));
    }
    definitions
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A number as such or as text of that form, or a text to be filled in.
fn scalar(number: Value, pattern: &str) -> Value {
    json!({"anyOf": [number, {"type": "string", "pattern": pattern}, reference("filled_in")]})
}

fn then() -> Value {
    json!({
        "type": "object",
        "description": "Last item: whether the failure stands.",
        "properties": {"then": {"enum": ["stop", "continue"]}},
        "required": ["then"],
        "additionalProperties": false,
    })
}

fn tag_name(spec: &TagSpec) -> String {
    let fixed = match spec.pattern {
        Pattern::Exact(key) => key,
        Pattern::Prefix { prefix, .. } => prefix,
    };
    format!("tag_{}", fixed.trim_start_matches('_').trim_end_matches("NAME").trim_end_matches('_').replace(' ', "_"))
}

/// A block, with the keys that its place allows.
pub(super) fn mapping_of_tags(place: Place) -> Map {
    let mut properties = Map::new();
    let mut patterns = Map::new();
    for tag in tag::ALL {
        let spec = tag.spec();
        let shown = reference(&tag_name(spec));
        match spec.pattern {
            Pattern::Exact("__usage") if place != Place::File => {
                properties.insert("__usage".into(), Value::Bool(false));
            }
            Pattern::Exact(key) if key.ends_with("NAME") => {
                patterns.insert(format!("^{}.+", escape(key.trim_end_matches("NAME"))), shown);
            }
            Pattern::Exact(key) => both_spellings(key, &shown, &mut properties),
            Pattern::Prefix { prefix, .. } => {
                patterns.insert(format!("^{} +\\S", escape(prefix)), shown);
            }
        }
    }
    if place == Place::Branch {
        let text = "Taken when the condition before it did not hold and this one does.";
        patterns.insert("^elif +\\S".into(), described(reference("block"), text));
        properties.insert("else".into(), described(reference("block"), "Taken when no condition held."));
    } else {
        properties.insert("__priority".into(), described(reference("integer"), "This block's place in the order."));
    }
    for tag in COMING_TAGS {
        both_spellings(tag, &Value::Bool(false), &mut properties);
    }
    mistyped(&mut patterns);
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("properties".into(), Value::Object(properties));
    schema.insert("patternProperties".into(), Value::Object(patterns));
    schema.insert("additionalProperties".into(), reference("data"));
    schema
}

/// Keys that begin with a tag's first word and a space but are no tag: refused, as by the checker.
fn mistyped(patterns: &mut Map) {
    let mut known: Vec<(&str, Vec<String>)> = Vec::new();
    for tag in tag::ALL {
        let rest_of = |key: &'static str, more: &str| {
            key.split_once(' ').map(|(first, rest)| (first, format!("{}{more}", escape(rest))))
        };
        let found = match tag.spec().pattern {
            Pattern::Exact(key) => rest_of(key, "$"),
            Pattern::Prefix { prefix, .. } => rest_of(prefix, " "),
        };
        let Some((first, rest)) = found else { continue };
        match known.iter_mut().find(|(word, _)| *word == first) {
            Some((_, rests)) => rests.push(rest),
            None => known.push((first, vec![rest])),
        }
    }
    for (first, rests) in known {
        patterns.insert(format!("^{first} (?!{})", rests.join("|")), Value::Bool(false));
    }
}

/// What a tag holds; its own `__priority` may stand in a mapping.
fn tag_value(spec: &TagSpec) -> Value {
    let schema = match spec.pattern {
        Pattern::Prefix { prefix: "if", .. } => reference("branch"),
        Pattern::Exact("on error" | "always") => handler(of_kind(&spec.value)),
        Pattern::Exact("__usage" | "data" | "blocks") => return of_kind(&spec.value),
        _ => of_kind(&spec.value),
    };
    with_priority(schema)
}

fn with_priority(mut schema: Value) -> Value {
    if let Some(options) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        for option in options {
            *option = with_priority(option.take());
        }
        return schema;
    }
    let Some(map) = schema.as_object_mut().filter(|map| map.get("type") == Some(&"object".into())) else {
        return schema;
    };
    let properties = map.entry("properties").or_insert_with(|| json!({}));
    if let Value::Object(properties) = properties {
        properties.insert("__priority".into(), reference("integer"));
    }
    schema
}

/// Where a run list may end with `then: continue`.
fn handler(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(map) if map.get("$ref") == Some(&"#/$defs/steps".into()) => return reference("handler_steps"),
        Value::Object(map) => {
            if let Some(Value::Array(options)) = map.get_mut("anyOf") {
                options.iter_mut().for_each(|option| *option = handler(option.take()));
            }
        }
        _ => {}
    }
    schema
}

/// A step: one of the steps and any of the attributes.
fn step() -> Value {
    let mut properties = Map::new();
    let mut one_of = Vec::new();
    for step in step::ALL {
        let spec = step.spec();
        let text = text_of(spec.summary, spec.text, spec.examples);
        both_spellings(spec.name, &described(of_kind(&spec.value), &text), &mut properties);
        one_of.push(json!({"required": [spec.name]}));
    }
    for attribute in ATTRIBUTES {
        let mut schema = field(attribute);
        if attribute.name == "on error" {
            schema = handler(schema);
        }
        both_spellings(attribute.name, &schema, &mut properties);
    }
    json!({"type": "object", "properties": properties, "additionalProperties": false, "oneOf": one_of})
}

/// A declared field.
pub(super) fn field(spec: &FieldSpec) -> Value {
    let mut text = spec.text.to_string();
    if let Some(default) = spec.default {
        text.push_str(&format!(" Default: {default}."));
    }
    described(of_kind(&spec.kind), &format!("{text}\n\nValue: {}.", fields::words(&spec.kind)))
}

fn of_kind(kind: &FieldKind) -> Value {
    match kind {
        FieldKind::Text | FieldKind::Path | FieldKind::Expression => reference("text"),
        FieldKind::Number => reference("number"),
        FieldKind::Integer => reference("integer"),
        FieldKind::Boolean => reference("boolean"),
        FieldKind::Duration => reference("duration"),
        FieldKind::Size => reference("size"),
        FieldKind::Any => json!({}),
        FieldKind::Nothing => json!({"type": "null"}),
        FieldKind::Choice(words) => json!({"anyOf": [{"enum": words}, reference("filled_in")]}),
        FieldKind::ListOf(item) => or_filled_in(json!({"type": "array", "items": of_kind(item)})),
        FieldKind::MapOf(value) => or_filled_in(json!({"type": "object", "additionalProperties": of_kind(value)})),
        FieldKind::Mapping(fields) => mapping(fields),
        FieldKind::Steps => reference("steps"),
        FieldKind::Block => reference("block"),
        FieldKind::OneOf(kinds) => json!({"anyOf": kinds.iter().map(of_kind).collect::<Vec<_>>()}),
    }
}

fn or_filled_in(schema: Value) -> Value {
    json!({"anyOf": [schema, reference("filled_in")]})
}

pub(super) fn mapping(fields: &[FieldSpec]) -> Value {
    let mut properties = Map::new();
    for spec in fields {
        both_spellings(spec.name, &field(spec), &mut properties);
    }
    let mut required = Vec::new();
    let mut either = Vec::new();
    for spec in fields.iter().filter(|spec| spec.is_required) {
        match spec.name.contains(' ') {
            true => {
                either.push(json!({"anyOf": [{"required": [spec.name]}, {"required": [spec.name.replace(' ', "_")]}]}))
            }
            false => required.push(spec.name),
        }
    }
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if let Value::Object(map) = &mut schema {
        if !required.is_empty() {
            map.insert("required".into(), required.into());
        }
        if !either.is_empty() {
            map.insert("allOf".into(), either.into());
        }
    }
    schema
}

/// A key of several words may be written with underscores.
pub(super) fn both_spellings(name: &str, schema: &Value, properties: &mut Map) {
    properties.insert(name.to_string(), schema.clone());
    if name.contains(' ') {
        properties.insert(name.replace(' ', "_"), schema.clone());
    }
}

fn described(mut schema: Value, text: &str) -> Value {
    if let Value::Object(map) = &mut schema {
        map.shift_insert(0, "description".into(), text.into());
    }
    schema
}

fn text_of(summary: &str, text: &str, examples: &[Example]) -> String {
    let good = examples.iter().find(|example| matches!(example.expected, Expected::Result(_)));
    let shown = good.map(|example| format!("\n\n{}", example.yaml.trim_end())).unwrap_or_default();
    format!("{summary}\n\n{text}{shown}")
}

/// A fixed text as a pattern: keys hold letters, underscores and spaces only.
fn escape(text: &str) -> String {
    text.replace(' ', " +")
}
