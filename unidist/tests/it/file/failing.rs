//! A disk that refuses: a clear error, everything taken back, reads go on, later changes work.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::{TempDir, tempdir};

use super::{open, url};
use crate::common::{AT_ONCE, seconds, until};
use unidist::{AcquireOptions, AddOptions, Change, SetOptions, Stop, Unidist, WatchFilter};

/// Far longer than the disk stays full in a test.
const TAKE_MAX: Duration = Duration::from_secs(30);

/// A file system of its own that can be filled; unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where this user may not mount: only root may.
    fn new(bytes: usize) -> Option<Self> {
        let folder = tempdir().ok()?;
        let options = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).status();
        mounted.is_ok_and(|status| status.success()).then_some(SmallDisk(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let Ok(mut file) = std::fs::File::options().create(true).append(true).open(self.ballast()) else { return };
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// A store on a disk of its own without any space left. Its log is empty: on a full disk it is all that can be given back,
/// so that small changes go on where it is large.
fn store_on_full_disk() -> Option<(SmallDisk, PathBuf, Unidist)> {
    let disk = SmallDisk::new(8 << 20)?;
    let folder = disk.path().join("store");
    let shared = open(&folder);
    let state = shared.sharedstate();
    let set = |key: &str| state.set("b", key, json!("before")).is_ok();
    assert!(set("k") && set("removed"));
    assert!(shared.sharedcounter().set("c", 7).is_ok());
    assert!(shared.sharedlog().append("l", json!("before")).is_ok());
    let add = |message: &str| shared.messagequeue().add("q", json!(message), &AddOptions::default(), &Stop::new());
    assert!(add("before").is_ok());
    drop(shared);
    let shared = open_on_full_disk(&disk, &folder);
    Some((disk, folder, shared))
}

fn open_on_full_disk(disk: &SmallDisk, folder: &Path) -> Unidist {
    for _ in 0..100 {
        let shared = open(folder);
        disk.fill();
        if shared.sharedcounter().increment("filler", 1).is_err() {
            return shared;
        }
        // A child of another test that is between fork and exec still had the removed log open, and gave its space back.
        disk.free();
    }
    panic!("the disk is never full");
}

#[test]
fn on_a_full_disk_changes_are_refused_reads_go_on_and_changes_work_when_there_is_space() {
    let Some((disk, folder, shared)) = store_on_full_disk() else { return };
    let (state, queues, stop) = (shared.sharedstate(), shared.messagequeue(), Stop::new());
    let large = || json!("x".repeat(100_000));
    let error = state.set("b", "k", large()).unwrap_err();
    assert_eq!(error.code(), "not_written");
    assert!(error.to_string().ends_with("the disk is full: free some space and try again"), "{error}");
    assert!(state.set("b", "new", large()).is_err());
    assert!(shared.sharedlog().append("l", large()).is_err());
    assert!(queues.add("q", large(), &AddOptions::default(), &stop).is_err());
    assert!(queues.add("new", large(), &AddOptions::default(), &stop).is_err());
    assert_eq!(state.get("b", "k").unwrap(), Some(json!("before")));
    assert!(!state.exists("b", "new").unwrap());
    assert_eq!(shared.sharedlog().read("l", 0, 10).unwrap().entries.len(), 1);
    assert_eq!(queues.count("q").unwrap(), Some(1));
    assert_eq!(queues.count("new").unwrap().unwrap_or(0), 0);
    assert_eq!(shared.sharedcounter().get("c").unwrap(), 7);

    disk.free();
    assert_eq!(shared.sharedcounter().increment("c", 1).unwrap(), 8);
    state.set("b", "k", large()).unwrap();
    let offset = shared.sharedlog().append("l", json!("after")).unwrap();
    let message = queues.take("q", AT_ONCE, &stop).unwrap().unwrap();
    assert_eq!(message.message, json!("before"));
    drop(shared);
    let shared = open(&folder);
    assert_eq!(shared.sharedstate().get("b", "k").unwrap(), Some(large()));
    assert_eq!(shared.sharedcounter().get("c").unwrap(), 8);
    let page = shared.sharedlog().read("l", 0, 10).unwrap();
    let entries: Vec<_> = page.entries.iter().map(|entry| (entry.offset, (*entry.value).clone())).collect();
    assert_eq!(entries, [(0, json!("before")), (offset, json!("after"))]);
    assert_eq!(shared.messagequeue().count("q").unwrap(), Some(0));
}

#[test]
fn a_store_of_a_part_of_the_disk_is_never_kept_from_writing_by_its_own_log() {
    let Some(disk) = SmallDisk::new(8 << 20) else { return };
    let shared = open(&disk.path().join("store"));
    for round in 0..40 {
        for key in 0..25 {
            let value = json!(format!("{round}{}", "x".repeat(100_000)));
            shared.sharedstate().set("b", &key.to_string(), value).unwrap();
        }
    }
}

#[test]
fn watchers_are_told_of_values_that_go_back() {
    let Some((_disk, _, shared)) = store_on_full_disk() else { return };
    let state = shared.sharedstate();
    let watcher = state.watch(WatchFilter::default(), None).unwrap();
    assert!(state.set("b", "k", json!("x".repeat(100_000))).is_err());
    let next = || watcher.next(AT_ONCE, &Stop::new()).unwrap().map(|event| event.change);
    assert!(matches!(next(), Some(Change::Set(value)) if value.is_string()));
    let Some(Change::Set(value)) = next() else { panic!("the value that came back was not told") };
    assert_eq!(*value, json!("before"));
    assert_eq!(next(), None);
}

#[test]
fn a_consumer_that_waits_gets_no_message_that_was_refused() {
    let Some((disk, folder, shared)) = store_on_full_disk() else { return };
    let stop = Stop::new();
    disk.free();
    shared.messagequeue().take("q", AT_ONCE, &stop).unwrap();
    drop(shared);
    let shared = open_on_full_disk(&disk, &folder);
    let queues = shared.messagequeue();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| queues.take("q", Some(seconds(60)), &Stop::new()));
        until(|| queues.status("q").unwrap().unwrap().consumers_waiting == 1);
        assert!(queues.add("q", json!("x".repeat(100_000)), &AddOptions::default(), &stop).is_err());
        assert_eq!(waiting.join().unwrap().unwrap_err().code(), "not_written");
    });
    assert_eq!(queues.count("q").unwrap(), Some(0));
}

#[test]
fn a_message_taken_on_a_full_disk_stays_in_its_queue() {
    let Some((disk, _, shared)) = store_on_full_disk() else { return };
    let (queues, stop) = (shared.messagequeue(), Stop::new());
    assert_eq!(queues.take("q", AT_ONCE, &stop).unwrap_err().code(), "not_written");
    assert_eq!(queues.all("q", 10).unwrap()[0].message, json!("before"));
    disk.free();
    assert_eq!(queues.take("q", AT_ONCE, &stop).unwrap().unwrap().message, json!("before"));
}

#[test]
fn a_full_disk_never_gives_a_fencing_number_twice_and_lets_locks_be_taken() {
    let Some((_disk, _, shared)) = store_on_full_disk() else { return };
    let acquire = || {
        shared.sharedlock().acquire("l", &AcquireOptions { wait: AT_ONCE, ..AcquireOptions::default() }, &Stop::new())
    };
    // The numbers of this run could not be reserved: no lock is given rather than one with a doubtful number.
    match acquire() {
        Ok(guard) => assert!(guard.fence() > 0),
        Err(error) => assert_eq!(error.code(), "not_written"),
    }
}

#[test]
fn what_expires_on_a_full_disk_is_gone_and_costs_no_time() {
    let Some((disk, folder, shared)) = store_on_full_disk() else { return };
    disk.free();
    let options = SetOptions { time_to_live: Some(std::time::Duration::from_millis(1)) };
    shared.sharedstate().set_with("b", "short", json!("x".repeat(200_000)), &options).unwrap();
    disk.fill();
    until(|| !shared.sharedstate().exists("b", "short").unwrap());
    disk.free();
    drop(shared);
    assert!(!open(&folder).sharedstate().exists("b", "short").unwrap());
}

#[test]
fn under_sync_interval_a_full_disk_refuses_new_changes_and_keeps_the_acknowledged_ones() {
    let Some(disk) = SmallDisk::new(8 << 20) else { return };
    let folder = disk.path().join("store");
    let shared = Unidist::open(&format!("{}?sync=interval", url(&folder))).unwrap();
    disk.fill();
    let last = AtomicU64::new(0);
    until(|| match shared.sharedstate().set("b", "k", json!(vec![last.load(Ordering::SeqCst); 40_000])) {
        Ok(_) => {
            last.fetch_add(1, Ordering::SeqCst);
            false
        }
        Err(error) => error.code() == "not_written",
    });
    let acknowledged = last.load(Ordering::SeqCst) - 1;
    assert_eq!(shared.sharedstate().get("b", "k").unwrap().unwrap()[0], json!(acknowledged));
    disk.free();
    until(|| shared.sharedcounter().increment("c", 1).is_ok());
    drop(shared);
    let shared = open(&folder);
    assert_eq!(shared.sharedstate().get("b", "k").unwrap().unwrap()[0], json!(acknowledged));
    assert_eq!(shared.sharedcounter().get("c").unwrap(), 1);
}

#[test]
fn exactly_the_acknowledged_changes_count_while_the_disk_is_filled_and_freed() {
    let Some(disk) = SmallDisk::new(8 << 20) else { return };
    let folder = disk.path().join("store");
    let shared = open(&folder);
    let (acknowledged, refused, is_over) = (AtomicI64::new(0), AtomicI64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _end = End(&is_over);
        for thread in 0..8_i64 {
            let (shared, acknowledged, refused, is_over) = (&shared, &acknowledged, &refused, &is_over);
            scope.spawn(move || {
                let stop = Stop::new();
                for number in 0_i64.. {
                    let value = json!("x".repeat(3_000));
                    let key = format!("{thread} {}", number % 50);
                    let changes = [
                        shared.sharedcounter().increment("one", 1).is_ok(),
                        shared.sharedstate().set("b", &key, value.clone()).is_ok(),
                        shared.messagequeue().add("q", value, &AddOptions::default(), &stop).is_ok(),
                    ];
                    acknowledged.fetch_add(i64::from(changes[0]), Ordering::SeqCst);
                    refused.fetch_add(changes.iter().filter(|is_ok| !**is_ok).count() as i64, Ordering::SeqCst);
                    if changes[2] {
                        // What was added can be taken, once the disk lets it be removed.
                        let since = Instant::now();
                        while let Err(error) = shared.messagequeue().take("q", AT_ONCE, &stop).map(Option::unwrap) {
                            assert_eq!(error.code(), "not_written");
                            assert!(since.elapsed() < TAKE_MAX, "{error}");
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        for _ in 0..5 {
            let before = refused.load(Ordering::SeqCst);
            // Again and again: the store gives back what its log takes when it meets a full disk.
            until(|| {
                disk.fill();
                refused.load(Ordering::SeqCst) > before + 20
            });
            let before = acknowledged.load(Ordering::SeqCst);
            disk.free();
            until(|| acknowledged.load(Ordering::SeqCst) > before + 20);
        }
    });
    assert_eq!(shared.sharedcounter().get("one").unwrap(), acknowledged.load(Ordering::SeqCst));
    assert_eq!(shared.messagequeue().count("q").unwrap(), Some(0));
    drop(shared);
    let shared = open(&folder);
    assert_eq!(shared.sharedcounter().get("one").unwrap(), acknowledged.load(Ordering::SeqCst));
    assert_eq!(shared.messagequeue().count("q").unwrap(), Some(0));
}

/// Ends the threads, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
