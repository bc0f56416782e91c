//! Redirects: where they lead, what goes along, when they end.

use std::sync::Arc;

use serde_json::json;

use super::server::{Server, ok, redirect};
use super::{failure, get, send};
use crate::http::HttpErrorKind;

/// Redirects `/STATUS` to `/end`, which answers.
fn turning() -> Server {
    Server::start(|asked, wire| match asked.path() {
        "/end" => wire.write_all(&ok("there")),
        path => wire.write_all(&redirect(&format!("{} X", &path[1..]), "/end")),
    })
}

#[tokio::test]
async fn a_chain_is_followed_to_its_end() {
    let server = Server::start(|asked, wire| match asked.path() {
        "/a" => wire.write_all(&redirect("302 Found", "b/c?d=e")),
        "/b/c?d=e" => wire.write_all(&redirect("301 Moved", "../end#part")),
        _ => wire.write_all(&ok("there")),
    });
    let answer = get(&server.url("/a")).await.unwrap();
    assert_eq!((answer.url.as_str(), answer.body.as_slice()), (server.url("/end").as_str(), b"there".as_slice()));
}

#[tokio::test]
async fn a_loop_ends_at_the_limit() {
    let server = Server::saying(redirect("302 Found", "/again"));
    let error = failure(&server.url("/"), json!({})).await;
    assert_eq!((error.kind, server.asked().len()), (HttpErrorKind::Redirect, 11), "{error}");
    assert!(error.text.contains("more than 10 redirects"), "{error}");
    let error = failure(&server.url("/"), json!({"follow redirects": 1})).await;
    assert_eq!((error.kind, server.asked().len()), (HttpErrorKind::Redirect, 13));
}

#[tokio::test]
async fn without_following_the_redirect_is_the_answer() {
    for follow in [json!(0), json!(false)] {
        let server = turning();
        let answer = send(&server.url("/302"), json!({"follow redirects": follow})).await.unwrap();
        assert_eq!((answer.status(), server.asked().len()), (302, 1));
    }
}

#[tokio::test]
async fn a_post_becomes_a_get_only_where_the_status_says_so() {
    for (status, method, line, body) in [
        ("301", "POST", "GET /end HTTP/1.1", ""),
        ("302", "POST", "GET /end HTTP/1.1", ""),
        ("303", "POST", "GET /end HTTP/1.1", ""),
        ("303", "PUT", "GET /end HTTP/1.1", ""),
        ("302", "PUT", "PUT /end HTTP/1.1", "{}"),
        ("307", "POST", "POST /end HTTP/1.1", "{}"),
        ("308", "POST", "POST /end HTTP/1.1", "{}"),
    ] {
        let server = turning();
        send(&server.url(&format!("/{status}")), json!({"method": method, "json": {}})).await.unwrap();
        let last = server.asked().pop().unwrap();
        assert_eq!((last.line.as_str(), last.body.as_str()), (line, body), "{status} {method}");
        assert_eq!(last.header("content-type").is_some(), !body.is_empty(), "{status} {method}");
    }
    let server = turning();
    send(&server.url("/303"), json!({"method": "HEAD"})).await.unwrap();
    assert_eq!(server.asked().pop().unwrap().line, "HEAD /end HTTP/1.1");
}

#[tokio::test]
async fn authorization_and_cookies_stay_with_their_server() {
    let secrets = json!({"token": "t0k", "headers": {"Cookie": "c=1", "X-Other": "kept"}});
    let same = turning();
    send(&same.url("/302"), secrets.clone()).await.unwrap();
    let asked = same.asked().pop().unwrap();
    assert_eq!((asked.header("authorization"), asked.header("cookie")), (Some("Bearer t0k"), Some("c=1")));

    let other = Server::saying(ok("there"));
    let location = other.url("/");
    let first = Server::start(move |_, wire| wire.write_all(&redirect("302 Found", &location)));
    send(&first.url("/"), secrets).await.unwrap();
    assert_eq!(first.asked()[0].header("authorization"), Some("Bearer t0k"));
    let asked = other.asked().pop().unwrap();
    assert_eq!((asked.header("authorization"), asked.header("cookie")), (None, None));
    assert_eq!(asked.header("x-other"), Some("kept"));
    assert_eq!(asked.header("host"), Some(other.address.to_string().as_str()));
}

#[tokio::test]
async fn a_way_back_does_not_bring_authorization_back() {
    let first = Arc::new(parking_lot::Mutex::new(String::new()));
    let back = Arc::clone(&first);
    let other = Server::start(move |_, wire| wire.write_all(&redirect("302 Found", &back.lock())));
    let location = other.url("/");
    let server = Server::start(move |asked, wire| match asked.path() {
        "/end" => wire.write_all(&ok("there")),
        _ => wire.write_all(&redirect("302 Found", &location)),
    });
    *first.lock() = server.url("/end");
    send(&server.url("/"), json!({"user": "al", "password": "pw"})).await.unwrap();
    assert_eq!(server.asked().pop().unwrap().header("authorization"), None);
}

#[tokio::test]
async fn a_redirect_to_what_is_no_http_is_a_failure() {
    for location in ["file:///etc/passwd", "unix:/run/docker.sock:/", "ftp://x/", "http://[", "javascript:1"] {
        let server = Server::saying(redirect("302 Found", location));
        let error = failure(&server.url("/"), json!({})).await;
        assert_eq!(error.kind, HttpErrorKind::Redirect, "{location}");
        assert!(!error.text.contains(location), "{error}");
    }
}

#[tokio::test]
async fn a_user_in_a_redirect_is_neither_used_nor_shown() {
    let server = Server::start(|asked, wire| match asked.path() {
        "/end" => wire.write_all(&ok("there")),
        _ => {
            let location = format!("http://al:secret@{}/end", asked.header("host").unwrap_or_default());
            wire.write_all(&redirect("302 Found", &location))
        }
    });
    let answer = get(&server.url("/")).await.unwrap();
    assert_eq!(answer.url, server.url("/end"));
    assert_eq!(server.asked().pop().unwrap().header("authorization"), None);
}

#[tokio::test]
async fn redirects_that_answer_slowly_share_one_time_limit() {
    let server = Server::start(|_, wire| {
        std::thread::park_timeout(std::time::Duration::from_millis(60));
        wire.write_all(&redirect("302 Found", "/again"))
    });
    let error = failure(&server.url("/"), json!({"timeout": "200ms", "follow redirects": 50})).await;
    assert_eq!(error.kind, HttpErrorKind::TimedOut, "{error}");
}
