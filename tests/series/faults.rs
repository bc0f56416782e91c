//! What is left after kills, missing programs and full disks.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use procblock::series::SeriesClient;

use super::{LONG, START, client, column, eventually, logged, spec, wait, watch_log};

fn kill(process: u32) {
    // The helper may have been replaced meanwhile: then there is nothing to kill.
    let _ = Command::new("kill").args(["-9", &process.to_string()]).output().unwrap();
}

#[test]
fn a_helper_killed_at_random_loses_no_sample_and_moves_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |number: usize| folder.path().join(format!("{number}.rrd"));
    let client = client();
    let series: Vec<_> = (0..20).map(|number| client.declare(spec(&path(number), &["a"])).unwrap()).collect();
    let mut round = 0;
    while client.totals().restarts < 30 {
        for _ in 0..20 {
            round += 1;
            for series in &series {
                client.store(series, (START + round * 5) as f64, &[round as f64]);
            }
        }
        if let Some(process) = client.helper_id() {
            kill(process);
        }
        assert!(round < 20_000, "it is restarted");
        eventually("room", || client.totals().waiting < 4_000);
    }
    assert!(wait(client.shutdown(LONG)));
    let totals = client.totals();
    assert_eq!((totals.stored, totals.dropped), (round as u64 * 20, 0));
    let expected: Vec<_> =
        ((round - 15_000).max(0) + 1..=round).map(|round| (START + round * 5, Some(round as f64))).collect();
    for number in 0..20 {
        let rows = column(&path(number), START + round * 5 - 5 * expected.len() as i64, START + round * 5);
        assert_eq!(rows, expected, "file {number}");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 20, "{left:?}");
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
    fs::copy(env!("CARGO_BIN_EXE_procblock-series"), &executable).unwrap();
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
