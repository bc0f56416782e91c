//! `procblock lock NAME -- COMMAND`: a command runs while a lock is held.
//!
//! The lock is that of a store (`--unidist`), of the running instance, or of this machine. The command inherits what
//! keeps it: the lock lives until procblock and the command are both gone. A lock that is lost meanwhile, because its
//! lease ends or somebody releases it by force, sends TERM to the command.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{PidfdFlags, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use unidist::{AcquireOptions, Error, LockGuard, PERMITS_MAX, Stop, Unidist};

use super::failure::{EXIT_TIMED_OUT, Failure};
use super::instance::{InstanceArgs, duration};
use crate::cli::{EXIT_FAILED, EXIT_USAGE};
use crate::control::{FindError, Places, find_one};

/// procblock itself failed.
const EXIT_OWN_FAILURE: u8 = 125;
/// The command can't be executed.
const EXIT_NOT_EXECUTABLE: u8 = 126;
/// There is no such command.
const EXIT_NOT_FOUND: u8 = 127;

/// How often is looked whether the lock is still held.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Args)]
pub(crate) struct LockRunArgs {
    /// The lock.
    #[arg(id = "lock", required = true, value_name = "NAME")]
    name: Option<String>,
    /// Wait for the lock so long, 0 for one try; then the exit code is 124. Without it: for ever.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    /// The lock ends after this time, and with it the command, by TERM.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    lease: Option<Duration>,
    /// How many may hold it at once; all must say the same number.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(PERMITS_MAX)))]
    permits: u32,
    #[command(flatten)]
    instance: InstanceArgs,
    /// The command with its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command and says how it ended.
pub(super) fn run_command(arguments: &LockRunArgs) -> Result<u8, Failure> {
    let (Some(name), Some((program, words))) = (&arguments.name, arguments.command.split_first()) else {
        return Err(Failure::new(EXIT_USAGE, "name a lock and a command: procblock lock NAME -- COMMAND"));
    };
    let own = |failure: Failure| Failure { code: EXIT_OWN_FAILURE, ..failure };
    let store = open(&arguments.instance).map_err(own)?;
    let guard = acquire(&store, name, arguments)?;
    let keepers = inherited(&store).map_err(own)?;
    let signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2]);
    let signals = signals.map_err(|error| own(Failure::failed(error.to_string())))?;
    let started = Command::new(program)
        .args(words)
        .env("PROCBLOCK_LOCK", name)
        .env("PROCBLOCK_FENCE", guard.fence().to_string())
        .spawn();
    let child = started.map_err(|error| {
        let code = if error.kind() == ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
        Failure::new(code, format!("{program}: {error}"))
    })?;
    let status = watch(child, &guard, signals).map_err(own)?;
    drop(keepers);
    // A lock that was lost is not ours to release.
    let _ = guard.release();
    Ok(code_of(status))
}

/// The store of the URL, else of the running instance, else this machine's locks.
fn open(instance: &InstanceArgs) -> Result<Unidist, Failure> {
    let builder = Unidist::builder().for_children();
    if let Some(url) = instance.url() {
        return Ok(builder.open(url)?);
    }
    match find_one(&Places::of_process(), instance.instance()) {
        Ok(client) => Ok(builder.open(&format!("node:unix:{}", client.socket().display()))?),
        Err(FindError::None) => Ok(builder.open("memory:")?),
        Err(error) => Err(error.into()),
    }
}

fn acquire(store: &Unidist, name: &str, arguments: &LockRunArgs) -> Result<LockGuard, Failure> {
    let options = AcquireOptions {
        wait: arguments.wait,
        lease: arguments.lease,
        permits: arguments.permits,
        ..AcquireOptions::default()
    };
    store.sharedlock().acquire(name, &options, &Stop::new()).map_err(|error| {
        let code = if matches!(error, Error::Busy { .. }) { EXIT_TIMED_OUT } else { EXIT_OWN_FAILURE };
        Failure::new(code, error.to_string())
    })
}

/// What keeps the lock, for the command to inherit.
fn inherited(store: &Unidist) -> Result<Vec<File>, Failure> {
    let keepers = store.lock_keepers()?;
    for keeper in &keepers {
        fcntl_setfd(keeper, FdFlags::empty()).map_err(|error| Failure::failed(error.to_string()))?;
    }
    Ok(keepers)
}

/// Waits for the command; passes signals on, and sends TERM when the lock is lost.
fn watch(mut child: Child, guard: &LockGuard, mut signals: Signals) -> Result<ExitStatus, Failure> {
    let failed = |error: std::io::Error| Failure::failed(error.to_string());
    let id = Pid::from_raw(child.id().cast_signed());
    let ended = rustix::process::Pid::from_raw(child.id().cast_signed())
        .and_then(|process| pidfd_open(process, PidfdFlags::empty()).ok());
    let mut is_lost = false;
    let mut looked = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        for signal in signals.pending() {
            // On a terminal Ctrl-C and Ctrl-\ reach the command themselves.
            if !matches!(signal, SIGINT | SIGQUIT) {
                let _ = kill(id, Signal::try_from(signal).ok());
            }
        }
        if !is_lost && looked.elapsed() >= LOOK_EVERY {
            looked = Instant::now();
            if !guard.is_held() {
                is_lost = true;
                eprintln!("the lock {:?} is lost; the command is told to end", guard.name());
                let _ = kill(id, Signal::SIGTERM);
            }
        }
        let pause = Timespec { tv_sec: 0, tv_nsec: LOOK_EVERY.subsec_nanos().into() };
        // A signal ends the pause, too.
        let _ = match &ended {
            Some(ended) => poll(&mut [PollFd::new(ended, PollFlags::IN)], Some(&pause)),
            None => poll(&mut [], Some(&pause)),
        };
    }
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(EXIT_FAILED)
}
