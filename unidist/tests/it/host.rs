//! Locks between processes, under `memory:`.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{AT_ONCE, until};
use unidist::{AcquireOptions, HostLocks, Owner, Stop, Unidist};

const FOLDER: &str = "UNIDIST_TEST_FOLDER";
const NAME: &str = "deploy/../$(id) ü";

fn open(folder: &Path) -> Unidist {
    let builder = Unidist::builder().host_locks(HostLocks::Folder(folder.to_owned()));
    builder.open("memory:").unwrap_or_else(|error| panic!("{error}"))
}

fn once() -> AcquireOptions {
    AcquireOptions { wait: AT_ONCE, ..AcquireOptions::default() }
}

/// Lock files, without the numbers file.
fn lock_files(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter(|file| file.file_name() != ".fence").count()
}

/// No rule of its own: the process that other tests start, which holds a lock until it is killed.
#[test]
fn child_holds_the_lock() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let shared = open(Path::new(&folder));
    let owner = Owner::named("child").unwrap();
    shared.sharedlock().acquire_as(NAME, &owner, &AcquireOptions::default(), &Stop::new()).unwrap();
    println!("\nheld");
    Stop::new().wait(Duration::from_secs(600));
}

fn start_child(folder: &Path) -> std::io::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "host::child_holds_the_lock", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines);
    let is_held = lines.by_ref().map_while(Result::ok).any(|line| line == "held");
    assert!(is_held, "the child did not get the lock");
    Ok(child)
}

#[test]
fn another_process_holds_the_lock_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_child(folder.path()).unwrap();
    let shared = open(folder.path());
    let error = shared.sharedlock().acquire(NAME, &once(), &Stop::new()).unwrap_err();
    assert_eq!(error.code(), "busy");
    assert!(error.to_string().contains(&format!("child (process {})", child.id())), "{error}");
    let all = shared.sharedlock().find_all_locked().unwrap();
    assert_eq!((all.len(), all[0].name.as_str(), all[0].process), (1, NAME, child.id()));
    assert!(shared.sharedlock().is_locked(NAME).unwrap());
    let error = shared.sharedlock().force_release(NAME).unwrap_err();
    assert!(error.to_string().contains("ending process"), "{error}");
    let error = shared.sharedlock().release(NAME, &Owner::named("me").unwrap()).unwrap_err();
    assert_eq!(error.code(), "not_holder");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_lock_of_a_killed_process_goes_to_who_waits_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_child(folder.path()).unwrap();
    let shared = open(folder.path());
    let first = shared.sharedlock().holder(NAME).unwrap().unwrap().fence;
    let other = shared.clone();
    let waiter = std::thread::spawn(move || other.sharedlock().acquire(NAME, &AcquireOptions::default(), &Stop::new()));
    until(|| shared.sharedlock().waiting(NAME).unwrap() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    let guard = waiter.join().unwrap().unwrap();
    assert!(killed.elapsed() < Duration::from_secs(5));
    assert!(guard.fence() > first);
}

#[test]
fn the_file_that_a_killed_process_leaves_is_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_child(folder.path()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let shared = open(folder.path());
    assert_eq!(lock_files(folder.path()), 1);
    assert!(!shared.sharedlock().is_locked(NAME).unwrap());
    assert!(shared.sharedlock().find_all_locked().unwrap().is_empty());
    drop(shared.sharedlock().acquire(NAME, &once(), &Stop::new()).unwrap());
    assert_eq!(lock_files(folder.path()), 0);
}

#[test]
fn two_stores_on_one_folder_exclude_each_other_and_fences_rise_over_both() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    let stop = Stop::new();
    let mut last = 0;
    for round in 0..50 {
        let (holder, other) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let guard = holder.sharedlock().acquire("l", &once(), &stop).unwrap();
        assert!(guard.fence() > last);
        last = guard.fence();
        assert_eq!(other.sharedlock().acquire("l", &once(), &stop).unwrap_err().code(), "busy");
    }
}

#[test]
fn a_private_lock_belongs_to_its_store_and_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    let _first = one.sharedlock().acquire("__running", &once(), &Stop::new()).unwrap();
    let _second = two.sharedlock().acquire("__running", &once(), &Stop::new()).unwrap();
    assert_eq!(lock_files(folder.path()), 0);
}

#[test]
fn a_semaphore_counts_its_holders_over_all_stores() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    let (stop, options) = (Stop::new(), AcquireOptions { permits: 3, ..once() });
    let _first = one.sharedlock().acquire("s", &options, &stop).unwrap();
    let second = two.sharedlock().acquire("s", &options, &stop).unwrap();
    let _third = one.sharedlock().acquire("s", &options, &stop).unwrap();
    assert_eq!(one.sharedlock().acquire("s", &options, &stop).unwrap_err().code(), "busy");
    assert_eq!(two.sharedlock().holders("s").unwrap().len(), 3);
    drop(second);
    let _fourth = one.sharedlock().acquire("s", &options, &stop).unwrap();
    assert_eq!(two.sharedlock().acquire("s", &options, &stop).unwrap_err().code(), "busy");
}

#[test]
fn threads_of_two_stores_are_never_inside_together() {
    let folder = tempfile::tempdir().unwrap();
    let stores = [open(folder.path()), open(folder.path())];
    let is_inside = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (shared, is_inside) = (&stores[thread % 2], &is_inside);
            scope.spawn(move || {
                for _ in 0..20 {
                    let options = AcquireOptions::default();
                    let guard = shared.sharedlock().acquire("l", &options, &Stop::new()).unwrap();
                    assert!(!is_inside.swap(true, Ordering::SeqCst));
                    is_inside.store(false, Ordering::SeqCst);
                    drop(guard);
                }
            });
        }
    });
    assert_eq!(lock_files(folder.path()), 0);
}

#[test]
fn a_lease_that_ends_frees_the_lock_for_the_other_store() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()), open(folder.path()));
    let leased = AcquireOptions { lease: Some(Duration::from_millis(30)), ..once() };
    let first = one.sharedlock().acquire("l", &leased, &Stop::new()).unwrap();
    let second = two.sharedlock().acquire("l", &AcquireOptions::default(), &Stop::new()).unwrap();
    assert!(!first.is_held());
    assert!(first.release().is_err());
    assert!(second.is_held());
}

#[test]
fn a_folder_that_others_can_write_to_or_that_is_no_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open_to_all = folder.path().join("open");
    std::fs::create_dir(&open_to_all).unwrap();
    std::fs::set_permissions(&open_to_all, std::fs::Permissions::from_mode(0o777)).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [open_to_all.join("locks"), open_to_all, file] {
        let error = open(&path).sharedlock().acquire("l", &once(), &Stop::new()).unwrap_err();
        assert_eq!(error.code(), "host_lock", "{}", path.display());
        assert!(error.to_string().contains("XDG_RUNTIME_DIR"), "{error}");
    }
}

#[test]
fn a_folder_that_vanishes_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("locks");
    let shared = open(&path);
    drop(shared.sharedlock().acquire("l", &once(), &Stop::new()).unwrap());
    std::fs::remove_dir_all(&path).unwrap();
    let guard = shared.sharedlock().acquire("l", &once(), &Stop::new()).unwrap();
    assert!(guard.is_held());
}

#[test]
fn a_damaged_numbers_file_is_named_instead_of_counted_from_0() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".fence"), "oops").unwrap();
    let error = open(folder.path()).sharedlock().acquire("l", &once(), &Stop::new()).unwrap_err();
    assert!(error.to_string().contains(".fence"), "{error}");
    assert!(error.to_string().contains("damaged"), "{error}");
}
