//! One connection to a store's owner: a request, then its answer.

use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use serde_json::Value;

use super::{Place, at_short_path};
use crate::error::Error;
use crate::wire::{Eager, Hello, LINE_BYTES_MAX, LineReader, Next, PROTOCOL, Reply, error_of, line_of, read_json};

/// How long an owner may take for its first line.
const HELLO_MAX: Duration = Duration::from_secs(10);
/// How long an owner may take to answer what never waits: a write to a slow disk.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(60);

/// One that was used so lately is taken to be there still.
const FRESH: Duration = Duration::from_millis(10);

/// Which opening of the store answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) name: Arc<str>,
    /// Whether it knows the answers that earlier ones gave.
    pub(super) remembers: bool,
}

pub(super) struct Connection {
    stream: UnixStream,
    lines: LineReader<Eager>,
    /// When it was last used.
    used: Instant,
    pub(super) opening: Opening,
}

/// Why there is no connection, or no answer.
pub(super) enum Broken {
    /// Nobody listens.
    Nobody,
    /// The other side is gone.
    Gone,
    /// It does not answer.
    Silent,
    /// It will not do, however often it is tried.
    Refused(Error),
}

impl Connection {
    /// Connects and begins the session.
    pub(super) fn open(place: &dyn Place, session: &str) -> Result<Self, Broken> {
        let unreachable = |reason: String| Broken::Refused(Error::Unreachable { place: place.name(), reason });
        let stream =
            at_short_path(place.socket(), |path| UnixStream::connect(path)).map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Broken::Nobody,
                ErrorKind::Interrupted | ErrorKind::WouldBlock => Broken::Gone,
                _ => unreachable(error.to_string()),
            })?;
        let peer = getsockopt(&stream, PeerCredentials).map_err(|_| Broken::Gone)?;
        if peer.uid() != geteuid().as_raw() && peer.uid() != 0 && !geteuid().is_root() {
            return Err(unreachable(format!("it belongs to user {}", peer.uid())));
        }
        let reader = stream.try_clone().map_err(|error| unreachable(error.to_string()))?;
        stream.set_write_timeout(Some(ANSWER_MAX)).map_err(|_| Broken::Gone)?;
        stream.set_read_timeout(Some(HELLO_MAX)).map_err(|_| Broken::Gone)?;
        let mut lines = LineReader::new(Eager::new(reader), LINE_BYTES_MAX);
        let foreign = || unreachable("what answers there is no store of this kind".to_owned());
        let hello: Hello = match lines.next_line() {
            Ok(Next::Line(line)) => read_json(line).map_err(|_| foreign())?,
            Ok(Next::TooLong) => return Err(foreign()),
            Ok(Next::End) => return Err(Broken::Gone),
            Err(error) => return Err(broken(&error)),
        };
        if hello.unidist != PROTOCOL {
            let reason = format!("process {} speaks protocol {}, this program {PROTOCOL}", hello.pid, hello.unidist);
            return Err(unreachable(reason));
        }
        place.check(&hello).map_err(Broken::Refused)?;
        stream.set_read_timeout(Some(ANSWER_MAX)).map_err(|_| Broken::Gone)?;
        let opening = Opening { name: Arc::from(hello.opening), remembers: hello.remembers };
        let mut connection = Connection { stream, lines, used: Instant::now(), opening };
        let begin = line_of(&serde_json::json!({"id": 0, "call": "node.begin", "args": [session]}));
        connection.exchange(&begin)?.map_err(Broken::Refused)?;
        Ok(connection)
    }

    /// Whether the other side has closed it, or sent what nobody asked for, while it was not in use.
    pub(super) fn is_stale(&self) -> bool {
        if self.used.elapsed() < FRESH {
            return false;
        }
        let mut ready = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::ZERO) != Ok(0)
    }

    /// Sends a request and reads its answer.
    pub(super) fn exchange(&mut self, line: &[u8]) -> Result<Result<Value, Error>, Broken> {
        self.send(line)?;
        let answer = self.read();
        self.used = Instant::now();
        answer
    }

    pub(super) fn send(&mut self, line: &[u8]) -> Result<(), Broken> {
        self.stream.write_all(line).map_err(|error| broken(&error))
    }

    pub(super) fn read(&mut self) -> Result<Result<Value, Error>, Broken> {
        match self.lines.next_line() {
            Ok(Next::Line(line)) => {
                let reply: Reply = read_json(line).map_err(|_| Broken::Gone)?;
                Ok(reply.error.map_or(Ok(reply.result), |fault| Err(error_of(&fault))))
            }
            Ok(Next::TooLong | Next::End) => Err(Broken::Gone),
            Err(error) => Err(broken(&error)),
        }
    }

    /// For notes, which come when they come.
    pub(super) fn wait_for_ever(&self) -> Result<UnixStream, Broken> {
        self.stream.set_read_timeout(None).map_err(|_| Broken::Gone)?;
        self.stream.try_clone().map_err(|_| Broken::Gone)
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }
}

fn broken(error: &std::io::Error) -> Broken {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Broken::Silent,
        _ => Broken::Gone,
    }
}
