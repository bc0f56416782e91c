//! Every write, sync and truncation of a run fails once, by strace: the run goes on, and what it acknowledged is there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::tempdir;

use super::{open, rounds, try_open};
use crate::common::{AT_ONCE, seconds};
use unidist::{AddOptions, Error, Failure, Stop, Unidist};

const FOLDER: &str = "UNIDIST_TEST_INJECTED_FOLDER";
/// A run makes fewer calls of each kind than this.
const CALLS_MAX: usize = 400;

/// What a run did, as far as it was acknowledged, and what the memory shows: both must be the same.
#[derive(Default)]
struct Run {
    expected: BTreeMap<String, String>,
    refused: usize,
}

impl Run {
    fn note<T>(&mut self, name: &str, result: Result<T, Error>, value: impl ToString) -> Option<T> {
        match result {
            Ok(done) => {
                self.expected.insert(name.to_owned(), value.to_string());
                Some(done)
            }
            Err(error) => {
                assert!(["not_written", "store"].contains(&error.code()), "{error}");
                self.refused += 1;
                None
            }
        }
    }
}

fn shown(shared: &Unidist) -> Result<BTreeMap<String, String>, Error> {
    let mut all = BTreeMap::new();
    for (name, value) in shared.sharedcounter().all()? {
        all.insert(name, value.to_string());
    }
    for (key, entry) in shared.sharedstate().bucket("b")?.entries {
        all.insert(key, entry.value.to_string());
    }
    if let Some(status) = shared.messagequeue().status("q")?.filter(|status| status.added > 0) {
        all.insert("added".to_owned(), status.added.to_string());
        all.insert("open".to_owned(), status.count().to_string());
    }
    let dead = shared.messagequeue().count("q.dead")?.unwrap_or(0);
    if dead > 0 {
        all.insert("dead".to_owned(), dead.to_string());
    }
    let entries = shared.sharedlog().read("l", 0, 100)?.entries;
    if !entries.is_empty() {
        all.insert("log".to_owned(), entries.len().to_string());
    }
    Ok(all)
}

fn work(shared: &Unidist) -> Result<Run, Error> {
    let (stop, queues, mut run) = (Stop::new(), shared.messagequeue(), Run::default());
    let options = unidist::QueueOptions { attempts_max: Some(1), ..unidist::QueueOptions::default() };
    if let Err(error) = queues.configure("q", options.clone()) {
        assert_eq!(error.code(), "not_written");
        queues.configure("q", options)?;
        run.refused += 1;
    }
    let (mut added, mut open, mut dead, mut log) = (0_u64, 0_u64, 0_u64, 0_u64);
    for number in 0..6_u64 {
        let count = run.expected.get("c").and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        run.note("c", shared.sharedcounter().increment("c", 1), count + 1);
        let value = json!(format!("{number}").repeat(3_000));
        run.note(
            &format!("k{}", number % 3),
            shared.sharedstate().set("b", &format!("k{}", number % 3), value.clone()),
            value,
        );
        if run.note("added", queues.add("q", json!(number), &AddOptions::default(), &stop), added + 1).is_some() {
            (added, open) = (added + 1, open + 1);
            run.expected.insert("open".to_owned(), open.to_string());
        }
        if let Ok(Some(claim)) = queues.claim("q", seconds(3_600), AT_ONCE, &stop) {
            let failure = Failure { reason: "r", delay: seconds(0) };
            if run.note("dead", queues.fail("q", &claim.id.to_string(), None, failure), dead + 1).is_some() {
                (dead, open) = (dead + 1, open - 1);
                run.expected.insert("open".to_owned(), open.to_string());
            }
        }
        if run.note("log", shared.sharedlog().append("l", json!(number)), log + 1).is_some() {
            log += 1;
        }
        assert_eq!(shown(shared)?, run.expected, "after round {number}");
    }
    Ok(run)
}

/// No rule of its own: the process in which calls fail. What it acknowledged stands in a file beside the store.
#[test]
fn child_works_while_a_call_fails() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let Ok(shared) = try_open(&folder.join("store")) else { return };
    let run = work(&shared).unwrap();
    drop(shared);
    std::fs::write(folder.join("acknowledged"), json!(run.expected).to_string()).unwrap();
}

/// Runs the child with the `number`th of these calls failing; whether there was one.
fn fails(folder: &Path, call: &str, number: usize) -> std::io::Result<bool> {
    let trace = folder.join("trace");
    let status = Command::new("strace")
        .args(["-f", "--seccomp-bpf", "-e", &format!("trace={call}"), "-e"])
        .arg(format!("inject={call}:error={}:when={number}", if call.starts_with('p') { "ENOSPC" } else { "EIO" }))
        .arg("-o")
        .arg(&trace)
        .arg(std::env::current_exe()?)
        .args(["--exact", "file::injected::child_works_while_a_call_fails", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    assert!(status.status.success(), "{call} {number}: {}", String::from_utf8_lossy(&status.stderr));
    Ok(std::fs::read_to_string(trace)?.contains("(INJECTED)"))
}

#[test]
fn soak_no_failing_call_loses_an_acknowledged_change_or_ends_the_run() {
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return;
    }
    // Every call when there is time; else every fifth, beginning with the first.
    let step = if rounds(0) > 0 { 1 } else { 5 };
    for call in ["pwrite64", "fdatasync", "fsync", "ftruncate"] {
        let mut met = 0;
        for number in (1..CALLS_MAX).step_by(step) {
            let folder = tempdir().unwrap();
            if !fails(folder.path(), call, number).unwrap() {
                break;
            }
            met += 1;
            let Ok(text) = std::fs::read_to_string(folder.path().join("acknowledged")) else { continue };
            let acknowledged: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
            assert_eq!(shown(&open(&folder.path().join("store"))).unwrap(), acknowledged, "{call} {number}");
        }
        println!("{call}: {met} failures");
    }
}
