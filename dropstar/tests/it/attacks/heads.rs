//! Heads that two readers understand differently, or that one can't hold.

use super::{PASSWORD, guarded};
use crate::support::Fixture;

fn site() -> Fixture {
    Fixture::new(&[("pages/page.json", r#"{"answer": {"page": 1}}"#), ("rpc/echo.json", r#"{"echo": 1}"#)])
}

/// A request that a proxy in front may have taken for a body.
const HIDDEN: &str = "GET /page HTTP/1.1\r\nHost: localhost\r\nX-Hidden: 1\r\n\r\n";

#[test]
fn a_request_hidden_in_a_body_is_never_answered() {
    let site = site();
    let json = "Content-Type: application/json\r\n";
    for lengths in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n".to_string(),
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n".into(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".into(),
        "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n".into(),
        "Transfer-Encoding: chunked, identity\r\n".into(),
        "Transfer-Encoding : chunked\r\n".into(),
        " Transfer-Encoding: chunked\r\n".into(),
        "Transfer-Encoding:\u{b}chunked\r\n".into(),
        "X: y\r\n Transfer-Encoding: chunked\r\n".into(),
        "Content-Length: 5\r\nContent-Length: 6\r\n".into(),
        "Content-Length: 5, 6\r\n".into(),
        "Content-Length: +5\r\n".into(),
        "Content-Length: 5 5\r\n".into(),
        "Content-Length: 0x5\r\n".into(),
        "Content-Length: -1\r\n".into(),
        "Content-Length: 99999999999999999999\r\n".into(),
    ] {
        let mut connection = site.connect();
        connection.offer(format!("POST /rpc/echo HTTP/1.1\r\nHost: localhost\r\n{json}{lengths}\r\n0\r\n\r\n{HIDDEN}"));
        connection.end_sending();
        let answers = connection.rest();
        let text = String::from_utf8_lossy(&answers);
        assert!(text.matches("HTTP/1.1 ").count() <= 1, "{lengths:?}: {text}");
        assert!(!text.contains("\"page\":1"), "{lengths:?}: {text}");
    }
}

#[test]
fn a_head_that_is_too_large_is_refused_and_closed() {
    let site = site();
    for head in [
        format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: a\r\n".repeat(20_000)),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", "a=1; ".repeat(20_000)),
    ] {
        let mut connection = site.connect();
        connection.offer(&head);
        connection.end_sending();
        let text = String::from_utf8_lossy(&connection.rest()).into_owned();
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
    assert_eq!(site.get("/healthz").status, 200);
}

#[test]
fn two_hosts_are_refused() {
    let site = site();
    for head in [
        "GET /page HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        "GET /page HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nHost: x\r\n\r\n",
        "GET http://localhost/page HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET http://evil.example/page HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /page HTTP/1.1\r\n\r\n",
    ] {
        let mut connection = site.connect();
        connection.send(head);
        let reply = connection.reply();
        assert!(matches!(reply.status, 400 | 421), "{head:?}: {}", reply.status);
    }
}

#[test]
fn no_line_break_gets_into_a_header_of_the_answer() {
    let site = guarded(&[("pages/sub/index.json", "{}"), ("pages/page.json", r#"{"answer": {}}"#)]);
    for path in [
        "/sub?x=%0d%0aX-Planted:%201",
        "/sub%0d%0aX-Planted:%201",
        "/%0d%0aX-Planted:%201/",
        "/login?to=/%0d%0aX-Planted:%201",
    ] {
        let reply = site.site.request("GET", path, &[("accept", "text/html")], "");
        assert!(reply.header("x-planted").is_none() && reply.status < 500, "{path}");
    }
    let body = format!("user=ann&password={}&to=/%0d%0aSet-Cookie:%20x=1", PASSWORD.replace(' ', "+"));
    let reply = site.post("/login", &[("content-type", "application/x-www-form-urlencoded")], &body);
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    assert_eq!(reply.headers.iter().filter(|(name, _)| name == "set-cookie").count(), 1);
}

#[test]
fn no_line_break_gets_into_the_audit_log_and_no_secret() {
    let lines = crate::support::audit_lines();
    let site = guarded(&[("rpc/call.json", "{}")]);
    let bearer = format!("Bearer {}", site.token);
    let marker = "/rpc/%0d%0aann%20from%20127.0.0.1";
    let headers = [("authorization", bearer.as_str()), ("origin", "http://evil.example\u{b}"), ("x", "1")];
    site.site.request("POST", marker, &headers[..1], "");
    site.site.request("POST", "/rpc/call?secret=s3cr3t", &headers[..1], "");
    site.try_log_in("my password typed as name", "hunter2hunter2", &[]);
    let told = lines.until(|lines| lines.iter().any(|line| line.contains("log-in failed")));
    let of_call = told.iter().find(|line| line.contains("POST /rpc/call")).unwrap();
    assert!(of_call.starts_with("token:deploy from 127.0.0.1: POST /rpc/call: 200"), "{of_call}");
    for line in &told {
        assert!(!line.contains('\n') && !line.contains('\r'), "{line:?}");
        for secret in ["s3cr3t", "hunter2", "my password", &site.token] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn what_once_broke_something_and_what_fuzzing_begins_with_is_answered_or_closed() {
    let site = site();
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/request");
    let mut replayed = 0;
    for seed in std::fs::read_dir(seeds).unwrap() {
        let path = seed.unwrap().path();
        let mut connection = site.connect();
        connection.offer(std::fs::read(&path).unwrap());
        connection.end_sending();
        let answer = String::from_utf8_lossy(&connection.rest()).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{}: {answer}", path.display());
        assert!(!answer.starts_with("HTTP/1.1 500"), "{}: {answer}", path.display());
        replayed += 1;
    }
    assert!(replayed >= 12);
    assert_eq!(site.get("/healthz").status, 200);
}
