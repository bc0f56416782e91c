//! Procedures described for people and programs: the list at `GET /rpc`, OpenAPI at `/openapi.json`.

use http::Response;
use serde_json::json;

use crate::answer::{self, AnswerBody};
use crate::server::handle::Allowed;
use crate::site::Entry;
use crate::{Argument, ArgumentKind, Map, Value};

/// Every procedure with its path and its declared arguments.
pub(crate) async fn list(allowed: &Allowed<'_>) -> Response<AnswerBody> {
    let entries = allowed.serving.sites.procedures(&allowed.head).await;
    let procedures: Vec<Value> = entries.iter().map(|entry| describe(entry, &allowed.serving.prefix)).collect();
    answer::json(&json!({ "procedures": procedures }))
}

fn describe(entry: &Entry, prefix: &str) -> Value {
    let declaration = &entry.loaded.declaration;
    let arguments: Map = declaration
        .arguments
        .iter()
        .map(|argument| {
            let mut described = json!({"type": kind_name(argument.kind), "required": argument.is_required});
            if let Some(map) = described.as_object_mut() {
                map.extend(argument.default.clone().map(|default| ("default".to_string(), default)));
                map.extend(argument.summary.clone().map(|summary| ("summary".to_string(), summary.into())));
            }
            (argument.name.clone(), described)
        })
        .collect();
    json!({
        "name": method_name(entry),
        "path": format!("{prefix}{}", entry.path()),
        "title": declaration.title,
        "read only": declaration.is_read_only,
        "args": arguments,
    })
}

/// The name by which JSON-RPC calls it.
fn method_name(entry: &Entry) -> String {
    let path = entry.path();
    path.strip_prefix("/rpc/").or(path.strip_prefix('/')).unwrap_or(&path).to_string()
}

/// How an argument's kind is written in a declaration.
fn kind_name(kind: ArgumentKind) -> &'static str {
    match kind {
        ArgumentKind::Text => "text",
        ArgumentKind::Integer => "integer",
        ArgumentKind::Number => "number",
        ArgumentKind::Boolean => "boolean",
        ArgumentKind::List => "list",
        ArgumentKind::Mapping => "mapping",
        ArgumentKind::File => "file",
    }
}

/// The procedures in OpenAPI 3.1.
pub(crate) async fn open_api(allowed: &Allowed<'_>) -> Response<AnswerBody> {
    let entries = allowed.serving.sites.procedures(&allowed.head).await;
    let paths: Map = entries.iter().map(|entry| (entry.path(), operations(entry))).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {"title": allowed.head.host, "version": env!("CARGO_PKG_VERSION")},
        "servers": [{"url": if allowed.serving.prefix.is_empty() { "/" } else { &*allowed.serving.prefix }}],
        "paths": paths,
    });
    if let Some(map) = document.as_object_mut() {
        map.insert("components".into(), json!({"responses": {"Error": error_response()}}));
    }
    answer::json(&document)
}

fn error_response() -> Value {
    json!({
        "description": "an error",
        "content": {"application/json": {"schema": {
            "type": "object",
            "properties": {"error": {
                "type": "object",
                "properties": {
                    "status": {"type": "integer"},
                    "text": {"type": "string"},
                    "id": {"type": "string"},
                },
                "required": ["status", "text"],
            }},
            "required": ["error"],
        }}},
    })
}

fn operations(entry: &Entry) -> Value {
    let declaration = &entry.loaded.declaration;
    let summary = declaration.title.clone().unwrap_or_else(|| method_name(entry));
    let responses = json!({
        "200": {"description": "its values", "content": {"application/json": {"schema": {"type": "object"}}}},
        "default": {"$ref": "#/components/responses/Error"},
    });
    let schema = body_schema(&declaration.arguments);
    let takes_file = declaration.arguments.iter().any(|argument| argument.kind == ArgumentKind::File);
    let body = if takes_file {
        json!({"multipart/form-data": {"schema": schema}})
    } else {
        json!({"application/json": {"schema": schema}, "application/x-www-form-urlencoded": {"schema": schema}})
    };
    let post = json!({
        "operationId": method_name(entry),
        "summary": summary,
        "requestBody": {"required": declaration.arguments.iter().any(|argument| argument.is_required), "content": body},
        "responses": responses,
    });
    let mut operations = Map::from_iter([("post".to_string(), post)]);
    if declaration.is_read_only {
        let parameters: Vec<Value> = declaration.arguments.iter().map(parameter).collect();
        let get = json!({
            "operationId": format!("{}.get", method_name(entry)),
            "summary": summary,
            "parameters": parameters,
            "responses": responses,
        });
        operations.insert("get".into(), get);
    }
    Value::Object(operations)
}

fn body_schema(arguments: &[Argument]) -> Value {
    let properties: Map = arguments.iter().map(|argument| (argument.name.clone(), schema(argument))).collect();
    let required: Vec<&str> =
        arguments.iter().filter(|argument| argument.is_required).map(|argument| argument.name.as_str()).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if let (false, Some(map)) = (required.is_empty(), schema.as_object_mut()) {
        map.insert("required".into(), json!(required));
    }
    schema
}

fn parameter(argument: &Argument) -> Value {
    let is_list = argument.kind == ArgumentKind::List;
    let name = if is_list { format!("{}[]", argument.name) } else { argument.name.clone() };
    json!({"name": name, "in": "query", "required": argument.is_required, "schema": schema(argument)})
}

fn schema(argument: &Argument) -> Value {
    let mut schema = match argument.kind {
        ArgumentKind::Text => json!({"type": "string"}),
        ArgumentKind::Integer => json!({"type": "integer", "format": "int64"}),
        ArgumentKind::Number => json!({"type": "number"}),
        ArgumentKind::Boolean => json!({"type": "boolean"}),
        ArgumentKind::List => json!({"type": "array", "items": {}}),
        ArgumentKind::Mapping => json!({"type": "object"}),
        ArgumentKind::File => json!({"type": "string", "format": "binary"}),
    };
    if let Some(map) = schema.as_object_mut() {
        map.extend(argument.default.clone().map(|default| ("default".to_string(), default)));
        map.extend(argument.summary.clone().map(|summary| ("description".to_string(), summary.into())));
    }
    schema
}
