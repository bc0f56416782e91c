//! A child that was sent to the keeper: reads what it prints, ends it when it is time, and collects what came of it.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use unidist::Stop;

use super::capture::{Capture, Captured};
use super::command::{Command, Ended, Finished, Status};
use super::connection::{Connection, Outcome, Waiting};
use super::error::SpawnError;
use super::lines::Lines;
use super::protocol::{ChildId, End, Failure, Start};

/// A keeper that does not report an end within the grace and this is taken for hung, and is replaced.
const KEEPER_SLACK: Duration = Duration::from_secs(8);
/// So long a child is left alone before its streams are watched: most are gone by then, and what they printed is read
/// with their end. Watching costs more than reading, and a pipe holds 64 KiB meanwhile.
const FIRST_MOMENT: Duration = Duration::from_millis(2);
/// A stream is read in pieces that grow from the first of these to the second.
const READ_MIN: usize = 1 << 10;
const READ_MAX: usize = 64 << 10;
/// What is read of a pipe after the end, should a process outside the subtree still write into it.
const REST_MAX: usize = 16 << 20;

/// Why a running child gave no result.
#[derive(Debug)]
pub(super) enum Lost {
    NotExecuted(Failure),
    KeeperDied,
    NotEnded(Vec<u32>),
}

impl Lost {
    /// As the caller of a child is told.
    pub(super) fn into_error(self, command: &Command, start: &Start) -> SpawnError {
        match self {
            Lost::NotExecuted(failure) => SpawnError::from_failure(failure, command, start),
            Lost::KeeperDied => SpawnError::KeeperDied,
            Lost::NotEnded(pids) => SpawnError::NotEnded { pids },
        }
    }
}

/// Dropped before the child is gone, it has the keeper end the child.
pub(super) struct Running {
    connection: Arc<Connection>,
    id: ChildId,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Registered,
    Sent,
    Gone,
}

/// The streams and times of one child.
pub(super) struct Supervision {
    pub(super) outcome: oneshot::Receiver<Outcome>,
    pub(super) output: Option<Drain>,
    pub(super) error: Drain,
    pub(super) deadline: Option<Instant>,
    pub(super) grace: Duration,
}

impl Supervision {
    /// Has both streams read as they come.
    fn watch(&mut self) {
        self.output.iter_mut().for_each(Drain::watch);
        self.error.watch();
    }
}

impl Running {
    /// Registers a child that is about to be sent; gives `waiting` back when the keeper is gone.
    pub(super) fn register(connection: &Arc<Connection>, waiting: Waiting) -> Result<Self, Waiting> {
        let id = connection.register(waiting)?;
        Ok(Running { connection: Arc::clone(connection), id, progress: Progress::Registered })
    }

    /// Its number.
    pub(super) fn id(&self) -> ChildId {
        self.id
    }

    /// Its request was sent.
    pub(super) fn sent(&mut self) {
        self.progress = Progress::Sent;
    }

    /// Its request was not sent: gives its place back.
    pub(super) fn withdraw(mut self) -> Option<OwnedSemaphorePermit> {
        self.progress = Progress::Gone;
        self.connection.withdraw(self.id).and_then(|waiting| waiting.place)
    }

    /// Reads both streams until nothing of the child is left, ending it at `stop` or the deadline.
    pub(super) async fn supervise(mut self, mut with: Supervision, stop: &Stop) -> Result<Finished, Lost> {
        let mut asked = None;
        let mut stopped = pin!(stop.requested());
        let mut timer = pin!(sleep_until(with.deadline.unwrap_or_else(Instant::now)));
        let mut moment = pin!(sleep(FIRST_MOMENT));
        let mut is_watched = false;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut with.outcome => break outcome.unwrap_or(Outcome::KeeperDied),
                () = &mut moment, if !is_watched => {
                    is_watched = true;
                    with.watch();
                    continue;
                }
                () = &mut stopped, if asked.is_none() => asked = Some(self.ask(Ended::Stopped)),
                () = &mut timer, if with.deadline.is_some() => match asked {
                    None => asked = Some(self.ask(Ended::TimedOut)),
                    Some(_) => {
                        self.connection.kill_keeper();
                        with.deadline = None;
                        continue;
                    }
                },
                () = pump(&mut with.output) => continue,
                () = with.error.pump() => continue,
            }
            let patience = with.grace.saturating_add(KEEPER_SLACK);
            with.deadline = Instant::now().checked_add(patience);
            timer.as_mut().reset(with.deadline.unwrap_or_else(Instant::now));
        };
        self.progress = Progress::Gone;
        finish(outcome, with, asked)
    }

    fn ask(&self, why: Ended) -> Ended {
        self.connection.end(self.id);
        why
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        match self.progress {
            Progress::Registered => drop(self.connection.withdraw(self.id)),
            Progress::Sent => self.connection.end(self.id),
            Progress::Gone => {}
        }
    }
}

fn finish(outcome: Outcome, with: Supervision, asked: Option<Ended>) -> Result<Finished, Lost> {
    let end = match outcome {
        Outcome::Failed(failure) => return Err(Lost::NotExecuted(failure)),
        Outcome::Gone(end) if !end.stuck.is_empty() => return Err(Lost::NotEnded(end.stuck)),
        Outcome::Gone(end) => end,
        // It was to be ended, and it was.
        Outcome::KeeperDied if asked.is_some() => End { status: nix::libc::SIGKILL, was_asked: true, ..End::default() },
        Outcome::KeeperDied => return Err(Lost::KeeperDied),
    };
    let ended = match end.crowd {
        Some(count) => Ended::Crowded(count),
        // An end nobody here asked for came with the end of everything.
        None if end.was_asked => asked.unwrap_or(Ended::Stopped),
        None => Ended::Itself,
    };
    let output = with.output.map(Drain::finish).unwrap_or_default();
    Ok(Finished { status: status_from(end.status), ended, output, error: with.error.finish(), cpu: end.cpu })
}

fn status_from(raw: i32) -> Status {
    let status = ExitStatus::from_raw(raw);
    match (status.code(), status.signal()) {
        (Some(code), _) => Status::Exited(code),
        (None, signal) => Status::Signaled(signal.unwrap_or_default()),
    }
}

async fn pump(drain: &mut Option<Drain>) {
    match drain {
        Some(drain) => drain.pump().await,
        None => pending().await,
    }
}

/// One stream of a child.
pub(super) struct Drain {
    pipe: Pipe,
    buffer: Vec<u8>,
    capture: Capture,
    lines: Option<Lines>,
}

enum Pipe {
    /// Fills up.
    Left(OwnedFd),
    /// Is read as it comes.
    Watched(Receiver),
    Ended,
}

impl Drain {
    /// Will read `pipe`, which must not block, keeping at most `max` bytes.
    pub(super) fn new(pipe: OwnedFd, max: usize, lines: Option<Lines>) -> Self {
        Drain { pipe: Pipe::Left(pipe), buffer: Vec::new(), capture: Capture::new(max), lines }
    }

    /// Has it read as it comes.
    fn watch(&mut self) {
        self.pipe = match std::mem::replace(&mut self.pipe, Pipe::Ended) {
            Pipe::Left(pipe) => match Receiver::from_owned_fd_unchecked(pipe) {
                Ok(pipe) => Pipe::Watched(pipe),
                Err(error) => {
                    log::error!("what a child process prints can't be read: {error}");
                    Pipe::Ended
                }
            },
            pipe => pipe,
        };
    }

    /// Waits for the next piece; never completes after the end, nor before [`Drain::watch`]. May be dropped at any time.
    async fn pump(&mut self) {
        let Pipe::Watched(pipe) = &self.pipe else { return pending().await };
        if pipe.readable().await.is_err() {
            self.pipe = Pipe::Ended;
            return;
        }
        make_room(&mut self.buffer);
        match pipe.try_read_buf(&mut self.buffer) {
            Ok(size) if size > 0 => {
                self.take();
                // Its lines may have taken a while, and the next piece is likely to be there.
                tokio::task::yield_now().await;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Ok(_) | Err(_) => self.pipe = Pipe::Ended,
        }
    }

    fn take(&mut self) {
        self.capture.add(&self.buffer);
        if let Some(lines) = &mut self.lines {
            lines.add(&self.buffer);
        }
    }

    /// Reads what is there without waiting, and gives what was kept.
    fn finish(mut self) -> Captured {
        let pipe = match std::mem::replace(&mut self.pipe, Pipe::Ended) {
            Pipe::Left(pipe) => Some(pipe),
            // What tokio knows of the pipe may be older than the child's end, so it is read past it.
            Pipe::Watched(pipe) => pipe.into_nonblocking_fd().ok(),
            Pipe::Ended => None,
        };
        let mut rest = REST_MAX;
        while let Some(pipe) = &pipe {
            make_room(&mut self.buffer);
            match rustix::io::read(pipe, spare_capacity(&mut self.buffer)) {
                Ok(size) if size > 0 && rest > 0 => {
                    rest = rest.saturating_sub(size);
                    self.take();
                }
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        if let Some(lines) = &mut self.lines {
            lines.finish();
        }
        self.capture.finish()
    }
}

/// Empties `buffer`, and enlarges it when the last piece filled it.
fn make_room(buffer: &mut Vec<u8>) {
    let is_full = buffer.len() == buffer.capacity();
    buffer.clear();
    if is_full {
        buffer.reserve_exact((buffer.capacity() * 4).clamp(READ_MIN, READ_MAX));
    }
}
