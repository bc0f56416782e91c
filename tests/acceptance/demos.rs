//! `demos/NAME`: each has its README, is accepted by `check`, and does what its README says.
//!
//! `demos/NAME/expected.txt` holds command lines, `$ procblock WORDS…`, and what each prints, as the cases do; they are
//! run one after the other in one folder that has a copy of `demos`. `UPDATE_EXPECTED=1` rewrites it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use unidist::timeseries::safe_key;

use crate::support::{Ended, Run, Running, eventually, is_png, last_update, log_texts, rrd_info};

/// Demos that are sites, tried in `serve.rs` and in browsers.
const SITES: [&str; 5] = ["dropstar_demo", "example_site", "hello_site", "no_relay_chat", "system_monitor"];

/// Demos that run until they are stopped; the others have an expected text.
const MONITORS: [&str; 2] = ["machine_monitor", "simplest_monitor"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demos").canonicalize().unwrap()
}

fn demos() -> Vec<PathBuf> {
    let mut demos: Vec<PathBuf> = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    demos.sort();
    assert!(demos.len() >= 5, "{demos:?}");
    demos
}

/// A folder that holds `demos`, as a checkout does. The backup's lock is one of the whole machine, so that this copy has
/// a name of its own for it.
fn with_demos() -> Run {
    let run = Run::bare();
    let copied = Command::new("cp").arg("-r").arg(root()).arg(run.path("demos")).status().unwrap();
    assert!(copied.success());
    let backup = fs::read_to_string(run.path("demos/backup/backup.yaml")).unwrap();
    let lock = run.path("").display().to_string().replace('/', "_");
    assert!(backup.contains("name: demo_backup,"));
    run.file("demos/backup/backup.yaml", &backup.replace("name: demo_backup,", &format!("name: '{lock}',")))
}

#[test]
fn every_demo_has_a_readme_and_is_accepted() {
    for demo in demos() {
        let readme = fs::read_to_string(demo.join("README.md")).unwrap_or_default();
        let name = demo.file_name().unwrap().to_str().unwrap();
        assert!(readme.starts_with(&format!("# {name}\n")), "{} has no README.md of its name", demo.display());
        let files = fs::read_dir(&demo).unwrap().map(|entry| entry.unwrap().path());
        let mut blocks: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|found| found == "yaml")).collect();
        if blocks.is_empty() && SITES.contains(&name) {
            blocks.push(demo.clone());
        }
        assert!(!blocks.is_empty(), "{} has no YAML", demo.display());
        for block in blocks {
            let ended = Run::bare().own(["check"]).words([&block]).end();
            assert_eq!(ended.code, Some(0), "{}: {ended}", block.display());
        }
        let is_tested = MONITORS.contains(&name) || SITES.contains(&name) || demo.join("expected.txt").exists();
        assert!(is_tested, "{} has no expected.txt: write its command lines into one", demo.display());
    }
}

#[test]
fn demos_that_end_print_what_is_expected() {
    for path in demos().iter().map(|demo| demo.join("expected.txt")).filter(|path| path.exists()) {
        let expected = fs::read_to_string(&path).unwrap();
        let commands: Vec<&str> = expected.lines().filter_map(|line| line.strip_prefix("$ procblock ")).collect();
        assert!(!commands.is_empty(), "{} has no command line", path.display());
        let mut found = String::new();
        let mut run = with_demos();
        for command in commands {
            let ended = run.words(command.split_whitespace()).end();
            writeln!(found, "$ procblock {command}").unwrap();
            let own = ended.path("").to_string_lossy().into_owned();
            let stdout = ended.stdout.replace(&own, "<folder>/");
            stdout.lines().for_each(|line| writeln!(found, "{}", mark(line)).unwrap());
            for line in ended.stderr.lines() {
                let log = log_texts(line).pop().map(|text| format!("log: {text}"));
                writeln!(found, "stderr: {}", mark(log.as_deref().unwrap_or(line))).unwrap();
            }
            writeln!(found, "exit code: {}", ended.code.unwrap()).unwrap();
            run = Run::again(&ended);
        }
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&path, &found).unwrap();
        } else {
            assert!(expected == found, "{}:\n{found}--- expected\n{expected}", path.display());
        }
    }
}

/// Puts markers for what is never the same twice: seconds, random numbers, delays, moments in names.
fn mark(line: &str) -> String {
    if let Some((key, value)) = line.split_once("\": ") {
        let comma = if value.ends_with(',') { "," } else { "" };
        let number = value.trim_end_matches(',').parse::<f64>();
        if key.ends_with("\"__duration") || key.ends_with("\"__start_time") {
            assert!(number.unwrap() >= 0.0, "{line}");
            return format!("{key}\": <seconds>{comma}");
        }
        if key.ends_with("\"random") {
            assert!((0.0..=100.0).contains(&number.unwrap()), "{line}");
            return format!("{key}\": <0 to 100>{comma}");
        }
    }
    if let Some((before, _)) = line.split_once(", next in ") {
        return format!("{before}, next in <delay>");
    }
    mark_moments(line)
}

/// As `date +%Y%m%d_%H%M%S_%N` writes a moment, in digits.
const MOMENT: &[u8] = b"00000000_000000_000000000";

fn mark_moments(line: &str) -> String {
    let is_moment = |bytes: &[u8]| {
        let is_like = |(byte, like): (&u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like };
        bytes.iter().zip(MOMENT).all(is_like)
    };
    match line.as_bytes().windows(MOMENT.len()).position(is_moment) {
        Some(at) => format!("{}<moment>{}", &line[..at], mark_moments(&line[at + MOMENT.len()..])),
        None => line.to_string(),
    }
}

#[test]
fn the_backup_keeps_the_newest_archives_and_nothing_half_written() {
    // A relative target is in the folder of the caller.
    let folder = "archives";
    let archives = |ended: &Ended| {
        let names = fs::read_dir(ended.path(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect::<BTreeSet<_>>()
    };
    let words = ["demos/backup/backup.yaml", "archives", "--keep", "2"];
    let first = with_demos().words(words).end();
    let oldest = archives(&first).pop_first().unwrap();
    let content = Command::new("tar").arg("-tzf").arg(first.path(folder).join(&oldest)).output().unwrap();
    let content = String::from_utf8(content.stdout).unwrap();
    assert!(content.contains("notes.txt"), "{content}: {first}");
    let mut last = first;
    for _ in 0..2 {
        last = Run::again(&last).words(words).end();
        assert_eq!(last.code, Some(0), "{last}");
    }
    let kept = archives(&last);
    assert!(kept.len() == 2 && !kept.contains(&oldest), "{kept:?} without {oldest}");
    let failed = Run::again(&last).words(words).words(["--source", "/no/such/folder"]).end();
    assert_eq!((failed.code, archives(&failed)), (Some(1), kept), "{failed}");
}

/// A monitor that writes into its own folder.
fn start(name: &str) -> Running {
    Run::bare().own(["--cwd", "."]).words([root().join(name).join(format!("{name}.yaml"))]).start()
}

/// Ctrl-C; every picture and every series that is there is whole.
fn stop(running: Running) -> Ended {
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    for path in fs::read_dir(ended.path("")).unwrap().map(|entry| entry.unwrap().path()) {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("png") => assert!(is_png(&path), "{}", path.display()),
            Some("rrd") => {
                assert!(rrd_info(&path).contains("step = 5\n"), "{}", path.display());
                assert_eq!(last_update(&path) % 5, 0, "{}", path.display());
            }
            Some(other) => panic!("{other} is no file of a monitor: {}", path.display()),
            None => {}
        }
    }
    assert_eq!(ended.stderr, "", "nothing is wrong with it");
    ended
}

#[test]
fn the_simplest_monitor_stores_and_draws() {
    let running = start("simplest_monitor");
    let random = running.wait_for_result()["run"]["random"].as_i64().unwrap();
    eventually("the graph", || running.path("simplest.png").exists());
    let ended = stop(running);
    assert!((0..=100).contains(&random), "{random}");
    assert!(rrd_info(&ended.path("simplest.rrd")).contains(&format!(".last_ds = \"{random}\"")), "{ended}");
}

#[test]
fn the_machine_monitor_stores_and_draws_all_that_this_machine_has() {
    let running = start("machine_monitor");
    let run = running.wait_for_result()["run"].clone();
    let of = |key: &str, prefix: &str| -> Vec<String> {
        let names = run[key].as_object().into_iter().flatten();
        names.map(|(name, _): (&String, &Value)| format!("{prefix}_{}", safe_key(name))).collect()
    };
    let keyed = [of("disks", "disk"), of("disk_io", "disk_io"), of("network", "network")].concat();
    assert!(keyed.contains(&"network_lo".to_string()), "{run}");
    let plain = ["cpu", "load", "memory", "processes"].map(str::to_string);
    let series: Vec<String> = plain.into_iter().chain(keyed).collect();
    let is_there = |name: &String, extension: &str| running.path(&format!("{name}.{extension}")).exists();
    eventually("the graphs", || {
        series.iter().all(|name| is_there(name, "png") && is_there(name, "rrd")) && is_there(&"swap".into(), "png")
    });
    stop(running);
}
