//! The children of the keeper, each with the subtree it owns, from start until nothing of it is left.
//!
//! When a child exits, everything below it that is still alive has been handed to the keeper, the nearest subreaper,
//! as orphans. Their step is known by their process group, by having been seen below it, or by the marker in their
//! environment. One that shed all three (a new session, an emptied environment, its parent gone before anybody
//! looked) belongs to the last step that ran when it was first seen: nobody else's process is ended for it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpgid, getpid, kill_process_group, test_kill_process_group, wait};

use super::super::STEP_VARIABLE;
use super::super::protocol::{ChildId, ChildKind, End, Failure, Report, Start};
use super::super::subtree::{Tree, environment_value, send_signal, with_descendants};
use super::census::Census;
use super::start::Started;

/// How long after KILL a process is reported as one that does not end.
const STUCK_AFTER: Duration = Duration::from_secs(5);
/// A subtree that is being ended is looked at this often, beside every SIGCHLD; after KILL more often.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOK_EVERY_AFTER_KILL: Duration = Duration::from_millis(20);
/// A subtree that forks faster than it is killed is followed this often in a row before others get their turn.
const SWEEPS_AT_ONCE: usize = 16;

/// All children and orphans.
pub(super) struct Steps {
    steps: BTreeMap<ChildId, Step>,
    /// Children that are not reaped, by process.
    leaders: HashMap<Pid, ChildId>,
    orphans: HashMap<Pid, Owner>,
    newest: ChildId,
    has_children: bool,
    cpu_reaped: Duration,
    marker_prefix: String,
    reports: Vec<Report>,
}

/// Whose an orphan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Step(ChildId),
    /// No mark: one of the steps up to this one.
    Unknown {
        newest: ChildId,
    },
    /// Of a step that was given up as stuck.
    GivenUp,
}

/// One child; its process group has its process's number.
struct Step {
    pid: Pid,
    kind: ChildKind,
    grace: Duration,
    failure: Option<OwnedFd>,
    /// An end was asked for before the child itself exited.
    was_asked: bool,
    exited: Option<Exited>,
    /// The group was seen empty after the exit: its number may be given to a stranger from here on.
    is_group_gone: bool,
    ending: Option<Ending>,
    /// Every process seen below it.
    known: HashSet<Pid>,
    /// Set for one with a limit of processes.
    census: Option<Census>,
}

#[derive(Clone, Copy)]
struct Exited {
    status: i32,
    cpu: Duration,
}

struct Ending {
    kill_at: Instant,
    is_killed: bool,
    look_at: Instant,
}

impl Steps {
    /// None yet. Children carry `marker_prefix` and their id in `PROCBLOCK_STEP`.
    pub(super) fn new(marker_prefix: String) -> Steps {
        Steps {
            steps: BTreeMap::new(),
            leaders: HashMap::new(),
            orphans: HashMap::new(),
            newest: 0,
            has_children: false,
            cpu_reaped: Duration::ZERO,
            marker_prefix,
            reports: Vec::new(),
        }
    }

    /// Watches a child that was started.
    pub(super) fn add(&mut self, start: &Start, started: Started) {
        let pid = started.pid;
        let step = Step {
            pid,
            kind: start.kind,
            grace: start.grace,
            failure: started.failure,
            was_asked: false,
            exited: None,
            is_group_gone: false,
            ending: None,
            known: HashSet::new(),
            census: start.limits.processes.map(|max| Census::new(max, Instant::now())),
        };
        self.steps.insert(start.id, step);
        self.leaders.insert(pid, start.id);
        self.newest = self.newest.max(start.id);
        if start.kind == ChildKind::Worker {
            self.reports.push(Report::Started { id: start.id, pid: pid.as_raw_nonzero().get().cast_unsigned() });
        }
    }

    /// What happened since the last call.
    pub(super) fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Whether nothing is left to watch.
    pub(super) fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    /// When [`Steps::tick`] has something to do next.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let deadline = |step: &Step| match (&step.ending, &step.census) {
            (Some(ending), _) if ending.is_killed => Some(ending.look_at),
            (Some(ending), _) => Some(ending.look_at.min(ending.kill_at)),
            (None, census) => census.as_ref().map(Census::count_at),
        };
        self.steps.values().filter_map(deadline).min().map(|at| at.max(now))
    }

    /// Reaps what ended, and ends what steps left behind.
    pub(super) fn reap(&mut self, now: Instant) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.take_exit(pid, status.as_raw()),
                Ok(None) => {
                    self.has_children = true;
                    break;
                }
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.has_children = false;
                    break;
                }
            }
        }
        let exited: Vec<ChildId> =
            self.steps.iter().filter(|(_, step)| step.exited.is_some()).map(|(id, _)| *id).collect();
        if !exited.is_empty() && self.has_children {
            self.adopt();
        }
        for id in exited {
            self.settle(id, now);
        }
    }

    fn take_exit(&mut self, pid: Pid, status: i32) {
        let cpu = cpu_of_reaped();
        let used = cpu.saturating_sub(self.cpu_reaped);
        self.cpu_reaped = cpu;
        match self.leaders.remove(&pid).and_then(|id| self.steps.get_mut(&id)) {
            Some(step) => step.exited = Some(Exited { status, cpu: used }),
            None => {
                self.orphans.remove(&pid);
            }
        }
    }

    /// Reports a step of which nothing is left; ends what is left otherwise.
    fn settle(&mut self, id: ChildId, now: Instant) {
        let Some(step) = self.steps.get(&id) else { return };
        let (Some(exited), is_ending) = (step.exited, step.ending.is_some()) else { return };
        if self.has_children && self.is_left(id) {
            if !is_ending {
                self.begin_end(id, now);
            }
            return;
        }
        let Some(step) = self.steps.remove(&id) else { return };
        self.reports.push(match step.failure.and_then(read_failure) {
            Some(failure) => Report::Failed { id, failure },
            None => {
                let crowd = step.census.and_then(|census| census.crowd());
                let Exited { status, cpu } = exited;
                let end = End { status, was_asked: step.was_asked, crowd, cpu, stuck: Vec::new() };
                Report::Gone { id, end }
            }
        });
    }

    fn is_left(&mut self, id: ChildId) -> bool {
        self.claim_unknown(id);
        let Some(step) = self.steps.get_mut(&id) else { return false };
        step.is_group_gone |= test_kill_process_group(step.pid) == Err(Errno::SRCH);
        !step.is_group_gone || self.orphans.values().any(|owner| *owner == Owner::Step(id))
    }

    /// Takes the unmarked orphans for which `id` is the last step they may belong to.
    fn claim_unknown(&mut self, id: ChildId) {
        for owner in self.orphans.values_mut() {
            let Owner::Unknown { newest } = *owner else { continue };
            let mut others = self.steps.range(..=newest).filter(|(other, _)| **other != id);
            if newest >= id && !others.any(|(_, step)| step.kind == ChildKind::Once) {
                *owner = Owner::Step(id);
            }
        }
    }

    /// Finds the step of each child of the keeper that the keeper did not start.
    fn adopt(&mut self) {
        self.adopt_from(&Tree::look());
    }

    fn adopt_from(&mut self, tree: &Tree) {
        let own = tree.children(getpid());
        // Only this loop reaps, so every known one is among them.
        if own.len() == self.leaders.len() + self.orphans.len() {
            return;
        }
        for pid in own {
            if !self.leaders.contains_key(&pid) && !self.orphans.contains_key(&pid) {
                let owner = self.owner_of(pid);
                self.orphans.insert(pid, owner);
            }
        }
    }

    fn owner_of(&self, pid: Pid) -> Owner {
        let group = getpgid(Some(pid)).ok();
        let is_of = |step: &Step| (!step.is_group_gone && Some(step.pid) == group) || step.known.contains(&pid);
        if let Some((id, _)) = self.steps.iter().find(|(_, step)| is_of(step)) {
            return Owner::Step(*id);
        }
        match environment_value(pid, STEP_VARIABLE).and_then(|marker| self.marked_step(&marker)) {
            Some(id) if self.steps.contains_key(&id) => Owner::Step(id),
            Some(_) => {
                send_signal(pid, Signal::KILL);
                Owner::GivenUp
            }
            None => Owner::Unknown { newest: self.newest },
        }
    }

    fn marked_step(&self, marker: &[u8]) -> Option<ChildId> {
        let rest = std::str::from_utf8(marker).ok()?.strip_prefix(&self.marker_prefix)?;
        // A procblock below the step continues its marker after a slash.
        rest.split('/').next()?.parse().ok()
    }

    /// Ends a child and its subtree: TERM, after its grace KILL. One that is ending goes on as it is.
    pub(super) fn end(&mut self, id: ChildId, now: Instant) {
        let Some(step) = self.steps.get_mut(&id) else { return };
        step.was_asked |= step.exited.is_none();
        if step.ending.is_none() {
            self.begin_end(id, now);
        }
    }

    /// Ends everything, each within its own grace but at most `grace_max`.
    pub(super) fn end_all(&mut self, grace_max: Duration, now: Instant) {
        let all: Vec<ChildId> = self.steps.keys().copied().collect();
        for id in all {
            if let Some(step) = self.steps.get_mut(&id) {
                step.grace = step.grace.min(grace_max);
                if let Some(ending) = &mut step.ending {
                    ending.kill_at = ending.kill_at.min(now + grace_max);
                }
            }
            self.end(id, now);
        }
    }

    fn begin_end(&mut self, id: ChildId, now: Instant) {
        if let Some(step) = self.steps.get_mut(&id) {
            let kill_at = now.checked_add(step.grace).unwrap_or(now);
            step.ending = Some(Ending { kill_at, is_killed: false, look_at: now + LOOK_EVERY });
            if !step.grace.is_zero() {
                self.signal(id, Signal::TERM);
            }
        }
    }

    /// Counts what has a limit of processes, kills what is over its grace, and looks again at what is ending.
    pub(super) fn tick(&mut self, now: Instant) {
        self.count_processes(now);
        let due: Vec<ChildId> = self
            .steps
            .iter()
            .filter(|(_, step)| {
                let is_due = |ending: &Ending| now >= ending.look_at || (now >= ending.kill_at && !ending.is_killed);
                step.ending.as_ref().is_some_and(is_due)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.tick_step(id, now);
        }
    }

    /// Kills the steps that became more processes than they may be.
    fn count_processes(&mut self, now: Instant) {
        let is_due =
            |step: &Step| step.ending.is_none() && step.census.as_ref().is_some_and(|census| census.count_at() <= now);
        let due: Vec<ChildId> = self.steps.iter().filter(|(_, step)| is_due(step)).map(|(id, _)| *id).collect();
        if due.is_empty() {
            return;
        }
        let began = Instant::now();
        let tree = Tree::look();
        self.adopt_from(&tree);
        for id in due {
            let found = tree.with_descendants(self.roots(id));
            let Some(step) = self.steps.get_mut(&id) else { continue };
            let is_over = step.census.as_mut().is_some_and(|census| census.takes(found.len() as u64, began));
            if is_over {
                // At once, before it has twice as many: what forks without end is not asked to stop.
                if !step.is_group_gone {
                    let _ = kill_process_group(step.pid, Signal::KILL);
                }
                found.iter().for_each(|pid| send_signal(*pid, Signal::KILL));
                step.known.extend(found);
                step.grace = Duration::ZERO;
                self.begin_end(id, now);
            }
        }
    }

    /// Whether a step is counted: then this process must not be late.
    pub(super) fn has_census(&self) -> bool {
        self.steps.values().any(|step| step.census.is_some())
    }

    /// The child, while it lives, and what of its subtree has come to the keeper.
    fn roots(&self, id: ChildId) -> Vec<Pid> {
        let orphans = self.orphans.iter().filter(|(_, owner)| **owner == Owner::Step(id)).map(|(pid, _)| *pid);
        let leader = self.steps.get(&id).filter(|step| step.exited.is_none()).map(|step| step.pid);
        orphans.chain(leader).collect()
    }

    fn tick_step(&mut self, id: ChildId, now: Instant) {
        let Some(ending) = self.steps.get_mut(&id).and_then(|step| step.ending.as_mut()) else { return };
        ending.is_killed |= now >= ending.kill_at;
        let is_killed = ending.is_killed;
        ending.look_at = now + if is_killed { LOOK_EVERY_AFTER_KILL } else { LOOK_EVERY };
        let is_stuck = is_killed && now >= ending.kill_at + STUCK_AFTER;
        if is_killed {
            self.kill(id);
        }
        self.adopt();
        self.settle(id, now);
        if is_stuck {
            self.give_up(id);
        }
    }

    /// Follows a subtree that goes on forking while it is killed.
    fn kill(&mut self, id: ChildId) {
        for _ in 0..SWEEPS_AT_ONCE {
            self.adopt();
            if self.signal(id, Signal::KILL) == 0 {
                return;
            }
        }
    }

    /// Signals the whole subtree; gives how many processes of it were not seen before.
    fn signal(&mut self, id: ChildId, signal: Signal) -> usize {
        let found = with_descendants(self.roots(id));
        let Some(step) = self.steps.get_mut(&id) else { return 0 };
        if !step.is_group_gone {
            let _ = kill_process_group(step.pid, signal);
        }
        if !step.is_group_gone && signal == Signal::TERM {
            let _ = kill_process_group(step.pid, Signal::CONT);
        }
        let mut new = 0;
        for pid in found {
            new += usize::from(step.known.insert(pid));
            if getpgid(Some(pid)) != Ok(step.pid) {
                send_signal(pid, signal);
            }
        }
        new
    }

    /// Stops watching a step whose processes do not end, and names them.
    fn give_up(&mut self, id: ChildId) {
        let Some(step) = self.steps.remove(&id) else { return };
        let mut stuck = Vec::new();
        if step.exited.is_none() {
            self.leaders.remove(&step.pid);
            self.orphans.insert(step.pid, Owner::GivenUp);
            stuck.push(step.pid);
        }
        for (pid, owner) in &mut self.orphans {
            if *owner == Owner::Step(id) {
                *owner = Owner::GivenUp;
                stuck.push(*pid);
            }
        }
        let stuck = stuck.iter().map(|pid| pid.as_raw_nonzero().get().cast_unsigned()).collect();
        let (status, cpu) = step.exited.map(|exited| (exited.status, exited.cpu)).unwrap_or_default();
        let crowd = step.census.and_then(|census| census.crowd());
        let end = End { status, was_asked: step.was_asked, crowd, cpu, stuck };
        self.reports.push(Report::Gone { id, end });
    }
}

/// The CPU time of all children reaped so far: one thread reaps, so the difference is the last one's.
fn cpu_of_reaped() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    let micros =
        |time: nix::sys::time::TimeVal| time.tv_sec().cast_unsigned() * 1_000_000 + time.tv_usec().cast_unsigned();
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

/// What the trampoline wrote; the program's own start closed its end of the pipe.
fn read_failure(pipe: OwnedFd) -> Option<Failure> {
    let mut bytes = Vec::new();
    std::fs::File::from(pipe).take(64 << 10).read_to_end(&mut bytes).ok()?;
    Failure::from_bytes(&bytes)
}
