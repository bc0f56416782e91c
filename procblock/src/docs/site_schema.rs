//! The JSON Schemas of site files, package files and pages, for editors: from the declarations, as that of block files.

use serde_json::json;

use crate::docs::schema::{DIALECT, Place, both_spellings, definitions, field, mapping, mapping_of_tags};
use crate::serve::declaration::DECLARATION_FIELDS;
use crate::serve::definition::TEMPLATE_FIELDS;
use crate::serve::fields::SITE_FIELDS;
use crate::serve::package::PACKAGE_FIELDS;
use crate::value::{Map, Value};

/// Definitions that do without tags and steps.
const PLAIN: [&str; 7] = ["text", "filled_in", "duration", "size", "number", "integer", "boolean"];

/// The schema of a site file (draft 2020-12).
pub fn site_schema() -> Value {
    let mut site = mapping(SITE_FIELDS);
    if let Value::Object(site) = &mut site {
        site.insert("oneOf".into(), json!([{"required": ["packages"]}, {"required": ["folder"]}]));
    }
    let mut plain = definitions();
    plain.retain(|name, _| PLAIN.contains(&name.as_str()));
    json!({
        "$schema": DIALECT,
        "title": "procblock site file",
        "description": "Sites by their main host, each with packages or a folder.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": site,
        "$defs": plain,
    })
}

/// The schema of a package file (draft 2020-12).
pub fn package_schema() -> Value {
    let mut schema = mapping(PACKAGE_FIELDS);
    let of = |name: &str| json!({"type": "object", "additionalProperties": {"$ref": format!("#/$defs/{name}")}});
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("http".into(), of("page"));
        properties.insert("rpc".into(), of("procedure"));
    }
    let mut definitions = definitions();
    definitions.insert("page".into(), Value::Object(page(template())));
    definitions.insert("procedure".into(), Value::Object(page(Value::Bool(false))));
    let head = json!({
        "$schema": DIALECT,
        "title": "procblock package file",
        "description": "Static files, pages and RPCs of a site.",
    });
    let mut whole = head.as_object().cloned().unwrap_or_default();
    whole.extend(schema.as_object().cloned().unwrap_or_default());
    whole.insert("$defs".into(), Value::Object(definitions));
    Value::Object(whole)
}

/// The schema of a page in a file of its own (draft 2020-12).
pub fn page_schema() -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".into(), DIALECT.into());
    schema.insert("title".into(), "procblock page".into());
    schema.insert("description".into(), "A page or RPC: what it declares, its template, and a block.".into());
    schema.append(&mut page(template()));
    schema.insert("$defs".into(), Value::Object(definitions()));
    Value::Object(schema)
}

fn template() -> Value {
    json!({"anyOf": [{"type": "string"}, mapping(TEMPLATE_FIELDS)]})
}

/// A block with what a page declares.
fn page(template: Value) -> Map {
    let mut schema = mapping_of_tags(Place::Nested);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for spec in DECLARATION_FIELDS {
            both_spellings(spec.name, &field(spec), properties);
        }
        properties.insert("template".into(), template);
        properties.insert("serve".into(), Value::Bool(false));
        both_spellings("run workers", &Value::Bool(false), properties);
    }
    schema
}
