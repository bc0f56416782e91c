//! kill -9 in a loop while eight threads write: what was acknowledged is there, and nothing is there by half.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{open, rounds};
use crate::common::{AT_ONCE, seconds};
use unidist::{AcquireOptions, AddOptions, Error, Failure, QueueOptions, Stop, Unidist};

const FOLDER: &str = "UNIDIST_TEST_FILE_FOLDER";
const THREADS: u64 = 8;

/// Tells the parent what was acknowledged: one line, one system call.
fn tell(kind: &str, thread: u64, number: u64) -> Result<(), Error> {
    let line = format!("{kind} {thread} {number}\n");
    // Only when the parent is gone does nobody read.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
    Ok(())
}

/// One thread of the child: everything it does is told when it is acknowledged.
fn write_for_ever(shared: &Unidist, thread: u64) -> Result<(), Error> {
    let (stop, queue, log) = (Stop::new(), format!("q{thread}"), format!("l{thread}"));
    let queues = shared.messagequeue();
    queues.configure(&queue, QueueOptions { attempts_max: Some(1), ..QueueOptions::default() })?;
    for number in 0.. {
        let count = shared.sharedcounter().increment(&format!("c{thread}"), 1)?;
        tell("count", thread, count.cast_unsigned())?;
        shared.sharedcounter().increment("all", 1)?;
        let revision = shared.sharedstate().set(&format!("b{thread}"), &(number % 20).to_string(), json!(count))?;
        tell("revision", thread, revision)?;
        let guard = shared.sharedlock().acquire(&format!("lock {thread}"), &AcquireOptions::default(), &stop)?;
        tell("fence", thread, guard.fence())?;
        queues.add(&queue, json!(number), &AddOptions::default(), &stop)?;
        tell("added", thread, number)?;
        let Some(claim) = queues.claim(&queue, seconds(3_600), AT_ONCE, &stop)? else { continue };
        if number % 3 == 0 {
            queues.fail(&queue, &claim.id.to_string(), None, Failure { reason: "r", delay: Duration::ZERO })?;
        } else {
            queues.ack(&queue, &claim.id.to_string(), None)?;
        }
        tell("settled", thread, number)?;
        let offset = shared.sharedlog().append(&log, json!(number))?;
        tell("appended", thread, offset)?;
    }
    Ok(())
}

/// No rule of its own: the process that is killed.
#[test]
fn child_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    println!();
    let shared = open(Path::new(&folder));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let shared = &shared;
            scope.spawn(move || write_for_ever(shared, thread).unwrap());
        }
    });
}

/// The newest acknowledged number of each kind and thread.
type Told = BTreeMap<(String, u64), u64>;

/// Starts a child, kills it after `lines` acknowledgements, and returns all that it told.
fn killed_after(folder: &Path, lines: usize) -> std::io::Result<Told> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "file::kill::child_writes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut told = Told::new();
    let output = child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines);
    for (index, line) in output.map_while(Result::ok).filter(|line| line.split(' ').count() == 3).enumerate() {
        if index == lines {
            child.kill()?;
        }
        let mut words = line.split(' ');
        let (Some(kind), Some(thread), Some(number)) = (words.next(), words.next(), words.next()) else { continue };
        if let (Ok(thread), Ok(number)) = (thread.parse(), number.parse()) {
            told.insert((kind.to_owned(), thread), number);
        }
    }
    child.wait()?;
    Ok(told)
}

/// What a thread had written when its child of the round before was killed.
#[derive(Clone, Copy, Default)]
struct Before {
    count: u64,
    entries: u64,
}

/// What the store must hold of one thread; one change may have been made that was not told any more.
fn check_thread(shared: &Unidist, told: &Told, thread: u64, before: &mut Before) -> Result<(), Error> {
    let of = |kind: &str| told.get(&(kind.to_owned(), thread)).copied();
    let count = shared.sharedcounter().get(&format!("c{thread}"))?.cast_unsigned();
    let told_count = of("count").unwrap_or(0).max(before.count);
    assert!((told_count..=told_count + 1).contains(&count), "count {count}, told {told_count}");
    let newest = shared.sharedstate().bucket(&format!("b{thread}"))?;
    let revision = newest.entries.values().map(|entry| entry.revision).max().unwrap_or(0);
    assert!(revision >= of("revision").unwrap_or(0));

    let queue = format!("q{thread}");
    let open = shared.messagequeue().status(&queue)?.unwrap_or_default().count();
    let dead: Vec<Value> =
        shared.messagequeue().all(&format!("{queue}.dead"), usize::MAX)?.into_iter().map(|m| m.message).collect();
    let dead_numbers: Vec<u64> = dead.iter().filter_map(|letter| letter["message"].as_u64()).collect();
    let settled = of("settled").map_or(0, |number| number + 1);
    let expected: Vec<u64> = (0..settled).filter(|number| number % 3 == 0).collect();
    assert_eq!(dead_numbers.get(..expected.len()), Some(expected.as_slice()), "dead letters of {queue}");
    let added = of("added").map_or(0, |number| number + 1);
    let extra = dead_numbers.len() - expected.len();
    assert!(open + extra <= 1, "{queue}: {open} open and {extra} dead beyond what was told");
    if added > settled && settled % 3 == 0 {
        assert_eq!(open + extra, 1, "{queue}: message {settled} was added and is neither open nor dead");
    }

    let entries = shared.sharedlog().read(&format!("l{thread}"), 0, usize::MAX)?.entries;
    let offsets: Vec<u64> = entries.iter().map(|entry| entry.offset).collect();
    assert!(offsets.iter().copied().eq(0..offsets.len() as u64), "the log has gaps: {offsets:?}");
    let told_entries = of("appended").map_or(0, |offset| offset + 1).max(before.entries);
    let next = shared.sharedlog().status(&format!("l{thread}"))?.map_or(0, |status| status.next);
    assert!((told_entries..=told_entries + 1).contains(&next), "log at {next}, told {told_entries}");
    *before = Before { count, entries: next };
    Ok(())
}

#[test]
fn soak_every_acknowledged_change_survives_kill_9() {
    let folder = tempdir().unwrap();
    let (mut fence, mut revision) = (0, 0);
    let mut before = [Before::default(); THREADS as usize];
    for round in 0..rounds(50) {
        let told = killed_after(folder.path(), 1 + round * 37 % 900).unwrap();
        let shared = open(folder.path());
        for thread in 0..THREADS {
            check_thread(&shared, &told, thread, &mut before[thread as usize]).unwrap();
        }
        let highest =
            |kind: &str| told.iter().filter(|((of, _), _)| of == kind).map(|(_, number)| *number).max().unwrap_or(0);
        let guard = shared.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()).unwrap();
        assert!(guard.fence() > fence.max(highest("fence")));
        let set = shared.sharedstate().set("parent", "k", json!(round)).unwrap();
        assert!(set > revision.max(highest("revision")));
        (fence, revision) = (guard.fence(), set);
        let all = shared.sharedcounter().get("all").unwrap();
        let counted: i64 = (0..THREADS).map(|thread| shared.sharedcounter().get(&format!("c{thread}")).unwrap()).sum();
        // Each killed thread may have been between the two counters.
        assert!(counted >= all && counted <= all + (THREADS * (round as u64 + 1)).cast_signed());
        for thread in 0..THREADS {
            shared.messagequeue().delete(&format!("q{thread}")).unwrap();
            shared.messagequeue().delete(&format!("q{thread}.dead")).unwrap();
        }
    }
    assert!(unidist::file::check(folder.path()).unwrap().is_whole());
}
