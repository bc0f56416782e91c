//! What the runner does when its keeper died: the keeper's children have come to the runner, the next subreaper, and
//! are ended here.
//!
//! They are told from the runner's own children by their session: the keeper left the runner's, so everything below
//! it is in another one. Children that the runner starts itself and that leave its session are registered as
//! [`OwnChild`].

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitOptions, getpid, waitpid};
use tokio::time::Instant;

use super::subtree::{children, send_signal, with_descendants};

/// How often orphans are looked at while they end.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long after KILL orphans are given up.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// The children that belong to the runner itself. Global, because a process's children are: two keepers in one
/// process must not take each other for orphans.
static OWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A child that the runner started itself, not through the keeper, and that is not to be taken for an orphan of a
/// dead keeper. Drop it when the child was waited for.
#[derive(Debug)]
pub struct OwnChild {
    pid: i32,
}

impl OwnChild {
    /// Starts `command` and registers the child.
    ///
    /// # Errors
    /// Those of [`Command::spawn`].
    pub fn spawn(command: &mut Command) -> io::Result<(Child, OwnChild)> {
        // Locked over both, or it might be looked for between start and registration.
        let mut own = OWN.lock();
        let child = command.spawn()?;
        let pid = Pid::from_child(&child).as_raw_nonzero().get();
        own.insert(pid);
        Ok((child, OwnChild { pid }))
    }
}

impl Drop for OwnChild {
    fn drop(&mut self) {
        OWN.lock().remove(&self.pid);
    }
}

/// Kills every orphan of a dead keeper with its subtree, at once: while they live, a kill of the runner too would leave
/// them to nobody. Orphans that do not end are named in the log 5 s later.
pub(super) async fn end_orphans() {
    let begun = Instant::now();
    loop {
        let orphans: Vec<Pid> = orphans().into_iter().filter(|pid| !reap(*pid)).collect();
        if orphans.is_empty() {
            return;
        }
        if begun.elapsed() >= STUCK_AFTER {
            log::error!("processes {orphans:?} do not end, not even by KILL");
            return;
        }
        for pid in with_descendants(orphans) {
            send_signal(pid, Signal::KILL);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn orphans() -> Vec<Pid> {
    let own = OWN.lock();
    // Of nix, not rustix: in a container the runner's own session may be outside, and so 0.
    let session_of = |pid: i32| nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid))).ok();
    let session = session_of(0);
    let is_orphan = |pid: &Pid| {
        let pid = pid.as_raw_nonzero().get();
        !own.contains(&pid) && session_of(pid) != session
    };
    children(getpid()).into_iter().filter(is_orphan).collect()
}

fn reap(pid: Pid) -> bool {
    !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}
