//! A request ends: at its limit, by a stop, when nobody waits for it; and nothing of it goes on.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use unidist::Stop;

use super::server::{Event, Server, ok, wait_for_end};
use super::{client, failure, in_time, request, send};
use crate::http::HttpErrorKind;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_within_the_limit_ends_request_and_connection() {
    let server = Server::start(|_, wire| wait_for_end(wire));
    let started = Instant::now();
    let error = failure(&server.url("/slow?key=secret"), json!({"timeout": "200ms"})).await;
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(error.kind, HttpErrorKind::TimedOut);
    assert_eq!(error.text, format!("GET {}?… timed out after 200ms while waiting for the answer", server.url("/slow")));
    assert_eq!((server.event(), server.event()), (Some(Event::Connected), Some(Event::Closed)));
}

#[tokio::test]
async fn headers_that_trickle_in_end_at_the_limit() {
    let server = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            wire.write_all(b"X-A: b\r\n")?;
            std::thread::park_timeout(Duration::from_millis(50));
        }
    });
    let error = failure(&server.url("/"), json!({"timeout": "300ms"})).await;
    assert!(error.text.ends_with("timed out after 300ms while waiting for the answer"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_in_ends_at_the_limit() {
    let server = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")?;
        wait_for_end(wire)
    });
    let error = failure(&server.url("/"), json!({"timeout": "300ms"})).await;
    assert!(error.text.ends_with("timed out after 300ms after 5 bytes of the answer"), "{error}");
    assert_eq!((server.event(), server.event()), (Some(Event::Connected), Some(Event::Closed)));
}

#[tokio::test]
async fn a_handshake_that_never_comes_ends_at_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let error = failure(&url, json!({"timeout": "300ms", "verify": false})).await;
    assert_eq!(error.text, format!("GET {url} timed out after 300ms while connecting"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_a_request_at_once() {
    let server = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")?;
        wait_for_end(wire)
    });
    let (client, request, stop) = (client(), request(&server.url("/"), &Value::Null), Stop::new());
    let stopping = stop.clone();
    let stopped = async {
        let server = tokio::task::spawn_blocking(move || {
            assert_eq!(server.event(), Some(Event::Connected));
            server
        });
        let server = server.await.unwrap();
        stopping.request();
        server
    };
    let (ended, server) = in_time(async { tokio::join!(client.send(&request, &stop), stopped) }).await;
    assert_eq!(ended.err().map(|error| error.kind), Some(HttpErrorKind::Stopped));
    assert_eq!(server.event(), Some(Event::Closed));
    let again = client.send(&request, &stop).await;
    assert_eq!(again.err().map(|error| error.kind), Some(HttpErrorKind::Stopped));
}

#[tokio::test]
async fn a_request_that_is_dropped_closes_its_connection() {
    let server = Server::start(|_, wire| wait_for_end(wire));
    let (client, request, stop) = (client(), request(&server.url("/"), &Value::Null), Stop::new());
    let sent = client.send(&request, &stop);
    let connected = tokio::task::spawn_blocking(move || {
        assert_eq!(server.event(), Some(Event::Connected));
        server
    });
    let server = tokio::select! {
        _ = sent => panic!("nobody answers"),
        server = connected => server.unwrap(),
    };
    assert_eq!(in_time(tokio::task::spawn_blocking(move || server.event())).await.unwrap(), Some(Event::Closed));
}

/// Each answer waits until all requests are there, on a runtime of one thread.
#[tokio::test(flavor = "current_thread")]
async fn waiting_requests_hold_no_thread() {
    const REQUESTS: usize = 200;
    let all = std::sync::Arc::new(std::sync::Barrier::new(REQUESTS));
    let server = Server::start(move |_, wire| {
        all.wait();
        wire.write_all(&ok("there"))
    });
    let mut waiting = tokio::task::JoinSet::new();
    let (client, url) = (std::sync::Arc::new(client()), server.url("/"));
    for _ in 0..REQUESTS {
        let (client, request) = (std::sync::Arc::clone(&client), request(&url, &Value::Null));
        waiting.spawn(async move { client.send(&request, &Stop::new()).await.map(|answer| answer.status()) });
    }
    let statuses = in_time(waiting.join_all()).await;
    assert!(statuses.iter().all(|status| *status == Ok(200)));
}

#[tokio::test]
async fn nobody_listening_is_told_at_once() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://al:secret@{address}/a?key=secret");
    let error = failure(&url, json!({})).await;
    assert_eq!(error.kind, HttpErrorKind::NotConnected);
    assert_eq!(error.text, format!("GET http://{address}/a?…: connection refused"));
}

#[tokio::test]
async fn a_connection_closed_before_the_answer_is_told() {
    let server = Server::start(|_, _| super::server::hang_up());
    let error = failure(&server.url("/"), json!({})).await;
    assert_eq!(error.kind, HttpErrorKind::Broken, "{error}");
    assert_eq!(server.asked().len(), 1, "a fresh connection that breaks is not tried again");
}

#[tokio::test]
async fn a_limit_of_zero_sends_nothing() {
    let server = Server::saying(ok(""));
    assert!(send(&server.url("/"), json!({"timeout": 0})).await.is_err());
}
