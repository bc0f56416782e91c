//! A redis-server of our own, on a socket in a folder of its own; ended when it is dropped.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::program::Staying;

/// What is acknowledged when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In memory alone.
    InMemory,
    /// Each change when it is on disk.
    OnDisk,
}

/// The server.
pub(crate) struct Redis {
    socket: String,
    _running: Staying,
}

impl Redis {
    /// Starts it and waits until it listens.
    pub(crate) fn start(folder: &Path, kept: Kept) -> Outcome<Self> {
        let socket = folder.join("redis.sock").display().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--unixsocket", &socket, "--save", "", "--dir"]).arg(folder);
        if kept == Kept::OnDisk {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        let mut running = Staying::start(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
        running.wait_for("redis's socket", || UnixStream::connect(&socket).ok())?;
        Ok(Redis { socket, _running: running })
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &str {
        &self.socket
    }

    /// How often a second redis-benchmark has `command` done by so many clients.
    pub(crate) fn rate(&self, clients: u32, count: u32, command: &[&str]) -> Outcome<f64> {
        let (clients, count) = (clients.to_string(), count.to_string());
        let mut benchmark = Command::new("redis-benchmark");
        benchmark.args(["-s", &self.socket, "-c", &clients, "-n", &count, "--csv"]).args(command);
        let output = benchmark.stdin(Stdio::null()).output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        // "test","rps",… and a line of figures in quotes.
        let figure = printed.lines().last().and_then(|line| line.split("\",\"").nth(1));
        let rate = figure.and_then(|figure| figure.parse().ok());
        rate.ok_or_else(|| format!("redis-benchmark printed {printed:?}").into())
    }
}
