//! The folder: who has it, what is refused, copies of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tempfile::tempdir;

use super::{open, try_open, url};
use unidist::{Limits, Unidist, file};

#[test]
fn a_store_that_is_open_is_not_checked_and_its_process_is_named() {
    let folder = tempdir().unwrap();
    let first = open(folder.path());
    let error = file::check(folder.path()).unwrap_err();
    assert_eq!(error.code(), "owned");
    assert!(error.to_string().ends_with("is open in this process: pass the open store along instead"), "{error}");
    drop(first);
    assert!(file::check(folder.path()).unwrap().is_whole());
}

#[test]
fn the_folder_and_its_files_are_for_their_user_alone() {
    let parent = tempdir().unwrap();
    let folder = parent.path().join("new/store");
    let shared = open(&folder);
    shared.sharedcounter().increment("c", 1).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.clone()), 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
}

#[test]
fn a_closed_store_leaves_no_write_ahead_log() {
    let folder = tempdir().unwrap();
    open(folder.path()).sharedcounter().increment("c", 1).unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["format", "lock", "store.sqlite"]);
}

#[test]
fn a_lost_store_file_is_not_taken_for_a_new_store() {
    let folder = tempdir().unwrap();
    open(folder.path()).sharedcounter().increment("c", 1).unwrap();
    let store = folder.path().join("store.sqlite");
    for lose in [|path: &std::path::Path| fs::write(path, ""), |path: &std::path::Path| fs::remove_file(path)] {
        lose(&store).unwrap();
        assert_eq!(try_open(folder.path()).map(drop).unwrap_err().code(), "damaged");
    }
}

#[test]
fn what_is_no_folder_or_no_store_is_refused() {
    let folder = tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "text").unwrap();
    assert_eq!(try_open(&plain).map(drop).unwrap_err().code(), "store");
    assert_eq!(file::check(&folder.path().join("none")).unwrap_err().code(), "store");
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("store.sqlite"), "no database, but longer than a hundred bytes. ".repeat(9)).unwrap();
    assert_eq!(try_open(&other).map(drop).unwrap_err().code(), "damaged");
}

#[test]
fn a_backup_of_a_store_in_use_is_a_store_of_one_moment() {
    let folder = tempdir().unwrap();
    let (source, target) = (folder.path().join("source"), folder.path().join("target"));
    let shared = open(&source);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (shared, is_done) = (&shared, &is_done);
            scope.spawn(move || {
                for number in 0.. {
                    shared.sharedcounter().increment("all", 1).unwrap();
                    shared.sharedlog().append(&thread.to_string(), json!(number)).unwrap();
                    if is_done.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        shared.backup(&target).unwrap();
        is_done.store(true, Ordering::SeqCst);
    });
    let copy = open(&target);
    let entries: u64 = (0..4).map(|log| copy.sharedlog().status(&log.to_string()).unwrap().map_or(0, |s| s.next)).sum();
    let counted = u64::try_from(copy.sharedcounter().get("all").unwrap()).unwrap();
    assert!((entries..=entries + 4).contains(&counted), "{entries} entries, counted {counted}");
    assert_eq!(shared.backup(&target).unwrap_err().code(), "owned");
    drop(copy);
    assert!(shared.backup(&target).unwrap_err().to_string().contains("name an empty or a new folder"));
}

#[test]
fn a_restored_store_is_the_one_that_was_copied() {
    let folder = tempdir().unwrap();
    let (source, target) = (folder.path().join("source"), folder.path().join("target"));
    open(&source).sharedstate().set("b", "k", json!("v")).unwrap();
    file::restore(&source, &target).unwrap();
    assert_eq!(open(&target).sharedstate().get("b", "k").unwrap(), Some(json!("v")));
    assert_eq!(file::check(&source).unwrap(), file::Report { folder: source, rows: 1, ..file::Report::default() });
}

#[test]
fn memory_has_nothing_to_back_up() {
    let folder = tempdir().unwrap();
    let error = Unidist::open("memory:").unwrap().backup(&folder.path().join("x")).unwrap_err();
    assert!(error.to_string().contains("open file:FOLDER instead"), "{error}");
}

#[test]
fn a_store_at_its_size_limit_refuses_changes_and_takes_them_when_something_was_removed() {
    let folder = tempdir().unwrap();
    let limits = Limits { file_bytes_max: 1 << 20, ..Limits::default() };
    let shared = Unidist::builder().limits(limits).open(&url(folder.path())).unwrap();
    let value = json!("x".repeat(100_000));
    let state = shared.sharedstate();
    let error = (0..20).find_map(|key| state.set("b", &key.to_string(), value.clone()).err()).unwrap();
    assert_eq!(error.code(), "not_written");
    assert!(error.to_string().contains("has reached its size limit"), "{error}");
    let keys = state.keys("b").unwrap();
    assert_eq!(state.get("b", &keys[0]).unwrap(), Some(value.clone()));
    state.remove("b", &keys[0]).unwrap();
    state.set("b", "new", value).unwrap();
    assert_eq!(state.keys("b").unwrap().len(), keys.len());
}
