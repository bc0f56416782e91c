//! Processes that share a store while its owner is killed, again and again: what was acknowledged is there, once.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tempfile::tempdir;

use super::open;
use crate::common::{AT_ONCE, until};
use unidist::{AcquireOptions, AddOptions, Error, Stop, Unidist};

const FOLDER: &str = "UNIDIST_TEST_NODE_FOLDER";
const ROLE: &str = "UNIDIST_TEST_NODE_ROLE";

/// How many rounds a long test makes: `ROUNDS`, or its default.
fn rounds(default: usize) -> usize {
    std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// No rule of its own: the process that the tests start.
#[test]
fn child_does_what_it_is_told() {
    let (Some(folder), Ok(role)) = (std::env::var_os(FOLDER), std::env::var(ROLE)) else { return };
    let folder = Path::new(&folder);
    println!();
    match role.as_str() {
        "own" => own(folder),
        "count" => count(&through_the_socket(folder), false).unwrap(),
        "count or own" => count(&open(folder), true).unwrap(),
        "hold" => hold(folder).unwrap(),
        other => panic!("{other}"),
    }
}

fn tell(text: &str) {
    let _ = std::io::stdout().lock().write_all(format!("> {text}\n").as_bytes());
}

fn wait_for_the_end() {
    let _ = std::io::stdin().lines().next();
}

/// Has the store open until it is killed.
fn own(folder: &Path) {
    let _shared = open(folder);
    tell("open");
    wait_for_the_end();
}

/// Adds to a counter, sends messages and takes them, and says how often each was acknowledged: at its end, or each time.
fn count(shared: &Unidist, tells_each: bool) -> Result<(), Error> {
    let stop = Stop::new();
    tell("open");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for_the_end();
            is_over.store(true, Ordering::SeqCst);
        });
        let (mut increments, mut added, mut taken) = (0, 0, 0);
        while !is_over.load(Ordering::SeqCst) {
            shared.sharedcounter().increment("c", 1)?;
            increments += 1;
            if tells_each {
                tell(&increments.to_string());
                continue;
            }
            shared.messagequeue().add("q", json!(increments), &AddOptions::default(), &stop)?;
            added += 1;
            if increments % 2 == 0 && shared.messagequeue().take("q", AT_ONCE, &stop)?.is_some() {
                taken += 1;
            }
        }
        tell(&format!("done {increments} {added} {taken}"));
        Ok(())
    })
}

/// Takes a lock and holds it until it is killed.
fn hold(folder: &Path) -> Result<(), Error> {
    let shared = open(folder);
    let guard = shared.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new())?;
    tell(&format!("held {}", guard.fence()));
    wait_for_the_end();
    Ok(())
}

/// The store as one who never has it himself.
fn through_the_socket(folder: &Path) -> Unidist {
    let url = format!("node:unix:{}", folder.join("socket").display());
    Unidist::open(&url).unwrap_or_else(|error| panic!("{error}"))
}

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The last number that was read.
    last: i64,
}

impl Process {
    fn start(folder: &Path, role: &str) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "node::killed::child_does_what_it_is_told", "--nocapture"])
            .env(FOLDER, folder)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().map(BufReader::new).ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(Process { child, output, last: 0 })
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            match self.output.read_line(&mut line) {
                Ok(0) | Err(_) => panic!("the child ended"),
                Ok(_) => {}
            }
            if let Some(text) = line.trim().strip_prefix("> ") {
                self.last = text.parse().unwrap_or(self.last);
                return text.to_owned();
            }
        }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last number that a killed one told.
    fn last_number(&mut self) -> i64 {
        let lines = self.output.by_ref().lines().map_while(Result::ok);
        let numbers = lines.filter_map(|line| line.strip_prefix("> ")?.parse().ok());
        numbers.last().unwrap_or(self.last)
    }

    /// Asks it to end and returns what it says last.
    fn finish(mut self) -> String {
        drop(self.child.stdin.take());
        let mut said = self.next();
        while !said.starts_with("done") {
            said = self.next();
        }
        let _ = self.child.wait();
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The process that has the store, as its lock file says.
fn owner_of(folder: &Path) -> u32 {
    std::fs::read_to_string(folder.join("lock")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn soak_every_acknowledged_change_is_made_once_whichever_owner_is_killed() {
    let folder = tempdir().unwrap();
    let mut owner = Process::start(folder.path(), "own").unwrap();
    owner.next();
    let mut counting: Vec<Process> = (0..4).map(|_| Process::start(folder.path(), "count").unwrap()).collect();
    counting.iter_mut().for_each(|process| assert_eq!(process.next(), "open"));
    let watching = through_the_socket(folder.path());
    let value = |shared: &Unidist| shared.sharedcounter().get("c").unwrap();
    for round in 0..rounds(20) {
        let before = value(&watching);
        until(|| value(&watching) >= before + 1 + (round % 7) as i64 * 3);
        owner.kill();
        owner = Process::start(folder.path(), "own").unwrap();
        owner.next();
    }
    let (mut increments, mut left) = (0, 0);
    for process in counting {
        let said = process.finish();
        let numbers: Vec<i64> = said.split(' ').skip(1).map(|word| word.parse().unwrap()).collect();
        increments += numbers[0];
        left += numbers[1] - numbers[2];
    }
    assert_eq!(value(&watching), increments);
    assert_eq!(watching.messagequeue().count("q").unwrap(), Some(usize::try_from(left).unwrap()));
}

#[test]
fn soak_one_after_the_other_takes_over_and_nothing_is_lost_or_made_twice() {
    let folder = tempdir().unwrap();
    let (mut told, mut killed) = (0, 0);
    for _ in 0..rounds(20).div_ceil(10) {
        let mut all: Vec<Process> = (0..5).map(|_| Process::start(folder.path(), "count or own").unwrap()).collect();
        all.iter_mut().for_each(|process| assert_eq!(process.next(), "open"));
        while all.len() > 1 {
            let owner = || all.iter().position(|process| process.child.id() == owner_of(folder.path()));
            until(|| owner().is_some());
            let Some(index) = owner() else { continue };
            // Each of them gets something done at this owner.
            all.iter_mut().for_each(|process| (0..5).for_each(|_| drop(process.next())));
            let mut process = all.remove(index);
            process.kill();
            told += process.last_number();
            killed += 1;
        }
        for process in all {
            told += process.finish().split(' ').nth(1).and_then(|number| number.parse::<i64>().ok()).unwrap();
        }
    }
    let count = open(folder.path()).sharedcounter().get("c").unwrap();
    // One that was killed may have been about to tell.
    assert!((told..=told + killed).contains(&count), "{count}, told {told}, {killed} killed");
    assert!(unidist::file::check(folder.path()).unwrap().is_whole());
}

#[test]
fn a_lock_of_a_killed_process_is_free_at_once_and_that_of_a_living_one_survives_a_killed_owner() {
    let folder = tempdir().unwrap();
    let mut owner = Process::start(folder.path(), "own").unwrap();
    owner.next();
    let mut holder = Process::start(folder.path(), "hold").unwrap();
    let fence: u64 = holder.next().trim_start_matches("held ").parse().unwrap();
    let shared = open(folder.path());
    assert_eq!(shared.sharedlock().holder("l").unwrap().unwrap().process, holder.child.id());
    owner.kill();
    let found = shared.sharedlock().holder("l").unwrap().unwrap();
    assert_eq!((found.fence, found.process), (fence, holder.child.id()));
    let waiting = shared.clone();
    let waiter =
        std::thread::spawn(move || waiting.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()));
    until(|| shared.sharedlock().waiting("l").unwrap() == 1);
    holder.kill();
    assert!(waiter.join().unwrap().unwrap().fence() > fence);
}
