//! What `/proc` says about processes: who is below whom, and which step a process belongs to.
//!
//! Everything read here may be out of date when it is used: callers look again until nothing is left.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use rustix::process::{Pid, Signal, kill_process};

/// The processes that were started by, or came to, any thread of process `pid` and are not reaped.
pub(super) fn children(pid: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
    let Ok(entries) = fs::read_dir(tasks) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        match fs::read_to_string(entry.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(parse_pid)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && entry.path().exists() => {
                return children_by_parent(pid);
            }
            Err(_) => {}
        }
    }
    found
}

/// For a kernel without the `children` files: every process names its parent.
fn children_by_parent(pid: Pid) -> Vec<Pid> {
    families().remove(&pid).unwrap_or_default()
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name, in parentheses, may hold anything; state and parent follow its last parenthesis.
    let (_, after_name) = stat.rsplit_once(')')?;
    parse_pid(after_name.split_ascii_whitespace().nth(1)?)
}

/// `roots` and everything below them.
pub(super) fn with_descendants(roots: impl IntoIterator<Item = Pid>) -> HashSet<Pid> {
    Tree::look().with_descendants(roots)
}

/// Who is below whom. On a kernel that does not tell the children of a process all processes are read at once, and
/// this is how they were then; else each is asked when it is met.
pub(super) struct Tree {
    families: Option<HashMap<Pid, Vec<Pid>>>,
}

impl Tree {
    pub(super) fn look() -> Tree {
        Tree { families: (!*HAS_CHILDREN_FILES).then(families) }
    }

    pub(super) fn children(&self, pid: Pid) -> Vec<Pid> {
        match &self.families {
            Some(families) => families.get(&pid).cloned().unwrap_or_default(),
            None => children(pid),
        }
    }

    pub(super) fn with_descendants(&self, roots: impl IntoIterator<Item = Pid>) -> HashSet<Pid> {
        let mut found = HashSet::new();
        let mut open: Vec<Pid> = roots.into_iter().collect();
        while let Some(pid) = open.pop() {
            if found.insert(pid) {
                open.extend(self.children(pid));
            }
        }
        found
    }
}

/// Whether this kernel tells the children of a process.
static HAS_CHILDREN_FILES: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/thread-self/children").exists());

/// The children of every process.
fn families() -> HashMap<Pid, Vec<Pid>> {
    let mut families: HashMap<Pid, Vec<Pid>> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return families };
    for process in entries.flatten().filter_map(|entry| parse_pid(entry.file_name().to_str()?)) {
        if let Some(parent) = parent(process) {
            families.entry(parent).or_default().push(process);
        }
    }
    families
}

/// The value of `variable` in the environment that `pid` was executed with.
pub(super) fn environment_value(pid: Pid, variable: &str) -> Option<Vec<u8>> {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    let entry = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(variable.as_bytes()))?;
    entry.strip_prefix(b"=").map(<[u8]>::to_vec)
}

/// Sends a signal; a TERM also wakes a stopped process, which would not get it otherwise. A process that is gone, or
/// belongs to another user, is passed over: what is left is looked at again anyway.
pub(super) fn send_signal(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal);
    if signal == Signal::TERM {
        let _ = kill_process(pid, Signal::CONT);
    }
}

fn parse_pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_is_found_both_ways_with_its_environment() {
        let mut child = Command::new("/bin/cat").env("MARK", "a=b").stdin(Stdio::piped()).spawn().unwrap();
        let own = rustix::process::getpid();
        let pid = Pid::from_child(&child);
        assert!(children(own).contains(&pid));
        assert!(children_by_parent(own).contains(&pid));
        assert!(with_descendants([own]).contains(&pid));
        let all = Tree { families: Some(families()) };
        assert!(all.with_descendants([own]).contains(&pid));
        assert_eq!(environment_value(pid, "MARK"), Some(b"a=b".to_vec()));
        assert_eq!(environment_value(pid, "MAR"), None);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!children(own).contains(&pid));
    }
}
