//! Samples and graphs of block files, with the system's `rrdtool` as witness.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Ended, Run, Running, children_of, eventually, is_png, kill, rows, rrd_info};

/// The author's second published example.
const MONITOR: &str = r##"
run:
  - script: simplest.lua
    cache: 5
    thread_id: simplest
    timeseries collect:
      path: simplest.rrd
      interval: 5
      fields:
        random:
          type: GAUGE
      graph:
        - path: simplest.png
          title: Simplest Monitoring Demo
          fields: [random]
          method: STACK
          interval: 10
          vertical label: "Random #s"
__usage:
  name: simplest
  author: Geoff Howland
  # Let this run, so we can monitor it
  longrunning: true
"##;

const RANDOM: &str = "function ProcessBlock() return {random = math.random(0, 100), other = 1} end\n";

/// A run-thread every second with this `timeseries collect`, whose result is this Lua table.
fn monitor(result: &str, collect: &str) -> String {
    format!(
        "__usage: {{longrunning: true}}\nrun:\n  - lua: return {result}\n    every: 1s\n    name: t\n    timeseries collect: {collect}\n"
    )
}

/// The texts of the log, without times and places in the code.
fn texts(ended: &Ended) -> Vec<String> {
    let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["text"].as_str().map(str::to_string);
    ended.stderr.lines().filter_map(line).collect()
}

fn files(running: &Running) -> Vec<String> {
    let entries = fs::read_dir(running.path("out")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn series_of(running: &Running) -> Option<i32> {
    let name = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    children_of(running.pid()).into_iter().find(|pid| name(pid).starts_with("procblock-serie"))
}

#[test]
fn the_monitor_tells_its_life_in_the_published_order() {
    let running = Run::named("simplest_monitor.yaml", MONITOR).file("simplest.lua", RANDOM).own(["-v"]).start();
    let result = running.wait_for_result();
    running.wait_for_error_texts("Graphing RRD", 2);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    let run = &result["run"];
    assert!(run["random"].is_i64() && run["run_thread.simplest"]["is_running"] == true, "{result}");
    let folder = ended.path("").display().to_string();
    let storing = format!("Storing RRD occurrence: {folder}simplest.rrd");
    let graphing = format!("Graphing RRD: {folder}simplest.rrd");
    let expected = [
        format!("Importing YAML: {folder}simplest_monitor.yaml"),
        format!("Long Running Process: Starting...  (CWD: {})", folder.trim_end_matches('/')),
        "Running Thread: Starting: simplest".into(),
        "Waiting for interval thread output: simplest".into(),
        storing.clone(),
        graphing.clone(),
        storing,
        graphing,
        "ProcessAndLoop: Keyboard Interrupt: Releasing lock: __running".into(),
        "Quitting...".into(),
        "run-threads: 1, ".into(),
        "Running Thread: Quitting: simplest".into(),
    ];
    let told = texts(&ended);
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(&expected) {
        assert!(told.starts_with(expected.as_str()), "{told} is not {expected}");
    }
    assert!(told[4].contains("{random: "), "{}", told[4]);
    let rows = rows(&ended.path("simplest.rrd"), "random", 60);
    assert!(rows.len() >= 2 && rows.iter().all(|(time, _)| time % 5 == 0), "{rows:?}");
    assert!(is_png(&ended.path("simplest.png")));
    let info = rrd_info(&ended.path("simplest.rrd"));
    assert!(info.contains("step = 5") && info.contains("ds[random].type = \"GAUGE\""), "{info}");
    assert!(!info.contains("ds[other]"), "what is not declared is not stored: {info}");
}

#[test]
fn a_declared_field_that_never_came_is_unknown_and_told_once() {
    let collect = "{path: out/a.rrd, fields: [random, absent]}";
    let running = Run::block(&monitor("{radnom = 1, random = 2}", collect)).start();
    eventually("samples", || {
        running.path("out/a.rrd").exists() && rows(&running.path("out/a.rrd"), "random", 60).len() > 1
    });
    let absent = rows(&running.path("out/a.rrd"), "absent", 60);
    let ended = running.interrupt();
    assert_eq!((ended.code, absent.len()), (Some(0), 0), "{ended}");
    assert_eq!(ended.stderr.matches("absent").count(), 1, "{ended}");
}

#[test]
fn each_key_is_a_file_of_its_own_with_a_safe_name() {
    let result = "{disks = {[\"/\"] = {used = 1}, [\"/home x\"] = {used = 2}, [\"../../up\"] = {used = 3}}}";
    let graph = "graph: {path: 'out/${key}.png', title: 'Disk ${key} of ${node}'}";
    let collect = format!("{{path: 'out/${{key}}.rrd', key: disks, fields: [used], {graph}}}");
    let running = Run::block(&monitor(result, &collect)).start();
    eventually("three files and three pictures", || files(&running).len() == 6);
    let names = files(&running);
    assert!(names.contains(&"slash.rrd".into()) && names.contains(&"slashhomespacex.rrd".into()), "{names:?}");
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
    eventually("pictures", || {
        names.iter().filter(|name| name.ends_with(".png")).all(|name| is_png(&running.path("out").join(name)))
    });
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn missing_folders_of_files_and_graphs_are_made() {
    let collect = "{path: new/deep/a.rrd, fields: [n], graph: [{path: other/deep/a.png}, {path: other/a.svg}]}";
    let running = Run::block(&monitor("{n = 1}", collect)).start();
    eventually("pictures", || is_png(&running.path("other/deep/a.png")) && running.path("other/a.svg").exists());
    assert!(running.path("new/deep/a.rrd").exists());
    assert!(running.wait_for_file("other/a.svg", |text| text.ends_with("</svg>\n")).starts_with("<?xml"));
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn hostile_titles_fields_and_paths_are_literal_text() {
    let hostile = "$(touch made) `touch made`; touch made \"'%s:\\ <b>\u{1}\nDEF:x=y";
    let text = serde_json::to_string(hostile).unwrap();
    let path = "a $(touch made);'\" `touch made`:b%s\\c";
    let [rrd, png, svg] = ["rrd", "png", "svg"].map(|end| format!("out/{path}.{end}"));
    let quoted = |path: &str| serde_json::to_string(path).unwrap();
    let field = "odd name;$(touch made)\"':%s\\";
    let graph = |path: &str| {
        format!("{{path: {}, title: {text}, vertical label: {text}, fields: [{}]}}", quoted(path), quoted(field))
    };
    let collect = format!(
        "{{path: {}, fields: [{}, plain], graph: [{}, {}]}}",
        quoted(&rrd),
        quoted(field),
        graph(&png),
        graph(&svg)
    );
    let block =
        "__usage: {longrunning: true}\nrun:\n  - script: a.lua\n    every: 1s\n    name: t\n    timeseries collect: ";
    let script = format!("function ProcessBlock() return {{[ [==[{field}]==] ] = 1, plain = 2}} end\n");
    let running = Run::block(&format!("{block}{collect}\n")).file("a.lua", &script).start();
    eventually("the pictures", || is_png(&running.path(&png)) && running.path(&svg).exists());
    let drawn = running.wait_for_file(&svg, |text| text.contains("</svg>"));
    assert_eq!(rows(&running.path(&rrd), "plain", 60)[0].1, Some(2.0));
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    for folder in ["", "out"] {
        assert!(!ended.path(folder).join("made").exists(), "something was executed: {ended}");
    }
    assert!(!drawn.contains("<b>"), "the title is escaped in the picture");
}

#[test]
fn a_later_fetch_adds_no_sample() {
    let block = "
__usage: {longrunning: true}
run:
  - {lua: \"return {n = unidist.sharedcounter.increment('n')}\", every: 1h, name: t, timeseries collect: {path: a.rrd, interval: 1s, fields: [n]}}
  - {sleep: 1100ms}
  - {thread: t, loop: 50}
";
    let running = Run::block(block).own(["-v"]).start();
    running.wait_for_result();
    let ended = running.interrupt();
    assert_eq!(ended.stderr.matches("Storing RRD occurrence").count(), 1, "{ended}");
}

#[test]
fn counters_are_rates_and_more_than_five_fields_are_drawn() {
    let names: Vec<String> = (0..8).map(|number| format!("f{number}")).collect();
    let result = "(function() local n = unidist.sharedcounter.increment('n') local r = {c = n * 100} for i = 0, 7 do r['f' .. i] = i end return r end)()";
    let collect = format!(
        "{{path: out/a.rrd, fields: {{c: {{type: COUNTER}}, {}: {{}}}}, graph: [{{path: out/a.png}}]}}",
        names.join(": {}, ")
    );
    let running = Run::block(&monitor(result, &collect)).start();
    let rates =
        || if running.path("out/a.rrd").exists() { rows(&running.path("out/a.rrd"), "c", 60) } else { Vec::new() };
    eventually("two rates", || rates().len() >= 2);
    let rates = rates();
    assert!(rates.iter().all(|(_, rate)| rate.is_some_and(|rate| (rate - 100.0).abs() < 1.0)), "{rates:?}");
    assert!(is_png(&running.path("out/a.png")));
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn a_killed_series_program_is_replaced_and_loses_nothing() {
    let collect = "{path: out/a.rrd, fields: [n], graph: [{path: out/a.png}]}";
    let running = Run::block(&monitor("{n = 7}", collect)).start();
    for round in 1..4 {
        eventually("a sample", || {
            running.path("out/a.rrd").exists() && rows(&running.path("out/a.rrd"), "n", 60).len() > round
        });
        eventually("the program", || series_of(&running).is_some());
        kill(series_of(&running).unwrap(), Signal::SIGKILL);
    }
    eventually("samples", || rows(&running.path("out/a.rrd"), "n", 60).len() > 5);
    let rows = rows(&running.path("out/a.rrd"), "n", 60);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    let times: Vec<i64> = rows.iter().map(|(time, _)| *time).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 1), "every second is there: {times:?}: {ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn what_was_measured_last_is_stored_at_the_end() {
    let collect = "{path: out/a.rrd, fields: [n]}";
    let running = Run::block(&monitor("{n = unidist.sharedcounter.increment('n')}", collect)).start();
    running.wait_for_result();
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0));
    assert_eq!(rows(&ended.path("out/a.rrd"), "n", 60)[0].1, Some(1.0), "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}
