//! The calling side of an instance's socket, for commands: blocking, with a limit on every wait.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::protocol::{Hello, PROTOCOL, REPLY_BYTES_MAX};
use crate::host::HostError;
use crate::value::{Map, Value};

/// How much is read at once, in bytes.
const PIECE: usize = 64 * 1024;

/// How long the system may keep a request from being sent.
const SEND_MAX: Duration = Duration::from_secs(30);

/// A connection to an instance.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    stream: UnixStream,
    buffer: Vec<u8>,
    hello: Hello,
    calls: u64,
}

/// A call was not answered with a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens there.
    #[error("{}: {source}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The instance answered with an error.
    #[error("{0}")]
    Refused(HostError),
    /// The instance ended before it answered.
    #[error("the instance ended")]
    Closed,
    /// The time limit passed.
    #[error("the instance did not answer in time")]
    TimedOut,
    /// What came is not this protocol.
    #[error("{0}")]
    Protocol(String),
}

impl Client {
    /// Connects and waits at most `limit` for the first line.
    ///
    /// # Errors
    /// Nobody listens, nothing comes in time, or another protocol is spoken.
    pub fn connect(socket: &Path, limit: Duration) -> Result<Self, ClientError> {
        let connect = |source| ClientError::Connect { path: socket.to_path_buf(), source };
        let stream = UnixStream::connect(socket).map_err(connect)?;
        stream.set_write_timeout(Some(SEND_MAX)).map_err(connect)?;
        let hello =
            Hello { procblock: 0, version: String::new(), process: 0, name: String::new(), file: None, since: 0.0 };
        let mut client = Client { socket: socket.to_path_buf(), stream, buffer: Vec::new(), hello, calls: 0 };
        let first = client.read_value(Instant::now().checked_add(limit))?;
        let foreign = || ClientError::Protocol(format!("{} is no socket of procblock", socket.display()));
        client.hello = Hello::from_value(&first).ok_or_else(foreign)?;
        if client.hello.procblock != PROTOCOL {
            let Hello { procblock: found, version, .. } = &client.hello;
            let text = format!("the instance (procblock {version}) speaks protocol {found}, this program {PROTOCOL}");
            return Err(ClientError::Protocol(text));
        }
        Ok(client)
    }

    /// Where it is connected to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Who answers.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Calls and waits for the answer, at most `limit`; without one for ever.
    ///
    /// # Errors
    /// The instance refused, ended, or did not answer in time.
    pub fn call(&mut self, name: &str, args: Vec<Value>, limit: Option<Duration>) -> Result<Value, ClientError> {
        self.send(name, args)?;
        self.next(limit)
    }

    /// Sends a call; [`Client::next`] gives its answers, of which a followed log has many.
    ///
    /// # Errors
    /// The instance has ended or does not read.
    pub fn send(&mut self, name: &str, args: Vec<Value>) -> Result<(), ClientError> {
        self.calls += 1;
        let mut map = Map::new();
        map.insert("id".into(), self.calls.into());
        map.insert("call".into(), name.into());
        map.insert("args".into(), Value::Array(args));
        let line = format!("{}\n", Value::Object(map));
        self.stream.write_all(line.as_bytes()).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => ClientError::TimedOut,
            _ => ClientError::Closed,
        })
    }

    /// The next answer to the newest call.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn next(&mut self, limit: Option<Duration>) -> Result<Value, ClientError> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            let Value::Object(mut answer) = self.read_value(deadline)? else {
                return Err(ClientError::Protocol("the instance's answer is no object".into()));
            };
            let id = answer.get("id").unwrap_or(&Value::Null);
            if !id.is_null() && id.as_u64() != Some(self.calls) {
                continue;
            }
            if let Some(result) = answer.shift_remove("result") {
                return Ok(result);
            }
            let text = |name: &str| answer.get("error").and_then(|error| error.get(name)?.as_str());
            let (code, text) = (text("code").unwrap_or("failed"), text("text").unwrap_or("the call failed"));
            return Err(ClientError::Refused(HostError::new(code, text)));
        }
    }

    /// Waits until the instance has ended: its connection is closed and its process is gone. False when `limit` passed
    /// before.
    pub fn wait_ended(mut self, limit: Duration) -> bool {
        let deadline = Instant::now().checked_add(limit);
        let process = i32::try_from(self.hello.process).ok().and_then(Pid::from_raw);
        let process = process.and_then(|process| pidfd_open(process, PidfdFlags::empty()).ok());
        loop {
            match self.read_value(deadline) {
                Ok(_) | Err(ClientError::Protocol(_)) => {}
                Err(ClientError::TimedOut) => return false,
                Err(_) => break,
            }
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        process.is_none_or(|process| poll(&mut [PollFd::new(&process, PollFlags::IN)], left.as_ref()) == Ok(1))
    }

    fn read_value(&mut self, deadline: Option<Instant>) -> Result<Value, ClientError> {
        let line = self.read_line(deadline)?;
        let no_json = |error| ClientError::Protocol(format!("the instance's answer is no JSON: {error}"));
        serde_json::from_slice(&line).map_err(no_json)
    }

    fn read_line(&mut self, deadline: Option<Instant>) -> Result<Vec<u8>, ClientError> {
        let mut searched = 0;
        loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(found) = fresh.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(searched + found + 1);
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            searched = self.buffer.len();
            if searched > REPLY_BYTES_MAX {
                return Err(ClientError::Protocol(format!("the instance's answer has over {REPLY_BYTES_MAX} bytes")));
            }
            self.read_more(deadline)?;
        }
    }

    fn read_more(&mut self, deadline: Option<Instant>) -> Result<(), ClientError> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(ClientError::TimedOut);
        }
        self.stream.set_read_timeout(left).map_err(|_| ClientError::Closed)?;
        let mut piece = [0; PIECE];
        match self.stream.read(&mut piece) {
            Ok(0) => Err(ClientError::Closed),
            Ok(count) => {
                self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(()),
                _ => Err(ClientError::Closed),
            },
        }
    }
}
