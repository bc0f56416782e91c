//! The programs that are measured: where they stand, how they are run, what they used.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::Outcome;

/// Longer than anything that is measured takes.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Between two looks at something that tells no event.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The program `name` beside this one.
pub(crate) fn beside(name: &str) -> Outcome<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().ok_or("this program has no folder")?.join(name);
    if path.is_file() { Ok(path) } else { Err(format!("{} is missing; run make bench", path.display()).into()) }
}

/// procblock with a file, both outputs to nowhere.
pub(crate) fn procblock(file: &Path) -> Outcome<Command> {
    let mut command = Command::new(beside("procblock")?);
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// How long a command takes from its start to its end, in seconds.
pub(crate) fn seconds(command: &mut Command) -> Outcome<f64> {
    let begun = Instant::now();
    let status = command.status()?;
    let took = begun.elapsed().as_secs_f64();
    if status.success() { Ok(took) } else { Err(format!("{command:?} ended with {status}").into()) }
}

/// What procblock prints for a file, as data.
pub(crate) fn result(file: &Path) -> Outcome<Value> {
    let output = procblock(file)?.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    if !output.status.success() {
        return Err(format!("{} failed: {}", file.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs a program to its end and prints its peak memory in bytes.
///
/// A process of its own does this: a child's peak counts what its parent held when it was started.
pub(crate) fn run_and_print_peak(words: &[&str]) -> Outcome<()> {
    let (program, arguments) = words.split_first().ok_or("peak takes a program")?;
    seconds(Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()))?;
    let kibibytes = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    crate::table::print(&format!("{}\n", kibibytes * 1024))
}

/// The peak memory of a program that is run to its end, in bytes.
pub(crate) fn peak(program: &Path, arguments: &[&Path]) -> Outcome<f64> {
    let output = Command::new(std::env::current_exe()?).arg("peak").arg(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// A field of `/proc/PID/status` that is given in kB, in bytes.
pub(crate) fn memory(pid: u32, field: &str) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field in /proc/PID/status")?;
    let number: f64 = line.trim_matches([':', ' ', '\t', 'k', 'B']).parse()?;
    Ok(number * 1024.0)
}

/// CPU time that a process has used, in seconds.
pub(crate) fn cpu(pid: u32) -> Outcome<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
    // proc(5): utime and stime are fields 14 and 15; the rest begins with field 3.
    let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.unwrap_or(100);
    #[expect(clippy::cast_precision_loss, reason = "ticks of a second are few")]
    Ok(ticks / per_second as f64)
}

/// A procblock that stays until it is stopped; ended when this is dropped.
pub(crate) struct Staying {
    child: Child,
}

impl Staying {
    /// Starts the command.
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        Ok(Staying { child: command.spawn()? })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `look` finds something.
    pub(crate) fn wait_for<T>(&mut self, what: &str, look: impl Fn() -> Option<T>) -> Outcome<T> {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("procblock ended with {status} before {what}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("no {what} within {WAIT_MAX:?}").into());
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    /// Stops it as Ctrl-C does; how long it took to end, in seconds.
    pub(crate) fn interrupt(mut self) -> Outcome<f64> {
        let begun = Instant::now();
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGINT)?;
        let status = self.child.wait()?;
        let took = begun.elapsed().as_secs_f64();
        if status.success() { Ok(took) } else { Err(format!("procblock ended with {status} after Ctrl-C").into()) }
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
