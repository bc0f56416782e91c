//! Procedures: flat calls, JSON-RPC 2.0, descriptions.

use serde_json::json;

use crate::support::Fixture;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn site() -> Fixture {
    Fixture::new(&[
        ("rpc/read.json", r#"{"declare": {"read only": true}, "echo": 1}"#),
        ("rpc/write.json", r#"{"echo": 1}"#),
        ("rpc/deep/er.json", r#"{"answer": {"n": 1}}"#),
        (
            "rpc/typed.json",
            r#"{"declare": {"args": {"n": {"type": "integer", "required": true}, "m": {}}}, "echo": 1}"#,
        ),
        ("rpc/fails.json", r#"{"fail": "secret"}"#),
        ("rpc/broken.json", "{"),
    ])
}

#[test]
fn a_flat_call_takes_query_form_and_json_and_gives_its_values() {
    let site = site();
    for reply in [
        site.get("/rpc/read?x=1&y[]=2&y[]=3"),
        site.post("/rpc/write", FORM, "x=1&y[]=2&y[]=3"),
        site.post("/rpc/write?x=0&y[]=9", FORM, "x=1&y[]=2&y[]=3"),
        site.post("/rpc/write", JSON, r#"{"x": "1", "y": ["2", "3"]}"#),
    ] {
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(JSON)));
        assert_eq!(reply.json()["echo"]["arguments"], json!({"x": "1", "y": ["2", "3"]}));
        assert_eq!(reply.json()["echo"]["state"]["protocol"], "rpc");
        assert!(reply.json().get("render").is_none() && reply.json().get("x").is_none());
    }
    assert_eq!(site.post("/rpc/deep/er", JSON, "{}").json(), json!({"n": 1}));
}

#[test]
fn what_is_not_read_only_wants_post() {
    let reply = site().get("/rpc/write");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("OPTIONS, POST")));
}

#[test]
fn declared_arguments_are_converted_and_wrong_ones_named() {
    let site = site();
    assert_eq!(site.post("/rpc/typed", FORM, "n=5").json()["echo"]["arguments"], json!({"n": 5}));
    let reply = site.post("/rpc/typed", FORM, "n=five");
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["text"], "n is \"five\", expected a whole number");
}

#[test]
fn errors_are_json_with_an_id_and_no_detail() {
    let site = site();
    for path in ["/rpc/fails", "/rpc/broken"] {
        let reply = site.post(path, JSON, "{}");
        assert_eq!((reply.status, reply.header("content-type")), (500, Some(JSON)));
        assert!(reply.json()["error"]["id"].is_string());
        assert!(!reply.text().contains("secret"));
    }
    assert_eq!(site.post("/rpc/none", JSON, "{}").status, 404);
}

#[test]
fn json_rpc_answers_calls_batches_and_notifications() {
    let site = site();
    let reply = site.post("/rpc", JSON, r#"{"jsonrpc": "2.0", "method": "deep/er", "id": 7}"#);
    assert_eq!(reply.json(), json!({"jsonrpc": "2.0", "result": {"n": 1}, "id": 7}));
    let reply = site.post("/rpc", JSON, r#"{"jsonrpc": "2.0", "method": "typed", "params": [5, "x"], "id": "a"}"#);
    assert_eq!(reply.json()["result"]["echo"]["arguments"], json!({"n": 5, "m": "x"}));
    let reply = site.post("/rpc", JSON, r#"{"jsonrpc": "2.0", "method": "write", "params": {"a": 1}}"#);
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    let batch = r#"[{"jsonrpc": "2.0", "method": "deep/er", "id": 1}, {"jsonrpc": "2.0", "method": "write"}, 5,
        {"jsonrpc": "2.0", "method": "none", "id": 2}]"#;
    let replies = site.post("/rpc", JSON, batch).json();
    assert_eq!(replies.as_array().unwrap().len(), 3);
    assert_eq!(replies[0]["result"], json!({"n": 1}));
    assert_eq!((&replies[1]["error"]["code"], &replies[1]["id"]), (&json!(-32600), &json!(null)));
    assert_eq!((&replies[2]["error"]["code"], &replies[2]["id"]), (&json!(-32601), &json!(2)));
    let only_notifications = r#"[{"jsonrpc": "2.0", "method": "write"}]"#;
    assert_eq!(site.post("/rpc", JSON, only_notifications).status, 204);
}

#[test]
fn json_rpc_errors_have_the_codes_of_the_specification() {
    let site = site();
    for (body, code) in [
        ("{", -32700),
        ("[]", -32600),
        ("1", -32600),
        (r#"{"method": "read", "id": 1}"#, -32600),
        (r#"{"jsonrpc": "2.0", "method": 1, "id": 1}"#, -32600),
        (r#"{"jsonrpc": "2.0", "method": "read", "params": 5, "id": 1}"#, -32600),
        (r#"{"jsonrpc": "2.0", "method": "read", "id": {}}"#, -32600),
        (r#"{"jsonrpc": "2.0", "method": "none", "id": 1}"#, -32601),
        (r#"{"jsonrpc": "2.0", "method": "../pages/x", "id": 1}"#, -32601),
        (r#"{"jsonrpc": "2.0", "method": "typed", "id": 1}"#, -32602),
        (r#"{"jsonrpc": "2.0", "method": "typed", "params": [1, 2, 3], "id": 1}"#, -32602),
        (r#"{"jsonrpc": "2.0", "method": "fails", "id": 1}"#, -32603),
        (r#"{"jsonrpc": "2.0", "method": "broken", "id": 1}"#, -32603),
    ] {
        let reply = site.post("/rpc", JSON, body);
        assert_eq!(reply.json()["error"]["code"], json!(code), "{body}");
        assert!(!reply.text().contains("secret"));
    }
    let batch = format!("[{}]", vec!["1"; 101].join(","));
    assert_eq!(site.post("/rpc", JSON, &batch).json()["error"]["code"], json!(-32600));
    assert_eq!(site.post("/rpc", "text/plain", "{}").status, 415);
}

#[test]
fn procedures_are_listed_and_described() {
    let site = site();
    let list = site.get("/rpc").json();
    let names: Vec<_> =
        list["procedures"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["deep/er", "fails", "read", "typed", "write"]);
    assert_eq!(list["procedures"][3]["args"]["n"], json!({"type": "integer", "required": true}));
    let document = site.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/rpc/read"]["get"].is_object());
    assert!(document["paths"]["/rpc/write"]["get"].is_null());
    let body = &document["paths"]["/rpc/typed"]["post"]["requestBody"];
    assert_eq!(body["content"]["application/json"]["schema"]["required"], json!(["n"]));
}

#[test]
fn health_readiness_and_version_are_told() {
    let site = site();
    assert_eq!(site.get("/healthz").json(), json!({"status": "ok"}));
    assert_eq!(site.get("/readyz").json(), json!({"status": "ready"}));
    assert!(site.get("/version").json()["dropstar"].is_string());
}
