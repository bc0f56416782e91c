//! Starts one child by posix_spawn: directly, or through the trampoline when it has limits or a user of its own.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::super::command::Limits;
use super::super::protocol::{Failure, Start};
use super::super::{CHILD_ARGUMENT, STEP_VARIABLE, trampoline};
use super::environment::Environment;

/// The descriptor at which a worker finds its socket.
const SOCKET_PLACE: RawFd = 3;

/// A child that was started.
pub(super) struct Started {
    pub(super) pid: Pid,
    /// The trampoline's pipe: empty once it ends, unless the program was not executed.
    pub(super) failure: Option<OwnedFd>,
}

/// Holds what every start needs.
pub(super) struct Starter {
    nothing: File,
    environment: Environment,
    attributes: PosixSpawnAttr,
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

/// What is executed.
struct Program {
    path: OsString,
    arguments: Vec<OsString>,
    /// Both ends of the trampoline's pipe.
    report: Option<(OwnedFd, OwnedFd)>,
}

impl Starter {
    /// Reads the environment that all children have.
    pub(super) fn open() -> io::Result<Starter> {
        let nothing = File::options().read(true).write(true).open("/dev/null")?;
        let attributes = attributes()?;
        Ok(Starter { nothing, environment: Environment::inherited(), attributes, marker_prefix: marker_prefix() })
    }

    /// What `PROCBLOCK_STEP` begins with in every child of this keeper; the child's id follows.
    pub(super) fn marker_prefix(&self) -> &str {
        &self.marker_prefix
    }

    /// Starts a child, with a `niceness` if this process's own is not for it; blocks until its program is executed, or
    /// the trampoline is.
    pub(super) fn start(
        &self,
        start: &Start,
        descriptors: Vec<OwnedFd>,
        niceness: Option<i32>,
    ) -> Result<Started, Failure> {
        let own = Own::new(start, descriptors);
        let program = program(start, niceness).map_err(|error| failure(&error))?;
        let pid = self.spawn(start, &own, program.path, program.arguments).map_err(|error| failure(&error))?;
        Ok(Started { pid, failure: program.report.map(|(readable, _)| readable) })
    }

    fn spawn(&self, start: &Start, own: &Own, path: OsString, arguments: Vec<OsString>) -> io::Result<Pid> {
        let path = CString::new(path.into_vec())?;
        let arguments = arguments.into_iter().map(|argument| CString::new(argument.into_vec()));
        let arguments = arguments.collect::<Result<Vec<CString>, _>>()?;
        let marker = format!("{}{}", self.marker_prefix, start.id);
        let environment = self.environment.with(&start.environment, &marker)?;
        let actions = own.actions(self.nothing.as_raw_fd())?;
        // This process's own folder for a moment: it has one thread, and posix_spawn has no portable action for it.
        std::env::set_current_dir(&start.folder)?;
        let spawned = posix_spawn(path.as_c_str(), &actions, &self.attributes, &arguments, &environment);
        std::env::set_current_dir("/")?;
        Pid::from_raw(spawned?.as_raw()).ok_or_else(|| io::Error::other("a child without a number"))
    }
}

/// A group of its own, every signal at its default, none blocked.
fn attributes() -> io::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
    )?;
    attributes.set_pgroup(nix::unistd::Pid::from_raw(0))?;
    attributes.set_sigdefault(&SigSet::all())?;
    attributes.set_sigmask(&SigSet::empty())?;
    Ok(attributes)
}

/// The program itself, or the trampoline before it with its pipe.
fn program(start: &Start, niceness: Option<i32>) -> io::Result<Program> {
    // Processes are counted by the keeper.
    let set_before = Limits { processes: None, ..start.limits };
    if start.user.is_none() && set_before == Limits::default() && niceness.is_none() {
        let arguments = match start.arguments.as_slice() {
            [] => vec![start.program.clone()],
            arguments => arguments.to_vec(),
        };
        return Ok(Program { path: start.program.clone(), arguments, report: None });
    }
    let (readable, written) = pipe_with(PipeFlags::CLOEXEC)?;
    // Inherited for the moment of the start; this process has one thread, so by this child alone.
    fcntl_setfd(&written, FdFlags::empty())?;
    let mut arguments = vec![OsString::from("procblock"), CHILD_ARGUMENT.into()];
    arguments.extend(trampoline::wishes(start, niceness, written.as_raw_fd()));
    Ok(Program { path: "/proc/self/exe".into(), arguments, report: Some((readable, written)) })
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

    /// Puts each in its place; a descriptor is never below the places, where standard ones and `nothing` are.
    fn actions(&self, nothing: RawFd) -> nix::Result<PosixSpawnFileActions> {
        let mut actions = PosixSpawnFileActions::init()?;
        for (place, own) in (0..).zip([&self.input, &self.output, &self.error]) {
            actions.add_dup2(own.as_ref().map_or(nothing, AsRawFd::as_raw_fd), place)?;
        }
        if let Some(socket) = &self.socket {
            actions.add_dup2(socket.as_raw_fd(), SOCKET_PLACE)?;
        }
        Ok(actions)
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
