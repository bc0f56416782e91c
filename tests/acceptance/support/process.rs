//! Processes as the kernel shows them.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};

/// The variable by which all that a test started is known, whatever it did to its group and session.
pub(crate) const MARK: &str = "PROCBLOCK_TEST";

/// A process, known by descriptor: its number may be given to another one, this is not.
pub(crate) struct Process(Option<OwnedFd>);

impl Process {
    /// One that is already gone counts as ended.
    pub(crate) fn open(pid: i32) -> Self {
        Process(rustix::process::Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
    }

    /// Whether it ends in time.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let Some(descriptor) = &self.0 else { return true };
        let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: i64::from(limit.subsec_nanos()) };
        let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
        poll(&mut polled, Some(&limit)).is_ok_and(|ready| ready == 1)
    }
}

/// Signals one process by system call. The `kill` program is not used: procps 4.0.2 takes `kill -9 -PID`, meant for
/// a group, as every process there is.
pub(crate) fn kill(pid: i32, signal: Signal) {
    assert!(pid > 1, "{pid} is no process of a test");
    // It may be gone meanwhile: then there is nothing to signal.
    let _ = nix::sys::signal::kill(Pid::from_raw(pid), signal);
}

/// The children of a process, by number.
pub(crate) fn children_of(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Every process that carries the mark of a test's folder in its environment, with its command line.
pub(crate) fn marked(folder: &Path) -> Vec<(i32, String)> {
    let mark = format!("{MARK}={}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((pid, String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    found
}
