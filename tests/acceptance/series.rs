//! `timeseries collect` through the built binaries, with the system's `rrdtool` as witness.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use unidist::timeseries::safe_key;

use crate::support::{
    Ended, Process, Run, Running, eventually, is_png, is_png_bytes, kill, last_update, log_texts, logged_samples, rows,
    rrd_info,
};

/// A monitor of one step, every second, with the log of what is stored.
fn monitor(lua: &str, collect: &str) -> Run {
    let step = format!("  - lua: |\n      {lua}\n    every: 1s\n    name: t\n    timeseries collect: {collect}\n");
    Run::block(&format!("__usage: {{longrunning: true}}\nrun:\n{step}")).own(["-v"])
}

const COUNT: &str = "return {n = unidist.sharedcounter.increment('n')}";

/// The path as it stands in the log.
fn shown(ended: &Ended, name: &str) -> PathBuf {
    ended.path("").canonicalize().unwrap().join(name)
}

/// Every sample that the log says is stored is in the file, at the second at or before it, and the newest of them is the
/// newest of the file. Gives their numbers.
fn assert_stored_as_logged(ended: &Ended, name: &str, field: &str) -> Vec<f64> {
    let path = shown(ended, name);
    let stored = rows(&path, field, 300);
    let logged = logged_samples(&ended.stderr, &path, field);
    for sample in &logged {
        let is_it = |(time, value): &(i64, f64)| sample.is_in_second(*time) && sample.value == Some(*value);
        assert!(stored.iter().any(is_it), "{sample:?} is not in {stored:?}: {ended}");
    }
    assert!(logged.last().unwrap().is_in_second(last_update(&path)), "{ended}");
    logged.iter().map(|sample| sample.value.unwrap()).collect()
}

#[test]
fn the_first_sample_creates_the_file_and_only_declared_fields_are_kept() {
    let lua = "return {n = file.exists('a.rrd') and 1 or 0, extra = 7}";
    let running = monitor(lua, "{path: a.rrd, fields: [n, absent]}").start();
    running.wait_for_error_texts("Storing RRD occurrence", 3);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    let values = assert_stored_as_logged(&ended, "a.rrd", "n");
    assert_eq!(values.first(), Some(&0.0), "there is no file before the first sample");
    assert!(values.iter().skip(1).all(|value| *value == 1.0), "{values:?}");
    let path = ended.path("a.rrd");
    assert_eq!(rows(&path, "absent", 300), [], "what never came is unknown, not zero");
    let info = rrd_info(&path);
    assert!(info.contains("step = 1\n") && info.contains("ds[absent]") && !info.contains("ds[extra]"), "{info}");
    assert_eq!(ended.stderr.matches("the result has no \\\"absent\\\", stored as unknown").count(), 1, "{ended}");
}

#[test]
fn samples_stand_on_multiples_of_the_interval() {
    let running = monitor(COUNT, "{path: a.rrd, interval: 7, fields: [n]}").start();
    running.wait_for_error_text("Storing RRD occurrence");
    let path = running.path("a.rrd");
    let (step, time) = (rrd_info(&path).contains("step = 7\n"), last_update(&path));
    assert_eq!((running.interrupt().code, step, time % 7), (Some(0), true, 0), "{time}");
}

#[test]
fn the_simplest_monitor_tells_its_published_lines_in_order() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demos/simplest_monitor/simplest_monitor.yaml");
    let running = Run::bare().own(["--cwd", ".", "-v"]).words([demo]).start();
    running.wait_for_error_text("Graphing RRD");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    let published = [
        "Importing YAML",
        "Long Running Process",
        "Running Thread: Starting: simplest",
        "Waiting for interval thread output: simplest",
        "Storing RRD occurrence",
        "Graphing RRD",
        "Releasing lock: __running",
        "Quitting...",
        "Running Thread: Quitting: simplest",
    ];
    let texts = log_texts(&ended.stderr);
    let mut from = 0;
    for line in published {
        let found = texts[from..].iter().position(|text| text.contains(line));
        from += found.unwrap_or_else(|| panic!("{line:?} is not where it should be: {ended}")) + 1;
    }
    let path = ended.path("simplest.rrd");
    assert_eq!(last_update(&path) % 5, 0);
    let stored = rows(&path, "random", 60);
    assert!(stored.iter().all(|(time, value)| time % 5 == 0 && (0.0..=100.0).contains(value)), "{stored:?}");
    assert_eq!(stored.len(), logged_samples(&ended.stderr, &shown(&ended, "simplest.rrd"), "random").len(), "{ended}");
    assert!(is_png(&ended.path("simplest.png")));
}

#[test]
fn a_graph_is_replaced_as_a_whole() {
    let running = monitor(COUNT, "{path: a.rrd, fields: [n], graph: [{path: a.png, title: Count}]}").start();
    let path = running.path("a.png");
    eventually("the first graph", || path.exists());
    let mut first = File::open(&path).unwrap();
    let versions = std::cell::RefCell::new(BTreeSet::new());
    eventually("other graphs", || {
        // Whenever it is looked at, it is a whole picture.
        assert!(is_png(&path));
        let changed = fs::metadata(&path).unwrap();
        versions.borrow_mut().insert((changed.mtime(), changed.mtime_nsec()));
        versions.borrow().len() >= 3
    });
    let mut bytes = Vec::new();
    first.read_to_end(&mut bytes).unwrap();
    assert!(is_png_bytes(&bytes), "who reads the earlier picture still has all of it");
    assert_eq!(first.metadata().unwrap().nlink(), 0, "another file has its place");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(pictures_and_series(&ended.path("")), ["a.png", "a.rrd"], "nothing half-written is left");
}

/// The names in a folder, without the test's own.
fn pictures_and_series(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.') && name != "block.yaml").collect();
    names.sort();
    names
}

#[test]
fn hostile_names_and_titles_are_only_text() {
    let hostile = r#"a"b'c:d\e;touch p1;$(touch p2)`touch p3`|touch p4&%n%s<b>:HRULE:1#ff0000"#;
    let quoted = serde_json::to_string(hostile).unwrap();
    let lua = format!("return {{[{quoted}] = 5}}");
    let graph = format!("{{path: \"a ';$(touch p5).png\", title: {quoted}, vertical label: {quoted}}}");
    let collect = format!("{{path: \"r ';$(touch p6).rrd\", fields: [{quoted}], graph: [{graph}]}}");
    let running = monitor(&lua, &collect).start();
    running.wait_for_error_text("Graphing RRD");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(!ended.stderr.contains("cannot draw"), "{ended}");
    let names = ["a ';$(touch p5).png", "r ';$(touch p6).rrd"];
    assert_eq!(pictures_and_series(&ended.path("")), names, "nothing was executed");
    assert!(is_png(&ended.path(names[0])));
    assert!(rrd_info(&ended.path(names[1])).contains(".last_ds = \"5\""), "{ended}");
}

#[test]
fn each_key_has_its_file_in_folders_that_are_made() {
    let block = "
__usage: {longrunning: true}
run:
  - set: {host: '${node}'}
  - lua: \"return {disks = {['/'] = {used = 1}, ['/srv/a b'] = {used = 2}}}\"
    every: 1s
    name: t
    timeseries collect:
      path: deep/er/${key}_${node}.rrd
      key: disks
      fields: [used]
      graph: [{path: 'graphs/of/${key}.png', title: '${node}: ${key}'}]
";
    let running = Run::block(block).own(["-v"]).start();
    let host = running.wait_for_result()["run"]["host"].as_str().unwrap().to_string();
    running.wait_for_error_texts("Graphing RRD", 2);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    let host = safe_key(&host);
    let keys = ["slash", "slashsrvslashaspaceb"];
    assert_eq!(pictures_and_series(&ended.path("deep/er")), keys.map(|key| format!("{key}_{host}.rrd")));
    assert_eq!(pictures_and_series(&ended.path("graphs/of")), keys.map(|key| format!("{key}.png")));
    for (key, value) in keys.iter().zip([1.0, 2.0]) {
        let stored = assert_stored_as_logged(&ended, &format!("deep/er/{key}_{host}.rrd"), "used");
        assert!(stored.iter().all(|used| *used == value), "{key}: {stored:?}");
        assert!(is_png(&ended.path(&format!("graphs/of/{key}.png"))));
    }
}

#[test]
fn a_fetch_of_the_newest_result_adds_no_sample() {
    let block = format!(
        "
__usage: {{longrunning: true}}
run:
  - lua: {COUNT}
    every: 1s
    name: t
    timeseries collect: {{path: a.rrd, fields: [n]}}
  - thread: t
    every: 20ms
    name: reader
"
    );
    let running = Run::block(&block).own(["-v"]).start();
    running.wait_for_error_texts("Storing RRD occurrence", 3);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    // A fetch that stored would store an old number again, as the first one of a new second.
    let stored = assert_stored_as_logged(&ended, "a.rrd", "n");
    assert!(stored.windows(2).all(|pair| pair[0] < pair[1]), "{stored:?}");
}

/// Rates by second of a counter that goes up by 10 with each number, and begins again at the fourth. `numbers` is a
/// row for each second; one without a sample has the number of the next.
fn rates(mut numbers: Vec<(i64, f64)>) -> Vec<(i64, f64)> {
    numbers.reverse();
    numbers.dedup_by_key(|(_, number)| *number as i64);
    numbers.reverse();
    let mut rates = Vec::new();
    let mut was_restarted = false;
    for pair in numbers.windows(2) {
        let ((before, from), (time, to)) = (pair[0], pair[1]);
        let is_restarted = from < 4.0 && to >= 4.0;
        let rate = (to - from) * 10.0 / (time - before) as f64;
        // With samples a second apart the interval behind a restart is unknown too.
        let is_known = !is_restarted && !was_restarted;
        rates.extend((before + 1..=time).filter(|_| is_known).map(|time| (time, rate)));
        was_restarted = is_restarted;
    }
    rates
}

#[test]
fn a_counter_is_kept_as_its_rate_and_a_restart_is_unknown() {
    // 10 a run, and it begins again at the fourth.
    let lua = "local n = unidist.sharedcounter.increment('n'); return {n = n, c = n < 4 and 1000 + n * 10 or n * 10}";
    let running = monitor(lua, "{path: a.rrd, fields: {n: {}, c: {type: COUNTER, min: 0}}}").start();
    running.wait_for_error_texts("Storing RRD occurrence", 7);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    let path = ended.path("a.rrd");
    let expected = rates(rows(&path, "n", 300));
    let stored = rows(&path, "c", 300);
    let is_near = |(one, other): (&(i64, f64), &(i64, f64))| one.0 == other.0 && (one.1 - other.1).abs() < 1e-6;
    assert!(stored.len() == expected.len() && stored.iter().zip(&expected).all(is_near), "{stored:?} {expected:?}");
}

/// Ends the process that stores, as a crash in librrd does.
fn crash(running: &Running) {
    let series = running.series_process();
    let gone = Process::open(series);
    kill(series, Signal::SIGKILL);
    assert!(gone.ends_within(Duration::from_secs(30)));
}

#[test]
fn a_crash_of_the_series_process_loses_no_sample_and_the_run_goes_on() {
    let collect = "{path: a.rrd, fields: [n], graph: [{path: a.png}]}";
    let running = monitor(COUNT, collect).start();
    for round in 1..=3 {
        running.wait_for_error_texts("Storing RRD occurrence", round);
        crash(&running);
    }
    running.wait_for_error_texts("Storing RRD occurrence", 5);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stderr.contains("procblock-series died and is started again"), "{ended}");
    let stored = assert_stored_as_logged(&ended, "a.rrd", "n");
    // Two runs of one second are one sample, the first; more than that is missing only if it was lost.
    assert!(stored.windows(2).all(|pair| pair[1] - pair[0] <= 2.0), "{stored:?}");
    assert!(is_png(&ended.path("a.png")));
    ended.leaves_nothing_within(Duration::from_secs(30));
}

#[test]
fn a_missing_series_process_is_told_once_and_the_run_goes_on() {
    let lua = "file.append('log.txt', 'x\\n'); return {n = 1}";
    let running = monitor(lua, "{path: a.rrd, fields: [n], graph: [{path: a.png}]}").without_companions().start();
    running.wait_for_lines("log.txt", 4);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    let told = ended.stderr.lines().filter(|line| line.contains("install it beside procblock")).count();
    assert_eq!(told, 1, "{ended}");
    assert!(!ended.path("a.rrd").exists());
    assert!(ended.took < Duration::from_secs(5), "{ended}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_first_sample_and_stored_when_it_can_be() {
    let collect = "{path: folder/a.rrd, fields: [n], graph: {path: folder/a.png}}";
    // The first run is not over before the file was told of; after the third the first sample was tried.
    let lua = "time.sleep(0.2) file.append('runs', 'x\\n') return {n = 1}";
    let running = monitor(lua, collect).file("folder", "in the way").start();
    let text = running.wait_for_error_text("can't be stored");
    assert!(!text.contains("Storing RRD occurrence"), "{text}");
    let text = running.wait_for_error_text("can't be drawn");
    let folder = fs::canonicalize(running.path("folder")).unwrap();
    let why = format!("{} is no folder; move it away, or name another path", folder.display());
    for what in [format!("the series {}/a.rrd can't be stored: {why}; samples wait", folder.display()), why] {
        assert!(text.contains(&what), "{text}");
    }
    running.wait_for_lines("runs", 3);
    fs::remove_file(folder).unwrap();
    running.wait_for_error_text("time series are stored again");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(ended.stderr.matches("can't be stored").count(), 1, "{ended}");
    assert!(ended.path("folder/a.rrd").exists());
}

#[test]
fn one_wrong_entry_under_a_key_costs_the_others_nothing() {
    let lua = "return {disks = {a = {n = 1}, b = 5, c = {n = 3}}}";
    let running = monitor(lua, "{path: '${key}.rrd', key: disks, fields: [n]}").start();
    running.wait_for_error_texts("c.rrd", 3);
    let ended = running.interrupt();
    assert!(ended.path("a.rrd").exists() && ended.path("c.rrd").exists(), "{ended}");
    assert_eq!(ended.stderr.matches("disks.b is a number, not a mapping of fields").count(), 1, "{ended}");
}
