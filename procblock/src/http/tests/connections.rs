//! Connections kept, Unix sockets, JSON calls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use unidist::Stop;

use super::server::{Server, answer, hang_up, ok};
use super::{client, get, request, send};
use crate::http::{HttpErrorKind, Request};

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let server = Server::saying(ok("there"));
    let client = client();
    for _ in 0..5 {
        client.send(&request(&server.url("/"), &Value::Null), &Stop::new()).await.unwrap();
    }
    assert_eq!((server.asked().len(), server.connections()), (5, 1));
}

/// A server that closes a kept connection in the moment of the second request.
fn closing() -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |_, wire| match count.fetch_add(1, Ordering::SeqCst) {
        1 => hang_up(),
        _ => wire.write_all(&ok("there")),
    })
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_for_what_only_reads() {
    let (server, client) = (closing(), client());
    for _ in 0..2 {
        client.send(&request(&server.url("/"), &Value::Null), &Stop::new()).await.unwrap();
    }
    assert_eq!((server.asked().len(), server.connections()), (3, 2));
}

#[tokio::test]
async fn what_may_change_something_is_never_sent_twice() {
    let (server, client) = (closing(), client());
    let post = request(&server.url("/"), &json!({"json": 1}));
    client.send(&post, &Stop::new()).await.unwrap();
    let error = client.send(&post, &Stop::new()).await.err().unwrap();
    assert_eq!((error.kind, server.asked().len()), (HttpErrorKind::Broken, 2), "{error}");
}

#[tokio::test]
async fn a_server_behind_a_unix_socket_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ü b.sock");
    let server = Server::start_at(&path, |asked, wire| match asked.path() {
        "/a?b=1" => wire.write_all(&super::server::redirect("302 Found", "/end")),
        _ => wire.write_all(&ok("there")),
    });
    let answer = get(&format!("unix:{}:/a?b=1", path.display())).await.unwrap();
    assert_eq!(answer.url, format!("unix:{}:/end", path.display()));
    assert_eq!(server.asked()[0].line, "GET /a?b=1 HTTP/1.1");
    assert_eq!(server.asked()[0].header("host"), Some("localhost"));
    drop(folder);
    let error = super::failure(&format!("unix:{}:/", path.display()), json!({})).await;
    assert!(error.text.contains("ü b.sock: no such file or directory"), "{error}");
}

#[tokio::test]
async fn a_json_call_gives_the_reply_or_says_why_not() {
    let server = Server::start(|asked, wire| match asked.path() {
        "/rpc" => wire.write_all(&ok(&asked.body)),
        "/text" => wire.write_all(&ok("hello")),
        "/moved" => wire.write_all(&super::server::redirect("307 Moved", "/rpc")),
        _ => wire.write_all(&answer("500 Internal Server Error", &[], b"no disk; token t0k")),
    });
    let client = client();
    let call = async |path: &str| {
        let mut request = Request::post_json(&server.url(path), &json!({"n": 1})).unwrap();
        request.bearer("t0k").unwrap();
        request.timeout = Duration::from_secs(20);
        client.json(&request, &Stop::new()).await
    };
    assert_eq!(call("/rpc").await.unwrap(), json!({"n": 1}));
    let asked = &server.asked()[0];
    assert_eq!((asked.header("authorization"), asked.header("accept")), (Some("Bearer t0k"), Some("application/json")));
    assert_eq!(call("/text").await.unwrap_err().kind, HttpErrorKind::NotJson);
    assert_eq!(call("/moved").await.unwrap_err().status, Some(307));
    let error = call("/broken").await.unwrap_err();
    assert_eq!((error.kind, error.status), (HttpErrorKind::Status, Some(500)));
    assert_eq!(error.beginning.as_deref(), Some("no disk; token ***"));
    assert!(Request::post_json("host/rpc", &Value::Null).is_err_and(|text| text.contains("has no scheme")));
}

#[tokio::test]
async fn a_host_of_the_users_own_is_sent() {
    let server = Server::saying(ok(""));
    send(&server.url("/"), json!({"headers": {"Host": "site.example"}})).await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!(asked.headers.iter().filter(|(name, _)| name == "host").count(), 1);
    assert_eq!(asked.header("host"), Some("site.example"));
}
