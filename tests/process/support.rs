//! Shared by the tests: a keeper, commands, and waits for the end of any process.

use std::os::fd::OwnedFd;
use std::time::Duration;

use procblock::process::{Command, Finished, Keeper, SpawnError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use unidist::Stop;

/// Longer than anything here takes on a busy machine; only a fault waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What a helper gives: a fault of the test's own surroundings is told, not unwrapped.
pub(crate) type Try<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) fn keeper() -> Keeper {
    Keeper::new(env!("CARGO_BIN_EXE_procblock").into())
}

pub(crate) fn shell(text: &str) -> Command {
    Command { name: "test".into(), ..Command::new(["/bin/sh", "-c", text]) }
}

pub(crate) async fn run(command: Command) -> Result<Finished, SpawnError> {
    let keeper = keeper();
    let result = keeper.run(command, &Stop::new()).await;
    keeper.shutdown().await;
    result
}

/// A process, known by descriptor: its number may be given to another one, this is not.
pub(crate) struct Process(Option<OwnedFd>);

impl Process {
    /// One that is already gone counts as ended.
    pub(crate) fn open(pid: i32) -> Self {
        Process(Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ends_within(Duration::ZERO)
    }

    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let Some(descriptor) = &self.0 else { return true };
        let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: i64::from(limit.subsec_nanos()) };
        let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
        poll(&mut polled, Some(&limit)).is_ok_and(|ready| ready == 1)
    }
}

/// The children of a process; those of a runner with one keeper are that keeper.
pub(crate) fn children_of(pid: u32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}
