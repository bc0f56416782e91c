//! Arguments, what is printed where, exit codes. What can be said as data stands in `tests/cases/command_line/`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::support::Run;

/// The author's first published example.
const SIMPLEST: &str = "run:\n  - script: simplest.lua\n";

const RANDOM: &str = "function ProcessBlock() return {random = math.random(0, 100)} end\n";

#[test]
fn the_result_of_one_script_is_printed_with_its_time_and_duration() {
    let ended = Run::named("simplest.yaml", SIMPLEST).file("simplest.lua", RANDOM).end();
    let run = &ended.result()["run"];
    assert!((0..=100).contains(&run["random"].as_i64().unwrap()), "{ended}");
    assert_eq!(run["args"], json!([]));
    assert!(run["__duration"].as_f64().unwrap() >= 0.0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - run["__start_time"].as_f64().unwrap();
    assert!((0.0..60.0).contains(&age), "started {age} s ago");
    assert_eq!(ended.stderr, "", "nothing but the result is told without -v");
}

#[test]
fn without_a_file_the_usage_is_told() {
    let ended = Run::bare().end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("no procblock YAML file was specified"), "{ended}");
    assert!(ended.stderr.contains("usage: procblock FILE"), "{ended}");
}

#[test]
fn help_and_version_are_printed() {
    let help = Run::bare().words(["--help"]).end();
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for text in ["procblock FILE", "check", "Exit codes:", "78"] {
        assert!(help.stdout.contains(text), "{text} is not in {help}");
    }
    let version = Run::bare().words(["--version"]).end();
    assert_eq!((version.code, version.stdout), (Some(0), format!("procblock {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn paths_in_a_file_start_from_its_folder_whatever_the_callers_is() {
    let ended = Run::bare()
        .file("deep/er/block.yaml", "run:\n  - script: a.lua\n  - {shell: 'cat here.txt', output: lines}\n")
        .file("deep/er/a.lua", "function ProcessBlock() return {a = 1} end")
        .file("deep/er/here.txt", "found\n")
        .words(["deep/er/block.yaml"])
        .end();
    let run = &ended.result()["run"];
    assert_eq!((&run["a"], &run["output"]), (&json!(1), &json!(["found"])));
}

#[test]
fn cwd_moves_outputs_and_children_and_leaves_scripts_and_the_caller() {
    let block = "run:\n  - script: a.lua\n  - exec: [touch, made]\n  - {exec: [echo, text], output: {file: out.txt}}\n";
    let run = Run::block(block).file("a.lua", "function ProcessBlock() return {a = 1} end").file("else/where", "");
    let ended = run.own(["--cwd", "else"]).end();
    assert_eq!(ended.result()["run"]["a"], 1);
    assert_eq!(ended.read("else/out.txt"), "text\n");
    assert!(ended.path("else/made").exists() && !ended.path("made").exists());
    let usage = format!("{block}__usage: {{cwd: else}}\n");
    let ended = Run::block(&usage).file("a.lua", "function ProcessBlock() end").file("else/where", "").end();
    ended.result();
    assert!(ended.path("else/made").exists() && !ended.path("made").exists());
}

#[test]
fn a_closed_standard_output_is_no_crash() {
    let wrapper = "#!/bin/sh\n\"$PROCBLOCK\" block.yaml 2>err | true\n";
    let run = Run::named("outer.yaml", "run:\n  - exec: [./closed.sh]\n")
        .file("block.yaml", "run:\n  - lua: \"return {text = string.rep('x', 1000000)}\"\n")
        .executable("closed.sh", wrapper)
        .variable("PROCBLOCK", env!("CARGO_BIN_EXE_procblock"));
    let ended = run.end();
    ended.result();
    assert_eq!(ended.read("err"), "");
}

#[test]
fn daemon_is_refused_with_the_remedy() {
    let ended = Run::block("__usage: {daemon: true, pidfile: a.pid}\nrun: []\n").end();
    assert!(ended.refusal().contains("block.yaml:1:"), "{ended}");
    assert!(ended.stderr.contains("daemon is not supported") && ended.stderr.contains("systemd"), "{ended}");
}

#[test]
fn a_secret_comes_from_the_environment_and_stands_nowhere() {
    let block = "__usage:\n  options: {password: {type: value, secret: true, env: STORE_PASSWORD}}\n\
                 run:\n  - {exec: [printf, '%s', '${password}'], name: said}\n";
    let given = Run::block(block).variable("ELSEWHERE", "hunter2-given").words(["--password", "env:ELSEWHERE"]);
    let absent = Run::block(block).variable("STORE_PASSWORD", "hunter2-default");
    for ended in [given.end(), absent.end()] {
        assert_eq!(ended.result()["run"]["said"]["output"], "***");
        assert!(!ended.stdout.contains("hunter2") && !ended.stderr.contains("hunter2"), "{ended}");
    }
}
