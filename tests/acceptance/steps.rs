//! Steps that need files, time or much data. What can be said as data stands in `tests/cases/steps/`.

use std::time::Duration;

use serde_json::json;

use crate::support::Run;

/// What a debug build of procblock may use at its peak, besides what it holds for the user.
const MEMORY_BASE: u64 = 64 << 20;

#[test]
fn three_hundred_kilobytes_come_back_whole() {
    let block = "run:\n  - {exec: [sh, -c, 'seq 1 60000; seq 1 60000 >&2'], name: seq}\n";
    let ended = Run::block(block).end();
    let expected: String = (1..=60_000).map(|number| format!("{number}\n")).collect();
    assert!(expected.len() > 300_000);
    let run = &ended.result()["run"];
    assert_eq!(run["output"], json!(expected));
    assert_eq!(run["output_error"], json!(expected));
}

#[test]
fn three_hundred_megabytes_are_cut_with_a_mark_and_bounded_memory() {
    let block = "__usage: {longrunning: true}\nrun:\n  - {exec: [sh, -c, 'yes 0123456789 | head -c 300000000'], name: big}\n  - lua: \"return {length = #pipe_data.output, output = '', big = '', mark = pipe_data.output:match('%[.* bytes cut%]')}\"\n";
    let running = Run::block(block).start();
    let result = running.wait_for_result();
    let peak = running.memory_peak();
    assert_eq!(running.interrupt().code, Some(0));
    let length = result["run"]["length"].as_u64().unwrap();
    assert!((8 << 20..9 << 20).contains(&length), "{length}");
    let mark = result["run"]["mark"].as_str().unwrap();
    assert_eq!(mark, format!("[… {} bytes cut]", 300_000_000 - (8 << 20)));
    // Captured once, and copied for pipe data, the named result, the script's copy, JSON and print.
    assert!(peak < MEMORY_BASE + 12 * (8 << 20), "{} MiB", peak >> 20);
}

#[test]
fn output_sent_to_a_file_is_whole_and_takes_no_memory() {
    let block =
        "__usage: {longrunning: true}\nrun:\n  - {exec: [head, -c, '100000000', /dev/zero], output: {file: big.bin}}\n";
    let running = Run::block(block).start();
    running.wait_for_result();
    let peak = running.memory_peak();
    let ended = running.interrupt();
    assert_eq!(std::fs::metadata(ended.path("big.bin")).unwrap().len(), 100_000_000);
    assert!(peak < MEMORY_BASE, "{} MiB", peak >> 20);
}

#[test]
fn a_shell_step_past_its_time_fails_with_its_children_gone() {
    let block = "run:\n  - {shell: 'sleep 600 & sleep 601; echo never', timeout: 300ms}\n  - set: {never: true}\n";
    let ended = Run::block(block).end();
    let failure = ended.failure();
    assert!(ended.took < Duration::from_secs(5), "TERM ends it: {ended}");
    ended.leaves_nothing_within(Duration::ZERO);
    assert!(failure["error"]["message"].as_str().unwrap().contains("timed out after 300ms"), "{ended}");
    assert_eq!(failure["run"].get("never"), None);
}

#[test]
fn a_step_past_its_time_with_on_error_continue_lets_the_list_go_on() {
    let block =
        "run:\n  - {shell: 'echo before; sleep 600', timeout: 300ms, on error: continue}\n  - set: {reached: true}\n";
    let run = Run::block(block).end().result()["run"].clone();
    assert_eq!((&run["reached"], &run["output"]), (&json!(true), &json!("before\n")));
    assert_eq!(run["status"].as_array().unwrap().len(), 1);
    assert_ne!(run["status"][0], 0);
}

#[test]
fn a_lua_script_past_its_time_fails() {
    for loops in ["while true do end", "while true do pcall(function() while true do end end) end"] {
        let ended = Run::block(&format!("run:\n  - {{lua: '{loops}', timeout: 200ms}}\n")).end();
        assert!(ended.failure()["error"]["message"].as_str().unwrap().contains("200ms"), "{ended}");
        assert!(ended.took < Duration::from_secs(5), "{ended}");
    }
}

#[test]
fn limits_of_a_child_hold() {
    let block = "run:\n  - {shell: 'ulimit -n; ulimit -v; ulimit -t', limits: {files: 50, memory: 1GiB, cpu: 7s}, output: lines}\n";
    assert_eq!(Run::block(block).end().result()["run"]["output"], json!(["50", "1048576", "7"]));
    let ended = Run::block("run:\n  - {shell: 'while :; do :; done', limits: {cpu: 1s}}\n").end();
    assert!(ended.failure()["error"]["message"].as_str().unwrap().contains("SIGXCPU"), "{ended}");
}

#[test]
fn standard_input_of_children_is_empty() {
    let run = Run::block("run:\n  - {exec: [cat], timeout: 5s}\n").end().result()["run"].clone();
    assert_eq!(run["output"], "");
}

#[test]
fn what_a_step_left_in_the_background_ends_with_it() {
    let ended = Run::block("run:\n  - shell: setsid sleep 600 & sleep 601 & echo started\n").end();
    assert_eq!(ended.result()["run"]["output"], "started\n");
    assert!(ended.took < Duration::from_secs(5), "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn hundreds_of_steps_leave_no_process_and_no_descriptor() {
    let block = "run:\n  - {exec: [/bin/true], loop: 300, output: none}\n  - {shell: 'ls /proc/$PPID/fd | wc -l', output: lines}\n";
    let run = Run::block(block).end().result()["run"].clone();
    let open: u32 = run["output"][0].as_str().unwrap().trim().parse().unwrap();
    assert!(open < 40, "{open} descriptors of the keeper");
}
