//! Run-threads: period, sharing, failures, ends.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Run;

const LONGRUNNING: &str = "__usage: {longrunning: true}\n";

/// Nanoseconds that a shell wrote, one a line.
fn times(text: &str) -> Vec<i64> {
    text.lines().map(|line| line.trim().parse().unwrap()).collect()
}

#[test]
fn a_repeated_step_runs_again_and_again_and_never_twice_at_once() {
    let step = "{shell: 'echo start >> log.txt; sleep 0.06; echo end >> log.txt', cache: 0.05, thread_id: t}";
    let running = Run::block(&format!("{LONGRUNNING}run:\n  - {step}\n  - set: {{after: true}}\n")).start();
    let result = running.wait_for_result();
    let log = running.wait_for_lines("log.txt", 20);
    assert_eq!(running.interrupt().code, Some(0));
    assert_eq!(log.lines().take(20).collect::<Vec<_>>(), ["start", "end"].repeat(10));
    let run = &result["run"];
    assert_eq!((&run["status"], &run["after"]), (&json!([0]), &json!(true)), "the first result is in the list's data");
    assert_eq!(run["run_thread.t"]["is_running"], true);
    assert_eq!(run["run_thread.t"]["runs"], 1);
}

#[test]
fn the_period_is_from_start_to_start_and_does_not_drift() {
    let step = "{shell: 'date +%s%N >> log.txt; sleep 0.03', cache: 0.1, thread_id: t}";
    let running = Run::block(&format!("{LONGRUNNING}run:\n  - {step}\n")).start();
    let log = running.wait_for_lines("log.txt", 20);
    running.interrupt();
    let times = times(&log);
    // Behind the next multiple of the period since the first start, in milliseconds. A period that began at each run's
    // end would spread them over the whole period.
    let mut behind: Vec<i64> = times.iter().map(|time| (time - times[0]) / 1_000_000 % 100).collect();
    behind.iter_mut().filter(|behind| **behind > 80).for_each(|behind| *behind -= 100);
    behind.sort_unstable();
    let middle = behind[behind.len() / 2];
    let near = behind.iter().filter(|behind| (**behind - middle).abs() < 20).count();
    assert!(near >= 14, "{behind:?}");
}

#[test]
fn interval_wins_over_cache() {
    let step = "{lua: \"file.append('log.txt', 'x\\\\n')\", cache: 1h, interval: 20ms, thread_id: t}";
    let running = Run::block(&format!("{LONGRUNNING}run:\n  - {step}\n")).start();
    running.wait_for_lines("log.txt", 3);
    let every = running.wait_for_result()["run"]["run_thread.t"]["every"].clone();
    assert_eq!((running.interrupt().code, every), (Some(0), json!(0.02)));
}

#[test]
fn a_repeated_step_without_a_name_is_refused() {
    for (step, told) in [("cache: 5", "no thread_id"), ("every: 5s", "no name")] {
        let ended = Run::block(&format!("run:\n  - {{lua: return nil, {step}}}\n")).end();
        assert!(ended.refusal().contains(told), "{ended}");
        assert!(ended.stderr.contains("block.yaml:2:5"), "{ended}");
    }
    let twice = "run:\n  - {lua: return nil, every: 5s, name: t}\n  - {lua: return nil, every: 5s, name: t}\n";
    assert!(Run::block(twice).end().refusal().contains("two repeated steps have the name \"t\""));
}

#[test]
fn many_first_fetches_of_one_name_start_one_thread() {
    let mut block = String::from(
        "blocks:\n  shared:\n    run:\n      - {shell: 'echo x >> log.txt; sleep 0.3; date +%s%N', every: 1h, name: t}\nrun_simultaneous:\n",
    );
    for number in 0..20 {
        writeln!(block, "  fetch{number}: [{{call: shared}}]").unwrap();
    }
    let ended = Run::block(&block).end();
    let result = ended.result();
    let outputs: Vec<&Value> =
        (0..20).map(|number| &result["run_simultaneous"][format!("fetch{number}")]["run"]["output"]).collect();
    assert!(outputs[0].is_string() && outputs.iter().all(|output| *output == outputs[0]), "{ended}");
    assert_eq!(ended.read("log.txt"), "x\n");
}

#[test]
fn a_later_fetch_gets_the_newest_result_at_once() {
    let block = "
run:
  - {lua: \"return {n = unidist.sharedcounter.increment('n')}\", every: 30ms, name: t}
  - {set: {first: '${n}'}}
  - {thread: t, until: n >= 4, retry: {attempts: 500, delay: 10ms, delay max: 10ms}}
  - {assert: age >= 0 and age < 30}
";
    let run = Run::block(block).end().result()["run"].clone();
    assert_eq!(run["first"], 1);
    assert!(run["n"].as_i64().unwrap() >= 4, "{run}");
}

#[test]
fn a_thread_that_is_not_there_is_named() {
    let ended = Run::block("run:\n  - {lua: return nil, every: 1h, name: load}\n  - thread: laod\n").end();
    let told = ended.failure()["error"]["message"].as_str().unwrap().to_string();
    assert_eq!(told, "no run-thread has the name \"laod\"; there are: load");
}

#[test]
fn a_run_that_fails_is_told_and_the_next_one_happens() {
    let script = "
function ProcessBlock()
  local n = unidist.sharedcounter.increment('n')
  if n == 2 then error('the second run is broken') end
  file.append('log.txt', n .. '\\n')
  return {n = n}
end
";
    let running = Run::block(&format!("{LONGRUNNING}run:\n  - {{script: a.lua, every: 30ms, name: t}}\n"))
        .file("a.lua", script)
        .start();
    let log = running.wait_for_lines("log.txt", 3);
    assert!(log.starts_with("1\n3\n4\n"), "{log}");
    running.wait_for_error_text("the second run is broken");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(ended.stderr.matches("the second run is broken").count(), 1, "{ended}");
}

#[test]
fn the_last_good_result_is_kept_with_its_age() {
    let block = "
run:
  - {lua: \"local n = unidist.sharedcounter.increment('n'); if n > 1 then error('no more') end; return {n = n}\", every: 20ms, name: t}
  - {counter: {get: n, into: runs}, until: runs >= 5, retry: {attempts: 500, delay: 10ms, delay max: 10ms}}
  - thread: t
";
    let run = Run::block(block).end().result()["run"].clone();
    assert_eq!(run["n"], 1);
    assert!(run["age"].as_f64().unwrap() > 0.05, "{run}");
}

#[test]
fn a_first_run_that_fails_is_told_promptly() {
    let step = "{lua: error('never worked'), every: 1h, name: t}";
    let ended = Run::block(&format!("run:\n  - {step}\n  - set: {{never: true}}\n")).end();
    assert!(ended.failure()["error"]["message"].as_str().unwrap().contains("never worked"), "{ended}");
    assert!(ended.took < Duration::from_secs(5));
    // A long run is not ended by it, unless it says so.
    let running = Run::block(&format!("{LONGRUNNING}run:\n  - {step}\n  - set: {{reached: true}}\n")).start();
    let run = running.wait_for_result()["run"].clone();
    assert_eq!((&run["reached"], &run["run_thread.t"]["is_failing"]), (&json!(true), &json!(true)));
    assert!(run["run_thread.t"]["error"].as_str().unwrap().contains("never worked"), "{run}");
    assert_eq!(running.interrupt().code, Some(0));
    let strict = step.replace("name: t", "name: t, on error: stop");
    let ended = Run::block(&format!("{LONGRUNNING}run:\n  - {strict}\n")).end();
    assert!(ended.failure()["error"]["message"].as_str().unwrap().contains("never worked"), "{ended}");
}

#[test]
fn a_run_that_hangs_is_ended_at_its_time_out_and_the_next_one_happens() {
    let script = "
function ProcessBlock()
  local n = unidist.sharedcounter.increment('n')
  file.append('log.txt', n .. '\\n')
  if n == 2 then while true do pcall(function() while true do end end) end end
  if n == 3 then process.run({'sleep', '600'}) end
  return {n = n}
end
";
    let step = "{script: a.lua, every: 100ms, timeout: 200ms, name: t}";
    let running = Run::block(&format!("{LONGRUNNING}run:\n  - {step}\n")).file("a.lua", script).start();
    let log = running.wait_for_lines("log.txt", 5);
    assert!(log.starts_with("1\n2\n3\n4\n"), "{log}");
    let told = running.wait_for_error_texts("200ms", 2);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{told}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn duration_ends_a_thread() {
    let block = "
blocks:
  shared:
    run: [{lua: \"return {n = unidist.sharedcounter.increment('n')}\", every: 50ms, name: t, duration: 200ms}]
run:
  - call: shared
  - {sleep: 600ms}
  - call: shared
";
    let thread = Run::block(block).end().result()["run"]["run"]["run_thread.t"].clone();
    assert_eq!(thread["is_running"], false, "{thread}");
    assert!((2..=5).contains(&thread["runs"].as_i64().unwrap()), "{thread}");
}

#[test]
fn simultaneous_lists_take_as_long_as_the_longest() {
    let block = "
run simultaneous:
  one: [{sleep: 700ms}, {set: {n: 1}}]
  two: [{sleep: 700ms}, {set: {n: 2}}]
  three: [{exec: [sleep, '0.7']}, {set: {n: 3}}]
";
    let ended = Run::block(block).end();
    let result = ended.result()["run simultaneous"].clone();
    assert_eq!([&result["one"]["n"], &result["two"]["n"], &result["three"]["n"]], [1, 2, 3]);
    assert!(ended.took < Duration::from_millis(1400), "{:?}", ended.took);
}

#[test]
fn a_simultaneous_list_that_fails_leaves_the_others_alone() {
    let block = "
run simultaneous:
  good: [{sleep: 200ms}, {set: {n: 1}}]
  bad: [{set: {so_far: true}}, {lua: error('broken on purpose')}]
";
    let ended = Run::block(block).end();
    let result = ended.failure()["run simultaneous"].clone();
    assert_eq!((&result["good"]["n"], &result["bad"]["so_far"]), (&json!(1), &json!(true)));
    assert!(result["bad"]["error"]["message"].as_str().unwrap().contains("broken on purpose"), "{ended}");
}

#[test]
fn every_pushed_message_is_pulled_once() {
    let block = "
__usage: {longrunning: true}
run simultaneous:
  pusher:
    - {lua: \"unidist.messagequeue.add('push', pipe_data.index)\", loop: 500}
  puller:
    - loop: 500
      queue: {take: push, wait: 30s}
      until: \"false\"
    - lua: return nil
run:
  - {set: {started: true}}
";
    let pull = "function ProcessBlock()
  local found = unidist.messagequeue.take('push', {wait = 30})
  file.append('pulled.txt', found.message .. '\\n')
end
";
    let block = block.replace(
        "    - loop: 500\n      queue: {take: push, wait: 30s}\n      until: \"false\"\n    - lua: return nil\n",
        "    - {script: pull.lua, loop: 250}\n  other:\n    - {script: pull.lua, loop: 250}\n",
    );
    let running = Run::block(&block).file("pull.lua", pull).start();
    let text = running.wait_for_lines("pulled.txt", 500);
    assert_eq!(running.interrupt().code, Some(0));
    let mut pulled = times(&text);
    pulled.sort_unstable();
    assert_eq!(pulled, (0..500).collect::<Vec<_>>());
}

#[test]
fn hung_threads_leave_healthy_ones_on_time() {
    let (hung, healthy) = (200, 1000);
    let mut block = String::from("__usage: {longrunning: true}\nblocks:\n  healthy:\n    run:\n");
    for number in 0..healthy {
        let name = format!("name: healthy{number}");
        writeln!(block, "      - {{lua: \"unidist.sharedcounter.increment('beats')\", every: 2s, {name}}}").unwrap();
    }
    block.push_str("run simultaneous:\n");
    for number in 0..hung {
        writeln!(block, "  hung{number}: [{{exec: [sleep, '60'], every: 1s, timeout: 60s, name: hung{number}}}]")
            .unwrap();
    }
    block.push_str("run:\n  - call: healthy\n  - sleep: 5s\n  - call: healthy\n");
    let running = Run::block(&block).start();
    let result = running.wait_for_result();
    let sum = |field: &str| -> i64 {
        let threads = (0..healthy).map(|number| &result["run"]["run"][format!("run_thread.healthy{number}")]);
        threads.map(|thread| thread[field].as_i64().unwrap()).sum()
    };
    let (runs, late, skipped) = (sum("runs"), sum("late"), sum("skipped"));
    assert!(runs >= 3 * healthy && skipped == 0 && late * 10 <= runs, "{runs} runs, {late} late, {skipped} skipped");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0));
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn memory_grows_with_the_number_of_threads_and_not_its_square() {
    let mut block = format!("{LONGRUNNING}run:\n");
    for number in 0..2000 {
        writeln!(block, "  - {{lua: \"return {{n = {number}}}\", every: 1h, name: t{number}}}").unwrap();
    }
    let running = Run::block(&block).start();
    running.wait_for_result();
    assert!(running.memory_peak() < 150 << 20, "{} MiB", running.memory_peak() >> 20);
}

#[test]
fn a_hanging_first_run_does_not_delay_the_others_of_its_list() {
    let block = "
run:
  - set: {word: early}
  - {exec: [sleep, '600'], every: 1h, name: hanging}
  - {lua: \"file.append('log.txt', pipe_data.word .. '\\\\n')\", every: 20ms, name: prompt}
  - {lua: \"file.append('other.txt', 'x\\\\n')\", every: 20ms, name: conditional, if: word == 'early'}
  - {lua: \"file.append('later.txt', 'x\\\\n')\", every: 20ms, name: later}
";
    let running = Run::block(&format!("{LONGRUNNING}{block}")).start();
    assert!(running.wait_for_lines("log.txt", 3).starts_with("early\nearly\n"));
    running.wait_for_lines("later.txt", 3);
    // What an `if` asks for may come from the ones before it.
    assert!(!running.path("other.txt").exists());
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn repeated_steps_see_the_plain_steps_before_them_and_their_results_come_in_order() {
    let block = "
run:
  - {lua: 'return {n = 1, last = \"a\"}', every: 1h, name: a}
  - {lua: 'time.sleep(0.2); return {n = 2, last = \"b\"}', every: 1h, name: b}
  - {lua: 'return {n = 3, last = \"c\"}', every: 1h, name: c, if: n == 2}
  - {set: {m: '${n + 1}'}}
  - {lua: 'return {seen = pipe_data.m}', every: 1h, name: d}
";
    let run = Run::block(block).end().result()["run"].clone();
    assert_eq!([&run["last"], &run["n"], &run["m"], &run["seen"]], [&json!("c"), &json!(3), &json!(4), &json!(4)]);
    let names: Vec<&String> = run.as_object().unwrap().keys().filter(|key| key.starts_with("run_thread.")).collect();
    assert_eq!(names, ["run_thread.a", "run_thread.b", "run_thread.c", "run_thread.d"]);
}

#[test]
fn a_run_that_fails_again_and_again_is_told_once_and_so_is_its_recovery() {
    let script = "
function ProcessBlock()
  local n = unidist.sharedcounter.increment('n')
  file.append('log.txt', n .. '\\n')
  if n <= 10 then error('broken') elseif n <= 20 then error('worse') end
end
";
    let step = "{script: a.lua, every: 10ms, name: t, retry: {attempts: 2, delay: 1ms}}";
    let running = Run::block(&format!("{LONGRUNNING}run:\n  - {step}\n")).file("a.lua", script).start();
    running.wait_for_lines("log.txt", 22);
    running.wait_for_error_text("run-thread t: runs again after 10 failures in ");
    let ended = running.interrupt();
    let told: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("run-thread t: ")).collect();
    assert_eq!(told.len(), 3, "{ended}");
    assert!(told[0].contains("broken") && told[1].contains("worse"), "{ended}");
    assert_eq!(ended.stderr.matches("attempt 1 of 2").count(), 1, "{ended}");
}
