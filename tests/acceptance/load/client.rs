//! A connection that asks one request after the other, and how long the answers took.

use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::LONG;

/// A connection that is kept.
pub(super) struct Client {
    pub(super) stream: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Client {
    pub(super) async fn connect(address: &str) -> Client {
        let stream = timeout(LONG, TcpStream::connect(address)).await.unwrap().unwrap();
        Client { stream: BufReader::with_capacity(1024, stream) }
    }

    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        self.answer().await
    }

    pub(super) async fn post(&mut self, path: &str, body: &str) -> Answer {
        let (kind, length) = ("application/json", body.len());
        let head = format!("Host: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}");
        self.send(&format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n{body}")).await;
        self.answer().await
    }

    pub(super) async fn send(&mut self, text: &str) {
        timeout(LONG, self.stream.get_mut().write_all(text.as_bytes())).await.unwrap().unwrap();
    }

    /// The next line without its end; none when the connection was closed.
    pub(super) async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(LONG, self.stream.read_line(&mut line)).await.expect("a line in time");
        read.is_ok_and(|count| count > 0).then(|| line.trim_end().to_string())
    }

    /// The answer to what was sent.
    pub(super) async fn answer(&mut self) -> Answer {
        let status = self.line().await.expect("an answer, not the end of the connection");
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = 0;
        loop {
            let line = self.line().await.unwrap();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        timeout(LONG, self.stream.read_exact(&mut body)).await.unwrap().unwrap();
        Answer { status, body: String::from_utf8(body).unwrap() }
    }

    /// Waits until the server closes; whether it did without a word.
    pub(super) async fn is_closed_silently(&mut self) -> bool {
        self.line().await.is_none()
    }
}

/// How long answers took.
#[derive(Debug, Default)]
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(super) fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    /// 99 of 100 took at most this long.
    pub(super) fn p99(mut self) -> Duration {
        assert!(!self.0.is_empty(), "nothing was asked");
        self.0.sort();
        self.0[(self.0.len() - 1) * 99 / 100]
    }
}

/// Asks for these paths in turn, with a pause after each, as long as `goes_on` says.
pub(super) async fn probe(address: &str, paths: &[&str], goes_on: impl Fn() -> bool) -> Latencies {
    let mut client = Client::connect(address).await;
    let mut latencies = Latencies::default();
    while goes_on() {
        for path in paths {
            let began = Instant::now();
            let answer = client.get(path).await;
            latencies.add(began.elapsed());
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    latencies
}
