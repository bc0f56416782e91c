//! Shared things of several processes: commands on stores, files that run at once, commands under a lock.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Ended, Run, Running, eventually};

/// A command in the folder of an earlier one.
fn then(ended: &Ended, words: &[&str]) -> Ended {
    Run::again(ended).words(words.iter().copied()).end()
}

fn first(words: &[&str]) -> Ended {
    Run::bare().words(words.iter().copied()).end()
}

fn printed(ended: &Ended, words: &[&str]) -> String {
    let ended = then(ended, words);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{words:?}: {ended}");
    ended.stdout
}

#[test]
fn commands_work_on_a_store_in_a_folder() {
    let begun = first(&["counter", "increment", "requests", "5", "--unidist", "file:store"]);
    assert_eq!((begun.code, begun.stdout.as_str()), (Some(0), "5\n"), "{begun}");
    let url = format!("file:{}", begun.path("store").display());
    let on_store = |words: &[&str]| printed(&begun, &[words, &["--unidist", &url]].concat());
    assert_eq!(on_store(&["counter", "increment", "requests"]), "6\n");
    assert_eq!(on_store(&["counter", "list", "-o", "json"]), "{\n  \"requests\": 6\n}\n");
    on_store(&["state", "set", "hosts", "web1", "{\"city\": \"Rome\"}"]);
    on_store(&["state", "set", "hosts", "text", "5", "--text"]);
    assert_eq!(on_store(&["state", "get", "hosts", "text", "-o", "json"]), "\"5\"\n");
    let changes = then(&begun, &["state", "watch", "hosts", "--from", "0", "--wait", "0s", "--unidist", &url]);
    assert_eq!(changes.code, Some(1), "a store that was opened anew knows no earlier changes: {changes}");
    assert_eq!(on_store(&["queue", "add", "jobs", "[1, 2]"]), "#1\n");
    let claim: Value = serde_json::from_str(&on_store(&["queue", "claim", "jobs"])).unwrap();
    assert_eq!((&claim["message"], &claim["attempt"]), (&json!([1, 2]), &json!(1)));
    on_store(&["queue", "fail", "jobs", "#1", "no space", "--attempt", "1"]);
    on_store(&["queue", "claim", "jobs"]);
    on_store(&["queue", "ack", "jobs", "#1", "--attempt", "2"]);
    let late = then(&begun, &["queue", "ack", "jobs", "#1", "--unidist", &url]);
    assert_eq!(late.code, Some(1), "{late}");
    for word in ["a", "b"] {
        on_store(&["queue", "add", "jobs", word]);
    }
    assert_eq!(on_store(&["queue", "take", "jobs", "--follow", "--wait", "0s"]), "a\nb\n");
    assert_eq!(on_store(&["log", "append", "events", "started"]), "0\n");
    on_store(&["log", "append", "events", "{\"n\": 1}"]);
    assert_eq!(on_store(&["log", "read", "events"]), "started\n{\"n\":1}\n");
    assert_eq!(on_store(&["log", "read", "events", "--from", "1", "-n", "5"]), "{\"n\":1}\n");
    assert_eq!(on_store(&["log", "list"]), "events\n");
    let followed = then(&begun, &["log", "follow", "events", "--from", "0", "--wait", "1ms", "--unidist", &url]);
    assert_eq!((followed.code, followed.stdout.as_str()), (Some(124), "started\n{\"n\":1}\n"), "{followed}");
}

#[test]
fn the_url_may_come_from_the_environment_and_a_wrong_one_says_what_is_right() {
    let begun = Run::bare().variable("UNIDIST_URL", "file:store").words(["counter", "increment", "c"]).end();
    assert_eq!((begun.code, begun.stdout.as_str()), (Some(0), "1\n"), "{begun}");
    let wrong = then(&begun, &["counter", "get", "c", "--unidist", "redis://h"]);
    assert_eq!(wrong.code, Some(2), "{wrong}");
    let silent = then(&begun, &["counter", "get", "c", "--unidist", "node:unix:/nonexistent"]);
    assert_eq!(silent.code, Some(3), "{silent}");
    assert!(silent.stderr.contains("nobody listens"), "{silent}");
}

#[test]
fn a_store_is_checked_copied_and_brought_back() {
    let begun = first(&["counter", "increment", "c", "7", "--unidist", "file:store"]);
    printed(&begun, &["state", "set", "b", "k", "precious", "--unidist", "file:store"]);
    assert_eq!(then(&begun, &["fsck", "file:none"]).code, Some(1));
    assert_eq!(then(&begun, &["fsck", "store"]).code, Some(2));
    let store = format!("file:{}", begun.path("store").display());
    let copy = begun.path("copy").display().to_string();
    assert!(printed(&begun, &["fsck", &store]).ends_with("rows read, it is whole\n"));
    printed(&begun, &["store", "backup", &store, &copy]);
    let report: Value =
        serde_json::from_str(&printed(&begun, &["fsck", &format!("file:{copy}"), "-o", "json"])).unwrap();
    assert_eq!(report["is_whole"], true);
    let path = begun.path("store/store.sqlite");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|window| window == b"precious").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = then(&begun, &["fsck", &store]);
    assert_eq!(damaged.code, Some(1), "{damaged}");
    assert!(damaged.stdout.contains("state \"b\" \"k\""), "{damaged}");
    let salvaged = begun.path("salvaged").display().to_string();
    assert_eq!(then(&begun, &["store", "salvage", &store, &salvaged]).code, Some(1));
    let back = begun.path("back").display().to_string();
    printed(&begun, &["store", "restore", &format!("file:{copy}"), &back]);
    assert_eq!(printed(&begun, &["counter", "get", "c", "--unidist", &format!("file:{back}")]), "7\n");
    assert_eq!(then(&begun, &["store", "backup", "file:none", "x"]).code, Some(1));
}

const SHARING: &str = "
__usage: {longrunning: true, unidist: 'file:store'}
run:
  - {lua: \"return {n = unidist.sharedcounter.increment('both')}\", every: 20ms, name: lua}
  - {python: \"import unidist\\ndef ProcessBlock(*args):\\n    unidist.messagequeue.add('q', unidist.sharedcounter.increment('both'))\\n    return {}\\n\", every: 50ms, name: python}
";

#[test]
fn two_processes_that_run_one_file_share_its_store_from_lua_python_and_the_shell() {
    let run = Run::named("one.yaml", SHARING).file("two.yaml", SHARING);
    let folder = run.path("");
    let start = |name: &str| {
        let runtime = folder.join(".runtime");
        Run::bare()
            .variable("XDG_RUNTIME_DIR", runtime.to_str().unwrap())
            .words([folder.join(name).to_str().unwrap(), "-o", "none"])
            .start()
    };
    let (one, two) = (start("one.yaml"), start("two.yaml"));
    let store = format!("file:{}", folder.join("store").display());
    let url = ["--unidist", store.as_str()];
    let read = |words: &[&str]| Run::bare().words([words, &url[..]].concat()).end().stdout;
    let number = |words: &[&str]| read(words).trim().parse::<i64>().unwrap_or(0);
    eventually("both count", || number(&["counter", "get", "both"]) > 20);
    eventually("messages come", || number(&["queue", "count", "q"]) > 3);
    // Whichever has the store: the other goes on.
    one.kill();
    let before = number(&["counter", "get", "both"]);
    eventually("the other goes on", || number(&["counter", "get", "both"]) > before + 10);
    let ended = two.terminate();
    assert_eq!(ended.code, Some(0), "{ended}");
    drop(run);
}

fn locked(words: &[&str]) -> Ended {
    Run::bare().words([&["lock"], words].concat()).end()
}

#[test]
fn a_command_under_a_lock_gets_its_number_and_gives_its_exit_code() {
    let ended =
        locked(&["l", "--unidist", "file:store", "--", "sh", "-c", "echo $PROCBLOCK_LOCK $PROCBLOCK_FENCE; exit 7"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(7), "l 1\n"), "{ended}");
    assert_eq!(locked(&["l", "--unidist", "file:store", "--", "sh", "-c", "kill -TERM $$"]).code, Some(143));
    assert_eq!(locked(&["l", "--unidist", "file:store", "--", "/nonexistent"]).code, Some(127));
    assert_eq!(locked(&["l", "--unidist", "file:store", "--", "/etc/passwd"]).code, Some(126));
    assert_eq!(locked(&["l", "--unidist", "redis:", "--", "true"]).code, Some(125));
    assert_eq!(locked(&["l"]).code, Some(2));
}

/// Holds `lock` in this folder and runtime folder until `go` exists.
fn holding(words: &[&str]) -> Running {
    let command = "touch held; while [ ! -e go ]; do sleep 0.02; done";
    let run = Run::bare().words([&["lock"], words, &["--", "sh", "-c", command]].concat()).start();
    run.wait_for_file("held", |_| true);
    run
}

fn beside(running: &Running, words: &[&str]) -> Run {
    let runtime = running.path(".runtime");
    let store = format!("file:{}", running.path("store").display());
    let words: Vec<&str> = words.iter().map(|word| if *word == "STORE" { store.as_str() } else { word }).collect();
    Run::bare().variable("XDG_RUNTIME_DIR", runtime.to_str().unwrap()).words([&["lock"], &words[..]].concat())
}

#[test]
fn commands_under_one_lock_exclude_each_other_and_a_wait_with_a_limit_ends() {
    let name = format!("acceptance {}", std::process::id());
    for store in [&["--unidist", "file:store"][..], &[]] {
        let there: Vec<&str> = if store.is_empty() { vec![] } else { vec!["--unidist", "STORE"] };
        let running = holding(&[&[name.as_str()], store].concat());
        let busy = beside(&running, &[&[name.as_str(), "--wait", "0s"], &there[..], &["--", "true"]].concat()).end();
        assert_eq!(busy.code, Some(124), "{busy}");
        assert!(busy.stderr.contains("is held by"), "{busy}");
        let waiting =
            beside(&running, &[&[name.as_str(), "--wait", "60s"], &there[..], &["--", "true"]].concat()).start();
        std::fs::write(running.path("go"), "").unwrap();
        assert_eq!(waiting.end().code, Some(0));
        assert_eq!(running.end().code, Some(0));
    }
}

#[test]
fn a_lock_outlives_procblock_while_its_command_lives() {
    for store in [&["--unidist", "file:store"][..], &[]] {
        let name = format!("outlives {}", std::process::id());
        let there: Vec<&str> = if store.is_empty() { vec![] } else { vec!["--unidist", "STORE"] };
        let running = holding(&[&[name.as_str()], store].concat());
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.pid()), Signal::SIGKILL).unwrap();
        let busy = beside(&running, &[&[name.as_str(), "--wait", "0s"], &there[..], &["--", "true"]].concat()).end();
        assert_eq!(busy.code, Some(124), "{busy}");
        std::fs::write(running.path("go"), "").unwrap();
        let had = beside(&running, &[&[name.as_str(), "--wait", "60s"], &there[..], &["--", "true"]].concat()).end();
        assert_eq!(had.code, Some(0), "{had}");
    }
}

#[test]
fn a_lost_lease_ends_the_command_and_term_is_passed_on() {
    let ended = locked(&["l", "--unidist", "file:store", "--lease", "100ms", "--", "sleep", "60"]);
    assert_eq!(ended.code, Some(143), "{ended}");
    assert!(ended.stderr.contains("is lost"), "{ended}");
    let running = holding(&["l", "--unidist", "file:store"]);
    let ended = running.terminate();
    assert_eq!(ended.code, Some(143), "{ended}");
}

#[test]
fn a_lock_of_a_running_instance_is_shared_with_its_scripts() {
    let text = "__usage: {longrunning: true}\nrun:\n  - lua: \"return {had = unidist.sharedlock.acquire('l', {owner = 'file'})}\"\n";
    let instance = Run::block(text).start();
    instance.wait_for_result();
    let command = |words: &[&str]| {
        let runtime = instance.path(".runtime");
        Run::bare().variable("XDG_RUNTIME_DIR", runtime.to_str().unwrap()).words(words.iter().copied()).end()
    };
    let busy = command(&["lock", "l", "--wait", "0s", "--", "true"]);
    assert_eq!((busy.code, busy.stderr.contains("file")), (Some(124), true), "{busy}");
    let other = command(&["lock", "other", "--", "sh", "-c", "echo $PROCBLOCK_LOCK"]);
    assert_eq!((other.code, other.stdout.as_str()), (Some(0), "other\n"), "{other}");
    assert_eq!(command(&["lock", "release", "l", "--owner", "file"]).code, Some(0));
    assert_eq!(command(&["lock", "l", "--wait", "0s", "--", "true"]).code, Some(0));
    let socket = instance.path(".runtime/procblock/block.sock");
    let url = format!("node:unix:{}", socket.display());
    assert_eq!(command(&["counter", "increment", "c", "--unidist", &url]).stdout, "1\n");
    assert_eq!(command(&["counter", "get", "c"]).stdout, "1\n");
    assert_eq!(instance.terminate().code, Some(0));
}
