//! Requests as fast as they are answered, made by wrk on the second core.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Outcome;

/// The core that the load comes from; servers are on core 0.
const CORE: &str = "1";

/// Enough that the server never waits for the load.
const CONNECTIONS: u32 = 32;

/// Of what starts a process for each request.
const CONNECTIONS_FEW: u32 = 4;

const DURATION: &str = "2s";

/// Longer than any answer takes.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    method: &'static str,
    path: &'static str,
    connections: u32,
}

/// What wrk told of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// Answers a second.
    pub(super) rate: f64,
    /// The 99th percentile of the time to an answer, in seconds.
    pub(super) slow: f64,
}

impl Load {
    /// A page or file.
    pub(super) const fn get(path: &'static str) -> Self {
        Load { method: "GET", path, connections: CONNECTIONS }
    }

    /// A call without arguments.
    pub(super) const fn post(path: &'static str) -> Self {
        Load { method: "POST", path, connections: CONNECTIONS }
    }

    /// The same from few connections.
    pub(super) const fn few(self) -> Self {
        Load { connections: CONNECTIONS_FEW, ..self }
    }

    /// One request's answer, without its head.
    pub(super) fn once(&self, port: u16) -> Outcome<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        // HTTP/1.0: the answer ends with the connection and is not in chunks.
        let head = "HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0";
        stream.write_all(format!("{} {} {head}\r\n\r\n", self.method, self.path).as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end =
            answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("an answer without an end of head")?;
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer);
        if head.split(' ').nth(1) == Some("200") {
            Ok(body)
        } else {
            Err(format!("{} of port {port}: {head}{}", self.path, String::from_utf8_lossy(&body)).into())
        }
    }

    /// Two seconds of requests. Any other answer than 200 and any broken connection is an error.
    pub(super) fn run(&self, port: u16) -> Outcome<Measured> {
        let script = tempfile::NamedTempFile::new()?;
        std::fs::write(script.path(), format!("wrk.method = '{}'\n", self.method))?;
        let mut wrk = Command::new("taskset");
        wrk.args(["-c", CORE, "wrk", "-t", "1", "-c", &self.connections.to_string(), "-d", DURATION]);
        wrk.args(["--timeout", "10s", "--latency", "-s"])
            .arg(script.path())
            .arg(format!("http://127.0.0.1:{port}{}", self.path));
        let output = wrk.stdin(Stdio::null()).output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        read(&printed)
            .ok_or_else(|| format!("wrk of {}: {printed}{}", self.path, String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// What wrk printed; none if an answer was no success or a connection broke.
fn read(printed: &str) -> Option<Measured> {
    if printed.contains("Non-2xx") || printed.contains("Socket errors") {
        return None;
    }
    let behind = |name: &str| printed.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    Some(Measured { rate: behind("Requests/sec:")?.parse().ok()?, slow: seconds(behind("99%")?)? })
}

/// `1.23ms` in seconds.
fn seconds(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit = match text.get(number.len()..)? {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read_and_failures_are_no_figure() {
        let printed = "  Latency Distribution\n     50%  250.00us\n     99%    1.50ms\nRequests/sec:  49152.25\nTransfer/sec: 1MB\n";
        assert_eq!(read(printed), Some(Measured { rate: 49152.25, slow: 0.0015 }));
        assert_eq!(read(&format!("{printed}  Non-2xx or 3xx responses: 3\n")), None);
        assert_eq!(read(&format!("  Socket errors: connect 0, read 3, write 0, timeout 0\n{printed}")), None);
        assert_eq!(read("unable to connect"), None);
    }
}
