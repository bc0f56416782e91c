//! A client for served sites: one request a connection, the answer whole.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{LONG, Running};

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In small letters.
    pub(crate) head: String,
    raw_head: String,
    pub(crate) body: String,
}

impl Reply {
    /// A header's value as it came, by its name in small letters; the first of several.
    pub(crate) fn raw_header(&self, name: &str) -> &str {
        let lines = self.raw_head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no {name}: {self:?}")).1
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Where something is served, by the first line of standard output that holds a URL.
pub(crate) struct Web {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Web {
    pub(crate) fn of(running: &Running) -> Self {
        let text = running.wait_for_line("http://127.0.0.1:");
        let (_, rest) = text.split_once("http://").unwrap();
        Web { address: rest.split('/').next().unwrap().to_string() }
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
    }

    /// As from another host's name.
    pub(crate) fn get_of(&self, host: &str, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}",
            self.address
        ))
    }

    /// A request of any method, with these header lines, each with its line break at its end.
    pub(crate) fn request(&self, method_and_path: &str, headers: &str, body: &str) -> Reply {
        let (address, length) = (&self.address, body.len());
        self.send(format!(
            "{method_and_path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    }

    /// Sends a whole request, which asks for the connection's end.
    pub(crate) fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        let request = request.as_ref();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(request).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap();
        Reply { status, head: head.to_lowercase(), raw_head: head.to_string(), body: body.to_string() }
    }
}
