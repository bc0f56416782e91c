//! Starts one child by posix_spawn: directly, or through the trampoline when it has limits or a user of its own.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::io::{DupFlags, FdFlags, dup2, dup3, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::super::command::Limits;
use super::super::protocol::{Failure, Start};
use super::super::{CHILD_ARGUMENT, STEP_VARIABLE, trampoline};

/// The descriptor at which a worker finds its socket.
const SOCKET_PLACE: i32 = 3;
/// Variables that are the runner's alone: a child must not speak to systemd in its name.
const RUNNERS_OWN: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// A child that was started.
pub(super) struct Started {
    pub(super) pid: Pid,
    /// The trampoline's pipe: empty once it ends, unless the program was not executed.
    pub(super) failure: Option<OwnedFd>,
}

/// Holds what every start needs.
pub(super) struct Starter {
    nothing: File,
    /// Keeps descriptor 3 taken, so that a worker's socket can be put there for the moment of its start.
    place: OwnedFd,
    marker_prefix: String,
}

/// The descriptors of one child; a missing one of the first three is `/dev/null`.
#[derive(Default)]
struct Own {
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
    socket: Option<OwnedFd>,
}

impl Starter {
    /// Takes descriptor 3, so it comes before anything else is opened.
    pub(super) fn open() -> io::Result<Starter> {
        let nothing = File::options().read(true).write(true).open("/dev/null")?;
        let place: OwnedFd = nothing.try_clone()?.into();
        let (place, nothing) =
            if nothing.as_raw_fd() == SOCKET_PLACE { (nothing.into(), place.into()) } else { (place, nothing) };
        if place.as_raw_fd() != SOCKET_PLACE {
            return Err(io::Error::other("descriptor 3 is taken"));
        }
        Ok(Starter { nothing, place, marker_prefix: marker_prefix() })
    }

    /// What `PROCBLOCK_STEP` begins with in every child of this keeper; the child's id follows.
    pub(super) fn marker_prefix(&self) -> &str {
        &self.marker_prefix
    }

    /// Starts a child, with a `niceness` if this process's own is not for it; blocks until its program is executed, or
    /// the trampoline is.
    pub(super) fn start(
        &mut self,
        start: &Start,
        descriptors: Vec<OwnedFd>,
        niceness: Option<i32>,
    ) -> Result<Started, Failure> {
        let mut own = Own::new(start, descriptors);
        let socket = own.socket.take();
        let (mut command, failure) = self.command(start, niceness).map_err(|error| failure(&error))?;
        command.current_dir(&start.folder);
        command.env(STEP_VARIABLE, format!("{}{}", self.marker_prefix, start.id));
        command.stdin(self.stdio(own.input)).stdout(self.stdio(own.output)).stderr(self.stdio(own.error));
        command.process_group(0);
        if let Some(socket) = &socket {
            dup2(socket, &mut self.place).map_err(|error| Failure::Execute(error.raw_os_error()))?;
        }
        let child = command.spawn();
        if socket.is_some() {
            // Were this to fail, the next children would inherit the socket of this one.
            dup3(&self.nothing, &mut self.place, DupFlags::CLOEXEC)
                .map_err(|error| Failure::Execute(error.raw_os_error()))?;
        }
        let child = child.map_err(|error| self::failure(&error))?;
        Ok(Started { pid: Pid::from_child(&child), failure: failure.map(|(readable, _)| readable) })
    }

    fn stdio(&self, descriptor: Option<OwnedFd>) -> Stdio {
        match descriptor {
            Some(descriptor) => Stdio::from(descriptor),
            None => self.nothing.try_clone().map(Stdio::from).unwrap_or_else(|_| Stdio::null()),
        }
    }

    /// The program itself or the trampoline before it, with the trampoline's pipe.
    fn command(&self, start: &Start, niceness: Option<i32>) -> io::Result<(Command, Option<(OwnedFd, OwnedFd)>)> {
        // Processes are counted by the keeper.
        let set_before = Limits { processes: None, ..start.limits };
        let is_plain = start.user.is_none() && set_before == Limits::default() && niceness.is_none();
        let (mut command, pipe) = if is_plain {
            let mut command = Command::new(&start.program);
            if let Some((name, arguments)) = start.arguments.split_first() {
                command.arg0(name).args(arguments);
            }
            (command, None)
        } else {
            let (readable, written) = pipe_with(PipeFlags::CLOEXEC)?;
            // Inherited for the moment of the start; this process has one thread, so by this child alone.
            fcntl_setfd(&written, FdFlags::empty())?;
            let mut command = Command::new("/proc/self/exe");
            command.arg0("procblock").arg(CHILD_ARGUMENT);
            command.args(trampoline::wishes(start, niceness, written.as_raw_fd()));
            (command, Some((readable, written)))
        };
        for name in RUNNERS_OWN {
            if std::env::var_os(name).is_some() {
                command.env_remove(name);
            }
        }
        command.envs(start.environment.iter().map(|(name, value)| (name, value)));
        Ok((command, pipe))
    }
}

impl Own {
    fn new(start: &Start, descriptors: Vec<OwnedFd>) -> Own {
        let mut left = descriptors.into_iter();
        let mut next = |is_there: bool| is_there.then(|| left.next()).flatten();
        Own {
            input: next(start.descriptors.has_input),
            output: next(start.descriptors.has_output),
            error: next(start.descriptors.has_error),
            socket: next(start.descriptors.has_socket),
        }
    }
}

fn failure(error: &io::Error) -> Failure {
    Failure::Execute(error.raw_os_error().unwrap_or(nix::libc::EINVAL))
}

/// Unique among the keepers of a machine. A procblock below another's step continues that step's marker.
fn marker_prefix() -> String {
    let outer = std::env::var_os(STEP_VARIABLE).map(OsString::into_string).and_then(Result::ok);
    let outer = outer.filter(|outer| outer.len() < 1000).map(|outer| outer + "/").unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{outer}{:x}.{now:x}.", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_of_two_moments_differ() {
        assert_ne!(marker_prefix(), marker_prefix());
    }
}
