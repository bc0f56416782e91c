//! The keeper: the process that starts, watches and ends all children of a runner.
//!
//! It is the same binary executed with one end of a socket pair as its standard input, single-threaded, and a child
//! subreaper, so that every orphan below it becomes its own child. One loop waits for requests and for SIGCHLD. When
//! the other end of the socket closes, whatever the reason, it ends everything below itself and exits. Until then it goes on reporting, should the runner still listen.

mod census;
mod environment;
mod start;
mod steps;
mod surroundings;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::protocol::{Report, Request};
use super::socket::{self, Buffer, Packet};
use census::Precedence;
use start::Starter;
use steps::Steps;

/// A runner that is gone grants its children at most this between TERM and KILL.
pub(super) const ORPHANED_GRACE: Duration = Duration::from_secs(5);

/// Runs until the runner is gone and nothing is left below. `open_files` is the limit that children are to have, where it
/// is not the runner's.
pub(super) fn main(open_files: Option<OsString>) -> ExitCode {
    let limit = open_files.and_then(|text| text.to_str()?.parse().ok());
    let limited = limit.map_or(Ok(()), |limit| super::open_files::go_back_to(limit).map_err(io::Error::from));
    match limited.and_then(|()| Keeper::open()).and_then(Keeper::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(io::stderr(), "procblock: keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Keeper {
    control: OwnedFd,
    /// The runner sends no more: it is shutting down, and reads the last reports, or it is dead.
    is_ending: bool,
    child_signals: SignalFd,
    starter: Starter,
    steps: Steps,
    precedence: Precedence,
    unsent: VecDeque<Vec<u8>>,
}

impl Keeper {
    fn open() -> io::Result<Keeper> {
        surroundings::prepare()?;
        let starter = Starter::open()?;
        let control = surroundings::control_socket()?;
        let child_signals = surroundings::child_signals()?;
        let steps = Steps::new(starter.marker_prefix().to_owned());
        let (precedence, unsent) = (Precedence::default(), VecDeque::new());
        Ok(Keeper { control, is_ending: false, child_signals, starter, steps, precedence, unsent })
    }

    fn serve(mut self) -> io::Result<()> {
        let mut buffer = Buffer::new();
        while !self.is_ending || !self.steps.is_done() {
            let ready = self.wait()?;
            if ready.requests {
                self.take_request(&mut buffer)?;
            }
            if ready.exits {
                self.forget_signals()?;
                self.steps.reap(Instant::now());
            }
            self.precedence.set(self.steps.has_census());
            self.steps.tick(Instant::now());
            self.unsent.extend(self.steps.take_reports().iter().map(Report::encode));
            self.send_reports();
        }
        Ok(())
    }

    fn wait(&self) -> io::Result<Ready> {
        let now = Instant::now();
        let timeout = self.steps.next_deadline(now).map(|at| timespec(at.saturating_duration_since(now)));
        let mut interest = PollFlags::IN;
        if !self.unsent.is_empty() {
            interest |= PollFlags::OUT;
        }
        let mut polled = [PollFd::new(&self.child_signals, PollFlags::IN), PollFd::new(&self.control, interest)];
        // A socket at its end is always ready.
        let count = if self.is_ending { 1 } else { 2 };
        match poll(polled.get_mut(..count).unwrap_or_default(), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_readable = |place: usize| {
            let events = polled.get(place).map(PollFd::revents).unwrap_or(PollFlags::empty());
            events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
        };
        Ok(Ready { exits: is_readable(0), requests: is_readable(1) })
    }

    /// One at a time: the next look tells whether there is another.
    fn take_request(&mut self, buffer: &mut Buffer) -> io::Result<()> {
        match socket::receive(self.control.as_fd(), buffer) {
            Ok(Some(packet)) => self.take(packet),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Ok(None) | Err(_) => {
                self.is_ending = true;
                self.steps.end_all(ORPHANED_GRACE, Instant::now());
            }
        }
        Ok(())
    }

    fn take(&mut self, packet: Packet) {
        match Request::decode(&packet.bytes) {
            Some(Request::Start(start)) => {
                // Before it starts: by the time of the next turn it may be hundreds.
                let is_wanted = start.limits.processes.is_some() || self.steps.has_census();
                self.precedence.set(is_wanted);
                match self.starter.start(&start, packet.descriptors, self.precedence.usual()) {
                    Ok(started) => self.steps.add(&start, started),
                    Err(failure) => self.unsent.push_back(Report::Failed { id: start.id, failure }.encode()),
                }
            }
            Some(Request::End(id)) => self.steps.end(id, Instant::now()),
            // Both ends are one binary; a packet that is none of ours has no child to answer for.
            None => {}
        }
    }

    /// However many children ended, their signal is there once.
    fn forget_signals(&self) -> io::Result<()> {
        self.child_signals.read_signal()?;
        Ok(())
    }

    /// Sends what goes without waiting; the rest when the runner has read.
    fn send_reports(&mut self) {
        while let Some(report) = self.unsent.front() {
            match socket::send(self.control.as_fd(), report, &[]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A runner that is gone is told by the next read.
                Ok(()) | Err(_) => {
                    self.unsent.pop_front();
                }
            }
        }
    }
}

struct Ready {
    exits: bool,
    requests: bool,
}

fn timespec(duration: Duration) -> Timespec {
    let duration = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
