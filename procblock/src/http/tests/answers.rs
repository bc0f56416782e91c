//! Bodies: whole, cut, endless, compressed, wrong.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

use super::server::{Server, answer, hang_up, ok};
use super::{failure, get, send};
use crate::http::{HttpErrorKind, ReadAs};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_answer_has_status_headers_body_and_duration() {
    let server = Server::saying(answer("201 Created", &["Content-Type: application/json", "X-A: b"], br#"{"a":[1]}"#));
    let answer = get(&server.url("/x?y=1")).await.unwrap();
    let map = answer.to_map(ReadAs::Auto).unwrap();
    assert_eq!((&map["status"], &map["json"], &map["headers"]["x-a"]), (&json!(201), &json!({"a": [1]}), &json!("b")));
    assert_eq!(map["url"], json!(server.url("/x?y=1")));
    assert!(map["duration"].as_f64().unwrap() > 0.0 && map.get("body").is_none());
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "GET /x?y=1 HTTP/1.1");
    assert_eq!(asked.header("host"), Some(server.address.to_string().as_str()));
    assert!(asked.header("user-agent").unwrap().starts_with("procblock/"));
}

#[tokio::test]
async fn a_body_reaches_the_server_with_its_length() {
    let server = Server::saying(ok(""));
    send(&server.url("/"), json!({"json": {"ü": 1}, "method": "PATCH", "headers": {"x-a": ["1", "2"]}})).await.unwrap();
    let asked = &server.asked()[0];
    assert_eq!((asked.line.as_str(), asked.body.as_str()), ("PATCH / HTTP/1.1", r#"{"ü":1}"#));
    assert_eq!(asked.headers.iter().filter(|(name, _)| name == "x-a").count(), 2);
}

#[tokio::test]
async fn any_status_is_an_answer() {
    for status in ["404 Not Found", "500 Internal Server Error", "599 Odd", "304 Not Modified"] {
        let server = Server::saying(answer(status, &[], b""));
        assert_eq!(get(&server.url("/")).await.unwrap().status().to_string(), status[..3]);
    }
}

#[tokio::test]
async fn chunks_are_joined_and_trailers_left_out() {
    let server = Server::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n",
    );
    assert_eq!(get(&server.url("/")).await.unwrap().body, b"hello world");
}

#[tokio::test]
async fn a_body_without_length_ends_with_the_connection() {
    let server = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello")?;
        hang_up()
    });
    assert_eq!(get(&server.url("/")).await.unwrap().body, b"hello");
}

#[tokio::test]
async fn an_endless_body_is_given_up_at_its_cap() {
    for head in ["Transfer-Encoding: chunked", "Content-Type: text/plain"] {
        let is_chunked = head.starts_with('T');
        let server = Server::start(move |_, wire| {
            write!(wire, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n")?;
            let part = [b'x'; 0x1000];
            loop {
                if is_chunked {
                    wire.write_all(b"1000\r\n")?;
                }
                wire.write_all(&part)?;
                if is_chunked {
                    wire.write_all(b"\r\n")?;
                }
            }
        });
        let error = failure(&server.url("/"), json!({"size max": "1MiB"})).await;
        assert_eq!((error.kind, error.status), (HttpErrorKind::TooLarge, Some(200)), "{error}");
        assert!(error.text.contains("larger than 1MiB; raise size max"), "{error}");
    }
}

#[tokio::test]
async fn a_length_above_the_cap_is_refused_before_the_body() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 8388609\r\n\r\n");
    assert_eq!(failure(&server.url("/"), json!({})).await.kind, HttpErrorKind::TooLarge);
}

#[tokio::test]
async fn a_body_of_just_its_cap_is_taken() {
    for bytes in [ok("12345"), answer("200 OK", &["Content-Encoding: gzip"], &gzip(b"12345"))] {
        let server = Server::saying(bytes);
        assert_eq!(send(&server.url("/"), json!({"size max": 5})).await.unwrap().body, b"12345");
        assert_eq!(failure(&server.url("/"), json!({"size max": 4})).await.kind, HttpErrorKind::TooLarge);
    }
}

#[tokio::test]
async fn a_compression_bomb_is_given_up_at_the_cap() {
    let bomb = gzip(&vec![0; 16 << 20]);
    assert!(bomb.len() < 1 << 20);
    let server = Server::saying(answer("200 OK", &["Content-Encoding: gzip"], &bomb));
    assert_eq!(failure(&server.url("/"), json!({})).await.kind, HttpErrorKind::TooLarge);
}

#[tokio::test]
async fn endless_empty_gzip_members_are_given_up() {
    let empty = gzip(b"").repeat(100);
    let server = Server::start(move |_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")?;
        loop {
            wire.write_all(&empty)?;
        }
    });
    assert_eq!(failure(&server.url("/"), json!({"size max": 1000})).await.kind, HttpErrorKind::TooLarge);
}

#[tokio::test]
async fn compressed_bodies_are_read_in_all_their_forms() {
    let members = [gzip(b"one "), gzip(b"two")].concat();
    for (encoding, body, expected) in [
        ("gzip", gzip(b"plain"), "plain"),
        ("x-gzip", members, "one two"),
        ("GZIP", Vec::new(), ""),
        ("deflate", deflate(b"plain"), "plain"),
        ("identity", b"plain".to_vec(), "plain"),
    ] {
        let server = Server::saying(answer("200 OK", &[&format!("Content-Encoding: {encoding}")], &body));
        assert_eq!(get(&server.url("/")).await.unwrap().body, expected.as_bytes(), "{encoding}");
        assert_eq!(server.asked()[0].header("accept-encoding"), Some("gzip"));
    }
}

#[tokio::test]
async fn wrong_compression_is_a_failure() {
    let whole = gzip(b"hello hello hello");
    for (encoding, body, text) in [
        ("gzip", whole[..whole.len() - 9].to_vec(), "compression is wrong"),
        ("gzip", b"no gzip at all".to_vec(), "compression is wrong"),
        ("br", b"x".to_vec(), "compressed as br; only gzip and deflate"),
    ] {
        let server = Server::saying(answer("200 OK", &[&format!("Content-Encoding: {encoding}")], &body));
        let error = failure(&server.url("/"), json!({})).await;
        assert!(error.kind == HttpErrorKind::Broken && error.text.contains(text), "{encoding}: {error}");
    }
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_a_failure() {
    let server = Server::start(|_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")?;
        hang_up()
    });
    let error = failure(&server.url("/"), json!({})).await;
    assert!(error.text.contains("broke off after 5 bytes"), "{error}");
}

#[tokio::test]
async fn what_follows_a_body_is_not_part_of_it_nor_of_the_next_answer() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 500 No\r\n\r\n");
    let client = super::client();
    let stop = unidist::Stop::new();
    for _ in 0..3 {
        let answer = client.send(&super::request(&server.url("/"), &Value::Null), &stop).await.unwrap();
        assert_eq!((answer.status(), answer.body.as_slice()), (200, b"hello".as_slice()));
    }
}

#[tokio::test]
async fn chunks_that_break_off_or_have_wrong_sizes_are_a_failure() {
    for chunks in ["5\r\nhel", "5\r\nhello\r\n", "zz\r\n", "ffffffffffffffffff\r\nx", "5\r\nhelloXX"] {
        let server = Server::start(move |_, wire| {
            write!(wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")?;
            hang_up()
        });
        assert_eq!(failure(&server.url("/"), json!({})).await.kind, HttpErrorKind::Broken, "{chunks:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_a_failure() {
    let long = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(1000));
    for bytes in [
        "SSH-2.0-OpenSSH_9.2\r\n".to_string(),
        "HTTP/9.9 200 OK\r\n\r\n".into(),
        "HTTP/1.1 abc\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n".into(),
        long,
        many,
        String::new(),
    ] {
        let shown: String = bytes.chars().take(60).collect();
        let server = Server::start(move |_, wire| {
            wire.write_all(bytes.as_bytes())?;
            hang_up()
        });
        let error = failure(&server.url("/a?secret=1"), json!({})).await;
        assert_eq!(error.kind, HttpErrorKind::Broken, "{shown:?}: {error}");
        assert!(error.text.starts_with(&format!("GET {}?…: ", server.url("/a"))), "{error}");
    }
}

#[tokio::test]
async fn a_head_request_has_no_body_whatever_its_headers_say() {
    let server = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Encoding: gzip\r\n\r\n");
    let answer = send(&server.url("/"), json!({"method": "HEAD"})).await.unwrap();
    assert_eq!((answer.status(), answer.body.len()), (200, 0));
}
