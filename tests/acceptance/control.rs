//! Commands that talk to a running instance, and what ties it to the machine.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Ended, LONG, Run, Running, eventually};

const TICKING: &str =
    "__usage: {longrunning: true}\nrun:\n  - {lua: \"log.info('tick') return {n = 1}\", every: 50ms, name: ticker}\n";

/// A command beside a running instance.
fn beside(running: &Running, words: &[&str]) -> Run {
    let runtime = running.path(".runtime");
    Run::bare().variable("XDG_RUNTIME_DIR", runtime.to_str().unwrap()).words(words.iter().copied())
}

fn command(running: &Running, words: &[&str]) -> Ended {
    beside(running, words).end()
}

/// What a command prints that must succeed.
fn printed(running: &Running, words: &[&str]) -> String {
    let ended = command(running, words);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{words:?}: {ended}");
    ended.stdout
}

fn started(text: &str) -> Running {
    let running = Run::block(text).start();
    running.wait_for_result();
    running
}

#[test]
fn a_running_instance_is_listed_shown_and_stopped() {
    let running = started(TICKING);
    let list: Value = serde_json::from_str(&printed(&running, &["list", "-o", "json"])).unwrap();
    assert_eq!((&list[0]["name"], &list[0]["pid"]), (&json!("block"), &json!(running.pid())));
    assert_eq!(list[0]["file"], running.path("block.yaml").to_str().unwrap());
    let text = printed(&running, &["list"]);
    assert!(text.starts_with("NAME   PROCESS  SINCE") && text.contains(&running.pid().to_string()), "{text}");
    let status: Value = serde_json::from_str(&printed(&running, &["status", "block", "-o", "json"])).unwrap();
    let ticker = &status["threads"]["ticker"];
    assert_eq!((&ticker["every"], &ticker["failed"]), (&json!(0.05), &json!(0)), "{status}");
    assert!(ticker["runs"].as_u64() >= Some(1) && ticker["age"].is_f64(), "{status}");
    let text = printed(&running, &["status"]);
    assert!(text.contains("RUN-THREAD  EVERY  LAST START") && text.contains("ticker      50ms"), "{text}");
    assert_eq!(printed(&running, &["stop"]), "");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(!ended.path(".runtime/procblock/block.sock").exists());
    assert!(!ended.path(".runtime/procblock/block.lock").exists());
}

#[test]
fn without_an_instance_commands_say_so_with_exit_code_three() {
    let ended = Run::bare().words(["status"]).end();
    let text = "error: no instance is running; start one with procblock FILE\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(3), text), "{ended}");
    let ended = Run::bare().words(["counter", "get", "x"]).end();
    assert_eq!(ended.code, Some(3), "{ended}");
    let ended = Run::bare().words(["list"]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), "no instance is running\n"), "{ended}");
    let running = started(TICKING);
    let ended = command(&running, &["stop", "blok"]);
    let text = "error: no instance named \"blok\" is running; did you mean block?\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(3), text), "{ended}");
    running.interrupt();
}

#[test]
fn of_several_instances_one_must_be_named() {
    let one = started(TICKING);
    let runtime = one.path(".runtime");
    let two = Run::named("other.yaml", TICKING).variable("XDG_RUNTIME_DIR", runtime.to_str().unwrap()).start();
    two.wait_for_result();
    let ended = command(&one, &["counter", "get", "x"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended}");
    assert!(
        ended.stderr.contains(
            "several instances are running: name one, as in: procblock status NAME, or procblock counter list -i NAME\n"
        ),
        "{ended}"
    );
    assert!(ended.stderr.contains("block") && ended.stderr.contains("other"), "{ended}");
    printed(&one, &["counter", "set", "x", "-5", "-i", "other"]);
    assert_eq!(printed(&one, &["counter", "get", "x", "--instance", "other"]), "-5\n");
    assert_eq!(printed(&one, &["counter", "get", "x", "-i", "block"]), "0\n");
    printed(&one, &["stop", "other"]);
    assert_eq!(two.end().code, Some(0));
    assert_eq!(printed(&one, &["counter", "increment", "x"]), "1\n");
    assert_eq!(one.interrupt().code, Some(0));
}

#[test]
fn a_second_start_under_one_name_is_refused_with_the_process() {
    let running = started(TICKING);
    let again = beside(&running, &[]).file("block.yaml", "__usage: {longrunning: true}\nrun: [{exec: [touch, ran]}]\n");
    let ended = again.of_file("block.yaml").end();
    assert_eq!(ended.code, Some(1), "{ended}");
    let part = format!("an instance named \"block\" is already running, as process {}", running.pid());
    assert!(ended.stderr.contains(&part), "{ended}");
    assert!(!ended.path("ran").exists());
    // A short file has no name to take.
    let short = beside(&running, &[]).file("block.yaml", "run: [{set: {a: 1}}]\n").of_file("block.yaml").end();
    assert_eq!(short.result()["run"]["a"], 1);
    running.interrupt();
}

#[test]
fn after_a_kill_the_name_is_free() {
    let ended = started(TICKING).kill();
    assert!(ended.path(".runtime/procblock/block.sock").exists());
    let running = Run::again(&ended).start();
    running.wait_for_result();
    assert!(printed(&running, &["list"]).contains("block"));
    running.interrupt();
}

#[test]
fn shared_things_are_read_and_changed_from_outside() {
    let running = started(TICKING);
    let print = |words: &[&str]| printed(&running, words);
    assert_eq!(print(&["counter", "increment", "c", "5"]), "5\n");
    assert_eq!(print(&["counter", "list", "-o", "json"]), "{\n  \"c\": 5\n}\n");
    assert_eq!(print(&["state", "set", "b", "k", "{\"a\": [1, null]}"]), "");
    assert_eq!(print(&["state", "get", "b", "k"]), "{\"a\":[1,null]}\n");
    print(&["state", "set", "b", "t", "5", "--text"]);
    assert_eq!(print(&["state", "get", "b", "t", "-o", "json"]), "\"5\"\n");
    print(&["state", "set", "b", "n", "-5"]);
    assert_eq!(print(&["state", "get", "b", "n"]), "-5\n");
    assert_eq!(print(&["state", "get", "b", "none", "--default", "7"]), "7\n");
    assert_eq!(command(&running, &["state", "get", "b", "none"]).code, Some(1));
    assert_eq!(print(&["state", "keys", "b"]), "k\nn\nt\n");
    assert_eq!(print(&["state", "keys"]), "b\n");
    assert!(print(&["state", "search", "5"]).contains("b       n    -5"));
    assert_eq!(command(&running, &["state", "set", "b", "k", "1", "--revision", "0"]).code, Some(1));
    print(&["state", "set", "b", "new", "1", "--revision", "0"]);
    let late = command(&running, &["state", "remove", "b", "new", "--revision", "999999"]);
    assert_eq!(late.code, Some(1));
    assert!(late.stderr.contains("the key \"new\" does not have revision 999999: it has revision "), "{late}");
    print(&["state", "remove", "b", "new"]);
    print(&["state", "remove", "b", "k"]);
    assert_eq!(command(&running, &["state", "remove", "b", "k"]).code, Some(1));
    print(&["queue", "add", "q", "{\"n\": 1}"]);
    assert_eq!(print(&["queue", "add", "q", "second", "--id", "two", "--priority", "-1"]), "two\n");
    assert_eq!(print(&["queue", "peek", "q", "-n", "9"]), "{\"n\":1}\nsecond\n");
    assert_eq!((print(&["queue", "count", "q"]), print(&["queue", "list"])), ("2\n".into(), "q\n".into()));
    assert_eq!(print(&["queue", "take", "q"]), "{\"n\":1}\n");
    let message: Value = serde_json::from_str(&print(&["queue", "take", "q", "-o", "json"])).unwrap();
    assert_eq!((&message["id"], &message["message"]), (&json!("two"), &json!("second")));
    assert_eq!(command(&running, &["queue", "take", "q"]).code, Some(1));
    assert_eq!(command(&running, &["queue", "take", "q", "--wait", "10ms"]).code, Some(124));
    assert_eq!(command(&running, &["counter", "set", "c", "many"]).code, Some(2));
    running.interrupt();
}

#[test]
fn a_message_is_waited_for_from_outside() {
    let running = started(TICKING);
    let taking = beside(&running, &["queue", "take", "q", "--wait", "1m"]).start();
    printed(&running, &["queue", "add", "q", "hello"]);
    let ended = taking.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "hello\n"), "{ended}");
    running.interrupt();
}

#[test]
fn locks_are_listed_and_released_by_force() {
    let block = "__usage: {longrunning: true}\nrun:\n  - {lua: \"unidist.sharedlock.acquire('deploy', {owner = 'me'})\"}\n  - {lua: return nil, every: 1h, name: t}\n";
    let running = started(block);
    let locks: Value = serde_json::from_str(&printed(&running, &["lock", "list", "-o", "json"])).unwrap();
    assert_eq!((&locks[0]["name"], &locks[0]["owner"]), (&json!("deploy"), &json!("me")), "{locks}");
    let ended = command(&running, &["lock", "release", "deploy"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("not the holder"), "{ended}");
    printed(&running, &["lock", "release", "deploy", "--force"]);
    assert_eq!(command(&running, &["lock", "release", "deploy", "--force"]).code, Some(1));
    running.interrupt();
}

#[test]
fn logs_are_shown_and_followed_to_the_end() {
    let running = started(TICKING);
    eventually("a tick", || printed(&running, &["logs"]).contains(" info  script "));
    let lines = printed(&running, &["logs", "-n", "3", "-o", "json"]);
    assert_eq!(lines.lines().count(), 3, "{lines}");
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].is_string() && line["level"].is_string() && line["text"].is_string(), "{line}");
    }
    let following = beside(&running, &["logs", "-f", "-n", "0", "-o", "json"]).start();
    following.wait_for_line("tick");
    printed(&running, &["stop"]);
    assert_eq!(running.end().code, Some(0));
    let ended = following.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), "the instance ended\n"), "{ended}");
    assert!(ended.stdout.contains("Quitting...") && ended.stdout.contains("\"thread\":\"ticker\""), "{ended}");
}

#[test]
fn what_a_child_prints_is_in_the_log_under_its_step() {
    let block = "__usage: {longrunning: true}\nrun:\n  - {name: greet, shell: 'echo hello'}\n  - {lua: return nil, every: 1h, name: t}\n";
    let running = started(block);
    let lines = printed(&running, &["logs", "-o", "json"]);
    let line = lines.lines().find(|line| line.contains("\"output\"")).unwrap_or_else(|| panic!("{lines}"));
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["step"], &line["text"]), (&json!("greet"), &json!("hello")), "{line}");
    running.interrupt();
}

#[test]
fn a_reload_swaps_the_file_and_a_bad_one_is_refused() {
    let running = started(TICKING);
    std::fs::write(running.path("block.yaml"), TICKING.replace("name: ticker", "name: newer")).unwrap();
    assert!(printed(&running, &["reload"]).starts_with("reloaded "));
    let status: Value = serde_json::from_str(&printed(&running, &["status", "-o", "json"])).unwrap();
    assert!(status["threads"]["newer"].is_object() && status["threads"]["ticker"].is_null(), "{status}");
    std::fs::write(running.path("block.yaml"), "run: [{luaa: x}]\n").unwrap();
    let ended = command(&running, &["reload"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains("block.yaml:1:") && ended.stderr.contains("did you mean"), "{ended}");
    let status: Value = serde_json::from_str(&printed(&running, &["status", "-o", "json"])).unwrap();
    assert!(status["threads"]["newer"].is_object(), "{status}");
    running.interrupt();
}

#[test]
fn a_name_with_anything_in_it_is_one_name() {
    let name = "a/../b $(touch x)\u{1b}[2J\n'\"";
    let running = Run::block(TICKING).own(["run", "--name", name]).start();
    running.wait_for_result();
    let text = printed(&running, &["list"]);
    assert!(text.contains("a/../b $(touch x)\\x1b[2J\\n'\""), "{text}");
    printed(&running, &["stop", name]);
    let ended = running.end();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.path("x").exists());
}

#[test]
fn a_pidfile_is_held_while_the_instance_lives() {
    let block = TICKING.replace("longrunning: true", "longrunning: true, pidfile: run/x.pid");
    let running = started(&block);
    assert_eq!(running.wait_for_file("run/x.pid", |_| true), format!("{}\n", running.pid()));
    let twin = Run::named("twin.yaml", &block.replace("run/x.pid", running.path("run/x.pid").to_str().unwrap())).end();
    assert_eq!(twin.code, Some(1), "{twin}");
    assert!(twin.stderr.contains(&format!("is held by the running process {}", running.pid())), "{twin}");
    let ended = running.kill();
    assert!(ended.path("run/x.pid").exists());
    let again = Run::again(&ended).start();
    again.wait_for_result();
    assert_eq!(again.wait_for_file("run/x.pid", |_| true), format!("{}\n", again.pid()));
    assert!(!again.interrupt().path("run/x.pid").exists());
}

#[test]
fn a_service_manager_is_told_of_start_reload_life_and_end() {
    let run = Run::block(TICKING);
    let socket = UnixDatagram::bind(run.path("notify")).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let path = run.path("notify");
    let running = run.variable("NOTIFY_SOCKET", path.to_str().unwrap()).variable("WATCHDOG_USEC", "200000").start();
    let wait_for = |wanted: &str| loop {
        let mut bytes = [0; 500];
        let count = socket.recv(&mut bytes).unwrap();
        if String::from_utf8_lossy(&bytes[..count]).starts_with(wanted) {
            return;
        }
    };
    wait_for("READY=1");
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");
    running.signal(Signal::SIGHUP);
    wait_for("RELOADING=1\nMONOTONIC_USEC=");
    wait_for("READY=1");
    running.signal(Signal::SIGTERM);
    wait_for("STOPPING=1");
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_unit_is_one_that_systemd_takes() {
    let run = Run::named("my block.yaml", TICKING).own(["unit", "--user", "root", "--name", "my $block 100%"]);
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.stdout.contains("\nType=notify\n") && ended.stdout.contains("\nWatchdogSec=30\n"), "{ended}");
    let path = ended.path("procblock-test.service");
    std::fs::write(&path, &ended.stdout).unwrap();
    let Ok(verified) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output() else {
        eprintln!("systemd-analyze is not there: the unit was not verified");
        return;
    };
    let text = String::from_utf8_lossy(&verified.stderr);
    let about_ours: Vec<&str> = text.lines().filter(|line| line.contains("procblock-test")).collect();
    assert!(about_ours.is_empty(), "{about_ours:#?}\n{}", ended.stdout);
    let bad = Run::named("bad.yaml", "run: [{luaa: x}]\n").own(["unit"]).end();
    assert_eq!(bad.code, Some(78), "{bad}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = Run::bare().words(["completions", shell]).end();
        assert_eq!(ended.code, Some(0), "{ended}");
        assert!(ended.stdout.contains("status") && ended.stdout.contains("increment"), "{shell}");
    }
}

#[test]
fn a_stop_that_takes_too_long_is_told_after_its_limit() {
    let line = "trap '' TERM; touch started; while :; do sleep 0.1; done";
    let block = format!("__usage: {{longrunning: true}}\nrun:\n  - {{shell: \"{line}\"}}\n");
    let running = Run::block(&block).start();
    running.wait_for_file("started", |_| true);
    let ended = command(&running, &["stop", "--wait", "100ms"]);
    assert_eq!(ended.code, Some(124), "{ended}");
    assert!(ended.stderr.contains("has not ended within 100ms"), "{ended}");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn the_status_shows_what_workers_do() {
    let block = "
__usage: {longrunning: true}
run:
  - queue: {add: jobs, message: good}
  - queue: {add: jobs, message: bad}
  - queue: {add: jobs, message: slow}
run workers:
  crew:
    queue: jobs
    workers: 2
    attempts: 2
    retry delay: 1ms
    dead letters: given_up
    run:
      - {if: message == 'bad', lua: error('never good')}
      - {if: message == 'slow', exec: [sleep, '600']}
";
    let running = Run::block(block).start();
    assert_eq!(running.wait_for_result()["run workers"], json!({"crew": {"is_running": true, "queue": "jobs"}}));
    let status = || {
        let text = printed(&running, &["status", "-o", "json"]);
        serde_json::from_str::<Value>(&text).unwrap()["workers"]["crew"].clone()
    };
    let expected = json!({
        "is_running": true, "queue": "jobs", "workers": 2, "workers_max": 2, "busy": 1, "waiting": 0, "claimed": 4,
        "done": 1, "failed": 2, "dead_letters": 1, "error": null,
    });
    let counts = |mut status: Value| {
        status["error"] = Value::Null;
        status
    };
    eventually("the workers' counts", || counts(status()) == expected);
    assert!(status()["error"].as_str().unwrap().contains("never good"), "{}", status());
    let text = printed(&running, &["status"]);
    assert!(text.contains("crew     jobs   2 of 2  1     0        4        1     2       1             ok"), "{text}");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    ended.leaves_nothing_within(Duration::ZERO);
}
