//! Children that resist: nothing of a step outlives it, its runner or its keeper.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Process, Run, Running, children_of, kill};

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);

/// What a busy machine may add.
const MARGIN: Duration = Duration::from_secs(4);

/// Ignores TERM, and so do its children; some of them leave its group and its session, one is orphaned twice.
const STUBBORN: &str = "#!/bin/sh
trap '' TERM INT HUP
sleep 600 &
setsid sleep 601 &
setsid sh -c 'setsid sleep 602 & sleep 603' &
(setsid sh -c '(sleep 604 &) &' &)
echo $$ > started
while :; do sleep 605; done
";

fn stubborn(block: &str) -> Running {
    let running = Run::block(block).executable("stubborn.sh", STUBBORN).start();
    running.wait_for_file("started", |text| text.ends_with('\n'));
    running
}

#[test]
fn a_step_past_its_time_leaves_nothing() {
    let running =
        stubborn("run:\n  - {exec: [./stubborn.sh], timeout: 500ms, on error: continue}\n  - set: {after: true}\n");
    let ended = running.end();
    assert_eq!(ended.result()["run"]["after"], true);
    assert!(ended.took < Duration::from_millis(500) + GRACE + MARGIN, "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn an_interrupt_leaves_nothing() {
    let ended = stubborn("run:\n  - exec: [./stubborn.sh]\n").interrupt();
    assert_eq!(ended.code, Some(130), "{ended}");
    assert!(ended.took < GRACE + MARGIN, "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn a_killed_runner_leaves_nothing() {
    let ended = stubborn("run:\n  - exec: [./stubborn.sh]\n").kill();
    assert_eq!(ended.code, None);
    ended.leaves_nothing_within(GRACE + MARGIN);
}

#[test]
fn a_kill_by_name_leaves_nothing() {
    let running = stubborn("run:\n  - exec: [./stubborn.sh]\n");
    let name = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    // As pkill does: both at once, if their names say so.
    let named: Vec<i32> =
        [running.keeper(), running.pid()].into_iter().filter(|pid| name(*pid).contains("procblock")).collect();
    assert!(named.contains(&running.pid()));
    named.iter().for_each(|pid| kill(*pid, Signal::SIGKILL));
    let ended = running.end();
    assert_eq!(ended.code, None);
    ended.leaves_nothing_within(GRACE + MARGIN);
}

#[test]
fn a_killed_keeper_is_replaced_and_leaves_nothing() {
    let block = "run:\n  - {exec: [./stubborn.sh], on error: continue}\n  - {exec: [echo, again], output: lines, name: after}\n";
    let running = stubborn(block);
    let pid: i32 = running.wait_for_file("started", |_| true).trim().parse().unwrap();
    let stubborn = Process::open(pid);
    kill(running.keeper(), Signal::SIGKILL);
    assert!(stubborn.ends_within(GRACE + MARGIN));
    let ended = running.end();
    assert_eq!(ended.result()["run"]["after"]["output"][0], "again", "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn a_keeper_killed_again_and_again_is_replaced() {
    let block = "__usage: {longrunning: true}\nrun:\n  - {exec: [sh, -c, 'sleep 0.01; echo x >> log.txt'], every: 20ms, name: t}\n";
    let running = Run::block(block).start();
    running.wait_for_lines("log.txt", 1);
    for _ in 0..10 {
        let keeper = running.keeper();
        let gone = Process::open(keeper);
        kill(keeper, Signal::SIGKILL);
        assert!(gone.ends_within(MARGIN));
        let count = running.wait_for_lines("log.txt", 1).lines().count();
        running.wait_for_lines("log.txt", count + 2);
    }
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn a_stopped_child_is_ended_too() {
    let block = "run:\n  - {shell: 'echo $$ > started; kill -STOP $$', timeout: 500ms, on error: continue}\n";
    let ended = Run::block(block).end();
    assert!(ended.took < GRACE + MARGIN, "{ended}");
    assert_eq!(ended.code, Some(0));
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn a_fork_storm_is_ended() {
    let storm =
        "#!/bin/sh\ntrap '' TERM\necho x > started\nwhile [ -e started ]; do setsid sleep 0.2 & sleep 0.01; done\n";
    let block = "run:\n  - {exec: [./storm.sh], timeout: 300ms}\n";
    let running = Run::block(block).executable("storm.sh", storm).start();
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.took < GRACE + MARGIN, "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn a_run_without_children_has_no_keeper() {
    let running = Run::block("__usage: {longrunning: true}\nrun:\n  - lua: return {n = 1}\n").start();
    running.wait_for_result();
    assert_eq!(children_of(running.pid()), Vec::<i32>::new());
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0));
}
