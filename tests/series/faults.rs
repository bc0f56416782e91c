//! What is left after kills, missing programs and full disks.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use procblock::series::{FLUSH_WINDOW, SeriesClient};
use unidist::timeseries::{Archive, Consolidation, SeriesSpec};

use super::{LONG, START, client, column, eventually, logged, spec, wait, watch_log};

/// Signals one process by system call. The `kill` program is not used: procps 4.0.2 takes `kill -9 -PID`, meant for
/// a group, as every process there is.
fn signal(process: u32, signal: Signal) {
    let process = i32::try_from(process).unwrap();
    assert!(process > 1, "{process} is no process of this test");
    // It may have been replaced meanwhile: then there is nothing to signal.
    let _ = nix::sys::signal::kill(Pid::from_raw(process), signal);
}

#[test]
fn a_helper_killed_at_random_loses_no_sample_and_moves_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |number: usize| folder.path().join(format!("{number}.rrd"));
    let client = client();
    let files = 5;
    // Many archives keep librrd busy, so that kills fall into its updates.
    let archives = |rows| (0..20).map(move |_| Archive::new(Consolidation::Max, 1, rows));
    let spec = |number| {
        let spec = spec(&path(number), &["a"]);
        SeriesSpec { archives: spec.archives.iter().cloned().chain(archives(100)).collect(), ..spec }
    };
    let series: Vec<_> = (0..files).map(|number| client.declare(spec(number)).unwrap()).collect();
    let mut round = 0;
    while client.totals().restarts < 40 {
        let stored = client.totals().stored;
        for _ in 0..1_000 {
            round += 1;
            for series in &series {
                client.store(series, (START + round * 5) as f64, &[round as f64]);
            }
        }
        // A helper that works, at any moment of its work.
        eventually("storing", || client.totals().stored > stored);
        std::thread::park_timeout(Duration::from_micros(round as u64 * 7919 % 10_000));
        if let Some(process) = client.helper_id() {
            signal(process, Signal::SIGKILL);
        }
        assert!(round < 1_000_000, "it is restarted");
    }
    assert!(wait(client.shutdown(LONG)));
    let totals = client.totals();
    assert_eq!((totals.stored, totals.dropped), (round as u64 * files as u64, 0));
    let expected: Vec<_> =
        ((round - 15_000).max(0) + 1..=round).map(|round| (START + round * 5, Some(round as f64))).collect();
    for number in 0..files {
        let rows = column(&path(number), START + round * 5 - 5 * expected.len() as i64, START + round * 5);
        let wrong: Vec<_> = rows.iter().zip(&expected).filter(|(row, expected)| row != expected).take(3).collect();
        assert!(rows.len() == expected.len() && wrong.is_empty(), "file {number}: {wrong:?}");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), files, "{left:?}");
}

#[test]
fn a_helper_that_is_not_installed_is_told_with_the_remedy_and_samples_wait_for_it() {
    watch_log();
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("procblock-series");
    let path = folder.path().join("a.rrd");
    let client = SeriesClient::new(executable.clone());
    let series = client.declare(spec(&path, &["a"])).unwrap();
    client.store(&series, START as f64, &[1.0]);
    let told = wait(client.flush()).unwrap_err().to_string();
    assert!(told.contains("cannot start") && told.contains("install it beside procblock"), "{told}");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_procblock-series"), &executable).unwrap();
    eventually("storing", || client.totals().stored == 1);
    assert_eq!(column(&path, START - 5, START), [(START, Some(1.0))]);
    assert_eq!(logged(&executable).len(), 1, "told once: {:?}", logged(&executable));
}

#[test]
fn a_program_that_is_no_helper_ends_a_stop_soon() {
    let folder = tempfile::tempdir().unwrap();
    for program in ["/bin/true", "/bin/cat"] {
        let client = SeriesClient::new(PathBuf::from(program));
        let series = client.declare(spec(&folder.path().join("a.rrd"), &["a"])).unwrap();
        client.store(&series, START as f64, &[1.0]);
        let start = Instant::now();
        assert!(!wait(client.shutdown(Duration::from_secs(20))), "{program}");
        assert!(start.elapsed() < Duration::from_secs(5), "{program}");
    }
}

#[test]
fn a_full_disk_is_one_warning_and_storing_resumes() {
    watch_log();
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&disk).output().unwrap();
    if !mounted.status.success() {
        eprintln!("not run: mounting a small disk needs root");
        return;
    }
    fs::write(disk.join("filler"), vec![0; 900 << 10]).unwrap();
    let client = client();
    let series: Vec<_> =
        (0..5).map(|n| client.declare(spec(&disk.join(format!("{n}.rrd")), &["a"])).unwrap()).collect();
    for round in 0..10 {
        for series in &series {
            client.store(series, (START + round * 5) as f64, &[round as f64]);
        }
        wait(client.flush()).unwrap();
    }
    assert_eq!(client.totals().held, 50);
    assert!(client.status()[0].last_error.as_ref().unwrap().contains("No space left"), "{:?}", client.status()[0]);
    fs::remove_file(disk.join("filler")).unwrap();
    eventually("storing", || client.totals().held == 0 && client.totals().stored == 50);
    assert_eq!(client.status()[0].last_error, None);
    assert!(wait(client.shutdown(LONG)));
    let rows = column(&disk.join("4.rrd"), START - 5, START + 45);
    let warned: Vec<_> = logged(&disk).into_iter().filter(|line| line.starts_with("WARN")).collect();
    let left = fs::read_dir(&disk).unwrap().count();
    assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    assert_eq!(rows.iter().filter(|(_, value)| value.is_some()).count(), 10);
    assert_eq!((warned.len(), left), (1, 5), "{warned:?}");
}

#[test]
fn a_folder_that_cannot_be_written_holds_only_its_own_series() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    fs::write(&blocked, "a file where a folder should be").unwrap();
    let client = client();
    let good = client.declare(spec(&folder.path().join("good.rrd"), &["a"])).unwrap();
    let bad = client.declare(spec(&blocked.join("bad.rrd"), &["a"])).unwrap();
    for round in 0..3 {
        client.store(&bad, (START + round * 5) as f64, &[1.0]);
        client.store(&good, (START + round * 5) as f64, &[1.0]);
        wait(client.flush()).unwrap();
    }
    let totals = client.totals();
    assert_eq!((totals.stored, totals.held), (3, 3));
    fs::remove_file(&blocked).unwrap();
    eventually("storing", || client.totals().stored == 6);
}

/// Run by the test below in a process of its own: stores a sample a millisecond and prints how many.
#[test]
fn a_runner_to_be_killed() {
    let Ok(path) = std::env::var("PROCBLOCK_TEST_SERIES") else { return };
    let client = client();
    let series = client.declare(spec(&PathBuf::from(path), &["a"])).unwrap();
    for round in 1_i64.. {
        client.store(&series, (START + round * 5) as f64, &[round as f64]);
        println!("stored {round} {}", client.helper_id().unwrap_or(0));
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// A runner in a process of its own, and what it says it stored.
fn runner(path: &Path) -> (Child, impl Iterator<Item = (i64, u32)>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::a_runner_to_be_killed", "--nocapture"])
        .env("PROCBLOCK_TEST_SERIES", path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let stored = lines.filter_map(|line| {
        let (round, helper) = line.split_once("stored ")?.1.split_once(' ')?;
        Some((round.parse().ok()?, helper.parse().ok()?))
    });
    (child, stored)
}

#[test]
fn a_killed_runner_loses_at_most_the_flush_window_and_its_helper_ends() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let path = folder.path().join(format!("{round}.rrd"));
        let (mut child, mut stored) = runner(&path);
        let start = Instant::now();
        let mut times = Vec::new();
        let mut helper = 0;
        while start.elapsed() < Duration::from_millis(1_500 + round * 333) {
            let (number, process) = stored.next().expect("it goes on");
            times.push((number, Instant::now()));
            helper = process;
        }
        child.kill().unwrap();
        let killed = Instant::now();
        child.wait().unwrap();
        eventually("the helper's end", || !Path::new(&format!("/proc/{helper}/cmdline")).exists());
        let window = FLUSH_WINDOW + Duration::from_millis(300);
        let due: Vec<i64> = times.iter().filter(|(_, at)| killed - *at > window).map(|(number, _)| *number).collect();
        let newest = due.last().copied().unwrap();
        let rows = column(&path, START, START + newest * 5);
        let expected: Vec<_> = (1..=newest).map(|number| (START + number * 5, Some(number as f64))).collect();
        assert_eq!(rows, expected);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn signals_of_a_terminal_or_a_manager_do_not_end_the_helper() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let client = client();
    let series = client.declare(spec(&path, &["a"])).unwrap();
    client.store(&series, START as f64, &[1.0]);
    wait(client.flush()).unwrap();
    let helper = client.helper_id().unwrap();
    for number in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signal(helper, number);
    }
    let group = nix::unistd::getpgid(Some(Pid::from_raw(i32::try_from(helper).unwrap()))).unwrap();
    assert_ne!(group, nix::unistd::getpgrp(), "a terminal's Ctrl-C does not reach it");
    client.store(&series, (START + 5) as f64, &[2.0]);
    assert!(wait(client.shutdown(LONG)));
    assert_eq!(client.totals().restarts, 0);
    assert_eq!(column(&path, START - 5, START + 5).len(), 2);
    assert!(!Path::new(&format!("/proc/{helper}")).exists(), "it has ended");
}
