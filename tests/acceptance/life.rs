//! Starts, signals and ends of an instance.

use std::fmt::Write;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::Run;

const LONGRUNNING: &str = "__usage: {longrunning: true}\n";

#[test]
fn a_long_run_ends_by_interrupt_and_by_term_with_exit_code_zero() {
    let block = format!("{LONGRUNNING}run:\n  - {{lua: return nil, every: 1h, name: t}}\n  - {{set: {{a: 1}}}}\n");
    let running = Run::block(&block).start();
    assert_eq!(running.wait_for_result()["run"]["a"], 1);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0));
    assert!(ended.took < Duration::from_millis(500), "sleepers wake at once: {:?}", ended.took);
    let running = Run::block(&block).start();
    running.wait_for_result();
    let ended = running.terminate();
    assert_eq!(ended.code, Some(0));
    assert!(ended.took < Duration::from_millis(500), "sleepers wake at once: {:?}", ended.took);
}

#[test]
fn a_signal_during_the_first_pass_ends_it() {
    let waits = [
        "{sleep: 1h}",
        "{exec: [sleep, '3600']}",
        "{shell: 'sleep 3600 & sleep 3600; wait'}",
        "{queue: {take: empty, wait: 1h}}",
        "{lua: 'while true do end'}",
        "{lua: \"process.run({'sleep', '3600'})\"}",
        "{lua: \"unidist.messagequeue.take('empty', {wait = 3600})\"}",
        "{exec: [/bin/false], retry: {attempts: 9, delay: 1h, delay max: 1h}}",
        "{sleep: 1h, every: 2h, name: t}",
    ];
    for wait in waits {
        for (usage, code) in [("", 130), (LONGRUNNING, 0)] {
            let running = Run::block(&format!("{usage}run:\n  - exec: [touch, started]\n  - {wait}\n")).start();
            running.wait_for_file("started", |_| true);
            let ended = running.interrupt();
            assert_eq!(ended.code, Some(code), "{usage}{wait}: {ended}");
            assert!(ended.took < Duration::from_secs(2), "{wait}: {ended}");
            assert!(!ended.stderr.contains("error"), "a stop is no error: {usage}{wait}: {ended}");
            assert_eq!(
                ended.json().get("error").is_some(),
                usage.is_empty(),
                "only a short run's result is not whole: {ended}"
            );
            ended.leaves_nothing_within(Duration::ZERO);
        }
    }
    let running = Run::block("run:\n  - exec: [touch, started]\n  - {sleep: 1h}\n").start();
    running.wait_for_file("started", |_| true);
    assert_eq!(running.terminate().code, Some(143));
}

#[test]
fn a_signal_while_a_lock_is_waited_for_ends_the_wait() {
    let inner = "require lock: {name: busy}\nrun: [{set: {never: true}}]\n";
    let block = format!("{LONGRUNNING}require lock: {{name: busy}}\nrun:\n  - exec: [touch, started]\n  - sleep: 1h\n");
    let holder = Run::block(&block).file("inner.yaml", inner).start();
    holder.wait_for_file("started", |_| true);
    let runtime = holder.path(".runtime");
    let waiting = Run::named("waiting.yaml", inner).variable("XDG_RUNTIME_DIR", runtime.to_str().unwrap()).start();
    // It waits for the lock as soon as it holds no other file of the runtime folder open any more; the signal may
    // come at any moment before that too.
    let ended = waiting.interrupt();
    assert!(matches!(ended.code, Some(130) | None), "{ended}");
    assert!(ended.took < Duration::from_secs(2), "{ended}");
    assert_eq!(holder.interrupt().code, Some(0));
}

#[test]
fn always_lists_run_when_a_signal_ends_the_first_pass() {
    let block = "run:\n  - exec: [touch, started]\n  - sleep: 1h\nalways:\n  - lua: \"file.write('cleaned', 'yes')\"\n";
    let running = Run::block(block).start();
    running.wait_for_file("started", |_| true);
    let ended = running.interrupt();
    assert_eq!((ended.code, ended.read("cleaned").as_str()), (Some(130), "yes"), "{ended}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let block = format!("{LONGRUNNING}run:\n  - shell: trap '' TERM; touch started; while :; do sleep 600; done\n");
    let running = Run::block(&block).start();
    running.wait_for_file("started", |_| true);
    running.signal(Signal::SIGTERM);
    crate::support::eventually("the stop", || running.has_taken_signals());
    let ended = running.interrupt();
    assert!(ended.took < Duration::from_secs(1), "{ended}");
    assert_ne!(ended.code, Some(0));
    ended.leaves_nothing_within(Duration::from_secs(8));
}

#[test]
fn a_signal_given_twice_is_one() {
    let block = "run:\n  - exec: [touch, started]\n  - sleep: 1h\nalways:\n  - exec: [sleep, 0.1]\n  - lua: \"file.write('cleaned', 'yes')\"\n";
    let running = Run::block(block).start();
    running.wait_for_file("started", |_| true);
    running.signal(Signal::SIGINT);
    crate::support::eventually("the first to be taken", || running.has_taken_signals());
    let ended = running.interrupt();
    assert_eq!((ended.code, ended.read("cleaned").as_str()), (Some(130), "yes"), "{ended}");
}

#[test]
fn any_script_that_releases_running_ends_the_process() {
    let block = format!(
        "{LONGRUNNING}run:\n  - {{lua: return nil, every: 10ms, name: busy}}\n  - {{script: stop.lua, every: 50ms, name: stopper}}\n"
    );
    let stop = "function ProcessBlock()
  if unidist.sharedcounter.increment('n') < 3 then return {held = unidist.sharedlock.is_locked('__running')} end
  unidist.sharedlock.release('__running')
end
";
    let ended = Run::block(&block).file("stop.lua", stop).end();
    assert_eq!(ended.result()["run"]["held"], true);
    assert!(ended.took < Duration::from_secs(5), "{ended}");
}

#[test]
fn a_short_file_ends_after_one_pass_though_it_repeats() {
    let block = "run:\n  - {lua: \"return {n = 1}\", every: 10ms, name: t}\n  - {lua: \"return {m = 1}\", every: 1h, name: u}\n";
    let ended = Run::block(block).end();
    assert_eq!(ended.result()["run"]["n"], 1);
    let once = Run::block(&format!("{LONGRUNNING}{block}")).own(["run", "--once"]).end();
    assert_eq!(once.result()["run"]["m"], 1);
}

#[test]
fn a_failed_first_pass_ends_a_long_run_with_exit_code_one() {
    let block = format!(
        "{LONGRUNNING}run simultaneous:\n  side: [{{exec: [sleep, '600']}}]\nrun:\n  - {{lua: return nil, every: 10ms, name: t}}\n  - lua: error('broken on purpose')\n"
    );
    let ended = Run::block(&block).end();
    assert!(ended.failure()["error"]["message"].as_str().unwrap().contains("broken on purpose"), "{ended}");
    assert!(ended.took < Duration::from_secs(5), "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn steps_that_wait_for_nothing_leave_signals_and_time_limits_their_turn() {
    let block = format!(
        "{LONGRUNNING}blocks:\n  inner:\n    run: [{{loop: 1000000, set: {{x: 1}}}}]\nrun: [{{exec: [touch, started]}}]\nrun simultaneous:\n  one: [{{loop: 1000000, call: inner}}]\n  two: [{{loop: 1000000, call: inner}}]\n"
    );
    let running = Run::block(&block).start();
    running.wait_for_file("started", |_| true);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.took < Duration::from_secs(10), "{ended}");
    let calls = "{call: inner, on error: continue}";
    let block = format!("blocks:\n  inner:\n    run: [{calls}, {calls}]\nrun:\n  - {{call: inner, timeout: 300ms}}\n");
    let ended = Run::block(&block).end();
    assert!(ended.failure()["error"]["message"].as_str().unwrap().contains("timed out after 300ms"), "{ended}");
}

#[test]
fn a_pipe_is_no_file_that_a_script_could_wait_for() {
    let block = "run:\n  - exec: [mkfifo, pipe]\n  - {lua: \"file.read('pipe')\"}\n";
    let ended = Run::block(block).end();
    assert!(ended.failure()["error"]["message"].as_str().unwrap().contains("use a child process"), "{ended}");
}

#[test]
fn a_thousand_sleeping_threads_end_by_interrupt_in_half_a_second() {
    let mut block = format!("{LONGRUNNING}run:\n");
    for number in 0..1000 {
        writeln!(block, "  - {{lua: \"return {{n = {number}}}\", every: 1h, name: t{number}}}").unwrap();
    }
    let running = Run::block(&block).start();
    running.wait_for_result();
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.took < Duration::from_millis(500), "{:?}", ended.took);
}

#[test]
fn a_thousand_lists_in_a_sleep_end_by_interrupt_in_half_a_second() {
    let mut block = format!("{LONGRUNNING}run simultaneous:\n");
    for number in 0..1000 {
        writeln!(block, "  t{number}: [{{sleep: 1h}}]").unwrap();
    }
    let running = Run::block(&block).start();
    running.wait_for_result();
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.took < Duration::from_millis(500), "{:?}", ended.took);
}
