//! What requests bring: bodies of every kind, within bounds.

use serde_json::json;

use crate::support::Fixture;

fn site() -> Fixture {
    Fixture::with(&[("rpc/echo.json", r#"{"echo": 1}"#)], |config, _| {
        config.limits.body_bytes = 10_000;
        config.limits.upload_bytes = 50_000;
    })
}

fn form(parts: &str) -> (String, String) {
    ("multipart/form-data; boundary=x".to_string(), format!("{parts}--x--\r\n"))
}

#[test]
fn a_form_in_parts_gives_texts_and_files() {
    let (kind, body) = form(
        "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n\
         --x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n.txt\"\r\n\r\ncontent\r\n",
    );
    let reply = site().post("/rpc/echo", &kind, &body).json();
    assert_eq!(reply["content"], "content");
    let arguments = &reply["echo"]["arguments"];
    assert_eq!((&arguments["a"], &arguments["f"]["name"]), (&json!("one"), &json!("n.txt")));
    assert!(!std::path::Path::new(arguments["f"]["file"].as_str().unwrap()).exists());
}

#[test]
fn bodies_that_can_not_be_read_are_refused_and_never_a_dropped_connection() {
    let site = site();
    let many = "a=1&".repeat(10_000);
    let deep = "[".repeat(100_000);
    for (kind, body, status) in [
        ("text/plain", "a=1", 415),
        ("", "a=1", 415),
        ("application/json", "{", 400),
        ("application/json", "[1]", 400),
        ("application/json", &format!("{{\"a\": {}", &deep[..9000]), 400),
        ("application/json", &deep, 413),
        ("application/x-www-form-urlencoded", &many[..8000], 400),
        ("application/x-www-form-urlencoded", &many, 413),
        ("multipart/form-data", "x", 400),
        ("multipart/form-data; boundary=x", "x", 400),
    ] {
        let reply = site.post("/rpc/echo", kind, body);
        assert_eq!(reply.status, status, "{kind}: {}", &body[..body.len().min(40)]);
        assert_eq!(reply.json()["error"]["status"], json!(status));
    }
    assert_eq!(site.post("/rpc/echo", "application/json", "{}").status, 200);
}

#[test]
fn ten_thousand_arguments_are_refused() {
    let site = site();
    let query = "a=1&".repeat(2000);
    assert_eq!(site.post(&format!("/rpc/echo?{query}"), "application/json", "{}").status, 400);
}

#[test]
fn chunked_bodies_are_read_and_bounded_and_close_the_connection() {
    let site = site();
    let head = "POST /rpc/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut connection = site.connect();
    connection.send(format!("{head}7\r\n{{\"a\": 1\r\n1\r\n}}\r\n0\r\n\r\n"));
    let reply = connection.reply();
    assert_eq!(reply.json()["echo"]["arguments"], json!({"a": 1}));
    assert_eq!(reply.header("connection"), Some("close"));
    let mut connection = site.connect();
    connection.send(head);
    connection.offer(format!("4000\r\n{}\r\n", "x".repeat(0x4000)));
    assert_eq!(connection.reply().status, 413);
}

#[test]
fn a_zip_bomb_is_refused() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 5_000_000]).unwrap();
    let bomb = encoder.finish().unwrap();
    let site = site();
    let mut connection = site.connect();
    connection.send(format!(
        "POST /rpc/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    ));
    connection.offer(bomb);
    assert_eq!(connection.reply().status, 413);
}

#[test]
fn a_head_that_can_not_be_is_a_bad_request() {
    let site = site();
    for head in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n",
        "GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let mut connection = site.connect();
        connection.send(head);
        assert_eq!(connection.reply().status, 400, "{head}");
        assert!(connection.is_closed(), "{head}");
    }
    let mut connection = site.connect();
    connection.offer(format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(20_000)));
    assert_eq!(connection.reply().status, 431);
}

#[test]
fn a_message_with_both_lengths_is_answered_and_its_connection_closed() {
    let site = site();
    let mut connection = site.connect();
    connection.send(
        "POST /rpc/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(connection.reply().header("connection"), Some("close"));
    assert!(connection.is_closed());
}
