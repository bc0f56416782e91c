//! `__child`: the moment between the start of a child and its program, for what posix_spawn can't do: limits and
//! another user. It becomes the program by execve, so the child keeps its number, group and descriptors. When it
//! can't, it says why through a pipe that the program's start would have closed.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, User, geteuid, getgrouplist, setgid, setgroups, setuid};
use rustix::process::setpriority_process;

use super::command::Limits;
use super::protocol::{Failure, Start};

/// Variables that follow the user, unless the step sets them itself.
const USER_VARIABLES: [&str; 3] = ["HOME", "USER", "LOGNAME"];

/// The trampoline's arguments for `start`, with a niceness to go back to and the descriptor that it reports on.
pub(super) fn wishes(start: &Start, niceness: Option<i32>, report: i32) -> Vec<OsString> {
    let Limits { memory, cpu, files, processes: _ } = start.limits;
    let mut arguments: Vec<OsString> = vec![format!("report={report}").into()];
    arguments.extend(niceness.map(|niceness| format!("nice={niceness}").into()));
    arguments.extend(memory.map(|bytes| format!("memory={bytes}").into()));
    arguments.extend(cpu.map(|cpu| format!("cpu={}", seconds(cpu)).into()));
    arguments.extend(files.map(|files| format!("files={files}").into()));
    if let Some(user) = &start.user {
        let mut wish = OsString::from("user=");
        wish.push(user);
        arguments.push(wish);
    }
    let is_set = |name: &&&str| start.environment.iter().any(|(set, _)| set == **name);
    arguments.extend(USER_VARIABLES.iter().filter(is_set).map(|name| format!("keep={name}").into()));
    arguments.extend([OsString::from("--"), start.program.clone()]);
    arguments.extend(start.arguments.iter().cloned());
    arguments
}

/// The kernel counts whole seconds.
fn seconds(cpu: Duration) -> u64 {
    (cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0)).max(1)
}

/// Sets what was wished and becomes the program. Comes back only when that failed, with 127 for a program that is
/// not there, 126 for one that can't be executed, else 125.
pub(super) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(wishes) = Wishes::parse(arguments) else {
        let _ = writeln!(std::io::stderr(), "procblock: this command is started by procblock itself");
        return ExitCode::from(2);
    };
    let failure = wishes.become_program();
    if let Some(mut report) = wishes.report {
        let _ = report.write_all(&failure.to_bytes());
    }
    ExitCode::from(match failure {
        Failure::Execute(nix::libc::ENOENT) => 127,
        Failure::Execute(_) => 126,
        Failure::User(_) | Failure::Limit(_) => 125,
    })
}

#[derive(Default)]
struct Wishes {
    report: Option<File>,
    niceness: Option<i32>,
    limits: Limits,
    user: Option<OsString>,
    kept: Vec<OsString>,
    program: OsString,
    name: OsString,
    arguments: Vec<OsString>,
}

impl Wishes {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Wishes> {
        let mut wishes = Wishes::default();
        loop {
            let argument = arguments.next()?;
            if argument == "--" {
                break;
            }
            let bytes = argument.as_bytes();
            let (key, value) = bytes.split_at(bytes.iter().position(|byte| *byte == b'=')?);
            let value = OsStr::from_bytes(value.get(1..)?);
            let number = || value.to_str()?.parse::<u64>().ok();
            match key {
                b"report" => wishes.report = Some(own_descriptor(value.to_str()?.parse().ok()?)?),
                b"nice" => wishes.niceness = Some(value.to_str()?.parse().ok()?),
                b"memory" => wishes.limits.memory = Some(number()?),
                b"cpu" => wishes.limits.cpu = Some(Duration::from_secs(number()?)),
                b"files" => wishes.limits.files = Some(number()?),
                b"user" => wishes.user = Some(value.to_owned()),
                b"keep" => wishes.kept.push(value.to_owned()),
                _ => return None,
            }
        }
        wishes.program = arguments.next()?;
        wishes.name = arguments.next()?;
        wishes.arguments = arguments.collect();
        Some(wishes)
    }

    fn become_program(&self) -> Failure {
        if let Some(niceness) = self.niceness {
            // The keeper's own is not for its children; less is always granted.
            let _ = setpriority_process(None, niceness);
        }
        // Looked up first: it reads files, for which the limits may leave no room.
        let user = match self.user.as_deref().map(Account::find).transpose() {
            Ok(user) => user,
            Err(failure) => return failure,
        };
        let mut command = Command::new(&self.program);
        command.arg0(&self.name).args(&self.arguments);
        for (name, value) in user.iter().flat_map(Account::variables) {
            if !self.kept.iter().any(|kept| kept == name) {
                command.env(name, value);
            }
        }
        if let Err(failure) = set_limits(self.limits).and_then(|()| user.as_ref().map_or(Ok(()), Account::take_on)) {
            return failure;
        }
        Failure::Execute(command.exec().raw_os_error().unwrap_or(nix::libc::EINVAL))
    }
}

/// The inherited descriptor `number` as one that closes on exec.
fn own_descriptor(number: i32) -> Option<File> {
    let own = File::options().write(true).open(format!("/proc/self/fd/{number}")).ok()?;
    nix::unistd::close(number).ok()?;
    Some(own)
}

/// A user with everything that belongs to it.
struct Account {
    user: User,
    groups: Vec<Gid>,
}

impl Account {
    /// By name, else by number.
    fn find(wanted: &OsStr) -> Result<Account, Failure> {
        let text = wanted.to_string_lossy();
        let by_name = User::from_name(&text).map_err(|error| Failure::User(format!("user {text}: {error}")))?;
        let by_number = || User::from_uid(Uid::from_raw(text.parse().ok()?)).ok().flatten();
        let user = by_name
            .or_else(by_number)
            .ok_or_else(|| Failure::User(format!("user {text}: no such user on this machine")))?;
        let name = CString::new(user.name.as_str()).map_err(|_| Failure::User(format!("user {text}: bad name")))?;
        let groups = getgrouplist(&name, user.gid).map_err(|error| Failure::User(format!("user {text}: {error}")))?;
        Ok(Account { user, groups })
    }

    fn variables(&self) -> [(&'static str, OsString); 3] {
        let [home, user, login] = USER_VARIABLES;
        let name = &self.user.name;
        [(home, self.user.dir.clone().into()), (user, name.into()), (login, name.into())]
    }

    /// Groups first: they need the rights that are given up with the user.
    fn take_on(&self) -> Result<(), Failure> {
        let own = geteuid();
        let name = &self.user.name;
        if own == self.user.uid && !own.is_root() {
            return Ok(());
        }
        if !own.is_root() {
            let own = User::from_uid(own).ok().flatten().map_or_else(|| own.to_string(), |user| user.name);
            return Err(Failure::User(format!("user {name}: only root can change users, and procblock runs as {own}")));
        }
        let change = || {
            setgroups(&self.groups)?;
            setgid(self.user.gid)?;
            setuid(self.user.uid)
        };
        change().map_err(|error| Failure::User(format!("user {name}: {error}")))
    }
}

/// The address space last: this process may be over it itself, which execve mends.
fn set_limits(limits: Limits) -> Result<(), Failure> {
    if let Some(cpu) = limits.cpu {
        // One second between XCPU and KILL, for a program that wants to say something.
        set_limit(Resource::RLIMIT_CPU, "cpu", cpu.as_secs(), cpu.as_secs() + 1)?;
    }
    if let Some(files) = limits.files {
        set_limit(Resource::RLIMIT_NOFILE, "files", files, files)?;
    }
    if let Some(memory) = limits.memory {
        set_limit(Resource::RLIMIT_AS, "memory", memory, memory)?;
    }
    Ok(())
}

fn set_limit(resource: Resource, name: &str, soft: u64, hard: u64) -> Result<(), Failure> {
    setrlimit(resource, soft, hard).map_err(|error| {
        let may = getrlimit(resource).map(|(_, hard)| hard).unwrap_or_default();
        Failure::Limit(format!("limit {name} {soft}: {error}: at most {may} may be set without root"))
    })
}
