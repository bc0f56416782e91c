//! A running procblock-series: started, asked, ended.

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use unidist::timeseries::SeriesSpec;

use super::protocol::{Answer, Kind, Request, VERSION, read_frame, write_frame};

/// A helper that does not answer for so long is ended; a slow disk is given its time.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The most series declared in one frame.
const DECLARED_AT_ONCE_MAX: usize = 500;

/// The most bytes of a line that the helper prints.
const LINE_BYTES_MAX: u64 = 4096;

/// A live helper; dropping it kills it.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    socket: UnixStream,
    /// How many series it knows.
    declared: usize,
    /// It ends by itself, later.
    is_left_alone: bool,
}

impl Helper {
    /// Starts the executable in a process group of its own, so that a terminal's Ctrl-C does not reach it, and agrees
    /// on the protocol. Blocks until it has answered.
    pub(super) fn start(executable: &Path) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(ANSWER_MAX))?;
        socket.set_write_timeout(Some(ANSWER_MAX))?;
        let output = OwnedFd::from(theirs.try_clone()?);
        let mut child = Command::new(executable)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(output))
            .stderr(Stdio::piped())
            // They would send librrd to a daemon and change its locking.
            .env_remove("RRDCACHED_ADDRESS")
            .env_remove("RRD_LOCKING")
            .process_group(0)
            .spawn()?;
        let errors = child.stderr.take();
        let mut helper = Helper { child, socket, declared: 0, is_left_alone: false };
        if let Some(errors) = errors {
            std::thread::Builder::new().name("series log".into()).spawn(move || log_lines(errors))?;
        }
        match helper.ask(&Request::Hello { protocol: VERSION })? {
            Reply::Json(Answer::Hello { protocol: VERSION }) => Ok(helper),
            Reply::Json(Answer::Hello { protocol }) => Err(io::Error::other(format!(
                "{} speaks version {protocol}, expected {VERSION}; install both programs of one release",
                executable.display()
            ))),
            _ => Err(io::Error::other(format!("{} is no procblock-series", executable.display()))),
        }
    }

    /// How many series it knows.
    pub(super) fn declared(&self) -> usize {
        self.declared
    }

    /// Tells it of more series; their numbers go on from [`Helper::declared`].
    pub(super) fn declare(&mut self, specs: &[std::sync::Arc<SeriesSpec>]) -> io::Result<()> {
        for specs in specs.chunks(DECLARED_AT_ONCE_MAX) {
            let numbers = u32::try_from(self.declared).unwrap_or(u32::MAX)..;
            let series = numbers.zip(specs.iter().map(|spec| (**spec).clone())).collect();
            match self.ask(&Request::Declare { series })? {
                Reply::Json(Answer::Result(_)) => self.declared += specs.len(),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(())
    }

    /// One request and its answer. Blocks, at most about a minute.
    pub(super) fn ask(&mut self, request: &Request) -> io::Result<Reply> {
        self.exchange(Kind::Json, &serde_json::to_vec(request)?)
    }

    /// One frame and its answer. Blocks, at most about a minute.
    pub(super) fn exchange(&mut self, kind: Kind, body: &[u8]) -> io::Result<Reply> {
        write_frame(&mut self.socket, kind, body)?;
        match read_frame(&mut self.socket)? {
            Some((Kind::Json, body)) => Ok(Reply::Json(serde_json::from_slice(&body)?)),
            Some((Kind::Picture, body)) => Ok(Reply::Picture(body)),
            Some((Kind::Samples, _)) => Err(io::Error::other("a batch is no answer")),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Its process.
    pub(super) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Closes its input and waits until it has ended by itself, at most `limit`; false when it had not.
    pub(super) fn finish(mut self, limit: Duration) -> bool {
        let wait = limit.max(Duration::from_millis(1));
        let is_asked = self.socket.shutdown(std::net::Shutdown::Write).is_ok();
        let has_ended = is_asked
            && self.socket.set_read_timeout(Some(wait)).is_ok()
            && matches!((&self.socket).read(&mut [0]), Ok(0));
        // It has its samples and an end of input: it stores them, however slow the disk is.
        self.is_left_alone = is_asked && !has_ended;
        has_ended
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if self.is_left_alone {
            return;
        }
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the helper answered.
#[derive(Debug)]
pub(super) enum Reply {
    /// Everything but a picture.
    Json(Answer),
    /// A picture's bytes.
    Picture(Vec<u8>),
}

/// An answer that no such request has.
pub(super) fn unexpected(reply: &Reply) -> io::Error {
    match reply {
        Reply::Json(Answer::Error(failure)) => io::Error::other(failure.text.clone()),
        _ => io::Error::other("procblock-series gave an answer that makes no sense"),
    }
}

/// What the helper prints are librrd's own complaints.
fn log_lines(errors: ChildStderr) {
    let mut errors = BufReader::new(errors);
    loop {
        let mut line = Vec::new();
        match errors.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => log::warn!("procblock-series: {}", String::from_utf8_lossy(&line).trim_end()),
        }
    }
}
