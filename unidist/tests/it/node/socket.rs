//! The socket of a store, spoken to by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::tempdir;

use super::{once, open};
use crate::common::until;
use unidist::{Stop, Unidist};

struct Talk {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Talk {
    fn begin(folder: &Path) -> std::io::Result<(Self, Value)> {
        let stream = UnixStream::connect(folder.join("socket"))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut talk = Talk { writer: stream.try_clone()?, reader: BufReader::new(stream) };
        let hello = talk.read()?;
        Ok((talk, hello))
    }

    fn read(&mut self) -> std::io::Result<Value> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    fn send(&mut self, line: &str) -> std::io::Result<()> {
        self.writer.write_all(line.as_bytes())?;
        self.writer.write_all(b"\n")
    }

    fn ask(&mut self, line: &str) -> std::io::Result<Value> {
        self.send(line)?;
        self.read()
    }
}

#[test]
fn every_function_can_be_called_by_name_and_the_first_line_is_the_version() {
    let folder = tempdir().unwrap();
    let shared = open(folder.path());
    let (mut talk, hello) = Talk::begin(folder.path()).unwrap();
    assert_eq!((&hello["unidist"], &hello["pid"]), (&json!(1), &json!(std::process::id())));
    let answer = talk.ask(r#"{"id":"a","call":"sharedcounter.increment","args":["c",5]}"#).unwrap();
    assert_eq!(answer, json!({"id": "a", "result": 5}));
    assert_eq!(shared.sharedcounter().get("c").unwrap(), 5);
    let answer = talk.ask(r#"{"id":2,"call":"sharedstate.get","args":["b","k"]}"#).unwrap();
    assert_eq!(answer["error"]["code"], "not_found");
    let answer = talk.ask(r#"{"id":3,"call":"nothing.here","args":[]}"#).unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(3), &json!("unknown_function")));
}

#[test]
fn a_call_that_waits_does_not_hold_up_those_behind_it() {
    let folder = tempdir().unwrap();
    let shared = open(folder.path());
    let (mut talk, _) = Talk::begin(folder.path()).unwrap();
    talk.send(r#"{"id":1,"call":"messagequeue.take","args":["q",{"wait":60}]}"#).unwrap();
    let answer = talk.ask(r#"{"id":2,"call":"messagequeue.add","args":["q","hello"]}"#).unwrap();
    let other = talk.read().unwrap();
    let (first, second) = if answer["id"] == 1 { (answer, other) } else { (other, answer) };
    assert_eq!(first["result"]["message"], "hello");
    assert_eq!(second["result"]["is_new"], true);
    assert_eq!(shared.messagequeue().count("q").unwrap(), Some(0));
}

#[test]
fn what_is_no_request_is_told_and_what_is_too_long_ends_the_connection() {
    let folder = tempdir().unwrap();
    let _shared = open(folder.path());
    let (mut talk, _) = Talk::begin(folder.path()).unwrap();
    for line in ["", "{", "[]", r#"{"id":1}"#, &"[".repeat(100_000), r#"{"id":1,"call":"node.ask","args":[{"x":1}]}"#] {
        let answer = talk.ask(line).unwrap();
        assert_eq!(answer["error"]["code"], "bad_request", "{answer}");
    }
    assert_eq!(talk.ask(r#"{"id":1,"call":"node.begin","args":["a-1"]}"#).unwrap()["result"], true);
    for ask in [r#"{"counter_get":{"name":"a\nb"}}"#, r#"{"state_entry":{"bucket":"\u0001answers","key":"k"}}"#] {
        let answer = talk.ask(&format!(r#"{{"id":1,"call":"node.ask","args":[{ask}]}}"#)).unwrap();
        assert_eq!(answer["error"]["code"], "bad_argument", "{answer}");
    }
    let piece = vec![b'x'; 1024 * 1024];
    // Until the store has had enough.
    while talk.writer.write_all(&piece).is_ok() {}
    let mut rest = Vec::new();
    // What was not read resets the connection, after the answer.
    let _ = talk.reader.read_to_end(&mut rest);
    assert!(String::from_utf8_lossy(&rest).contains("too_large"));
}

#[test]
fn locks_and_places_in_line_of_a_closed_connection_are_free_at_once() {
    let folder = tempdir().unwrap();
    let shared = open(folder.path());
    let (mut talk, _) = Talk::begin(folder.path()).unwrap();
    let answer = talk.ask(r#"{"id":1,"call":"sharedlock.acquire","args":["by name"]}"#).unwrap();
    assert!(answer["result"].as_u64().is_some(), "{answer}");
    talk.ask(r#"{"id":1,"call":"node.begin","args":["b-1"]}"#).unwrap();
    let lock = |name: &str, wait: u32| {
        let ask = json!({"lock": {"name": name, "owner": null, "lease": null, "permits": 1, "rank": null, "may_wait": true, "wait": wait}});
        json!({"id": wait, "call": "node.ask", "args": [ask]}).to_string()
    };
    assert!(talk.ask(&lock("guarded", 1)).unwrap()["result"]["done"].as_u64().is_some());
    let _held = shared.sharedlock().acquire("held", &once(), &Stop::new()).unwrap();
    assert_eq!(talk.ask(&lock("held", 2)).unwrap()["result"], "waiting");
    assert_eq!(shared.sharedlock().waiting("held").unwrap(), 1);
    drop(talk);
    until(|| shared.sharedlock().find_all_locked().unwrap().len() == 1);
    until(|| shared.sharedlock().waiting("held").unwrap() == 0);
}

#[test]
fn a_message_that_a_gone_client_was_not_told_of_goes_back() {
    let folder = tempdir().unwrap();
    let shared = open(folder.path());
    let (mut talk, _) = Talk::begin(folder.path()).unwrap();
    talk.ask(r#"{"id":1,"call":"node.begin","args":["c-1"]}"#).unwrap();
    let ask = r#"{"id":2,"call":"node.ask","args":[{"queue_request":{"queue":"q","want":"take","may_wait":true,"wait":1}},0,1]}"#;
    assert_eq!(talk.ask(ask).unwrap()["result"], "waiting");
    // It does not ask for node.events, so it is never told.
    shared.messagequeue().add("q", json!("precious"), &unidist::AddOptions::default(), &Stop::new()).unwrap();
    until(|| shared.messagequeue().status("q").unwrap().is_some_and(|status| status.ready == 0));
    drop(talk);
    until(|| shared.messagequeue().status("q").unwrap().is_some_and(|status| status.ready == 1));
}

#[test]
fn a_repeated_request_is_answered_again_and_not_done_again() {
    let folder = tempdir().unwrap();
    let add = r#"{"id":1,"call":"node.ask","args":[{"counter_add":{"name":"c","by":1}},3,7]}"#;
    let begin = r#"{"id":1,"call":"node.begin","args":["d-1"]}"#;
    let shared = open(folder.path());
    let (mut talk, _) = Talk::begin(folder.path()).unwrap();
    talk.ask(begin).unwrap();
    for _ in 0..2 {
        assert_eq!(talk.ask(add).unwrap()["result"], 1);
    }
    // As if the owner had been killed before it answered: the next one knows.
    drop(shared);
    let shared = open(folder.path());
    let (mut again, _) = Talk::begin(folder.path()).unwrap();
    again.ask(begin).unwrap();
    assert_eq!(again.ask(add).unwrap()["result"], 1);
    assert_eq!(again.ask(&add.replace("3,7", "3,8")).unwrap()["result"], 2);
    assert_eq!(again.ask(add).unwrap()["error"]["code"], "bad_request");
    assert_eq!(shared.sharedcounter().get("c").unwrap(), 2);
}

#[test]
fn the_socket_is_its_users_alone_and_goes_with_the_owner() {
    let folder = tempdir().unwrap();
    let shared = open(folder.path());
    let socket = folder.path().join("socket");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    drop(shared);
    assert!(!socket.exists());
}

#[test]
fn a_socket_can_be_opened_by_its_path_and_one_that_nobody_serves_is_refused_at_once() {
    let folder = tempdir().unwrap();
    let url = format!("node:unix:{}", folder.path().join("socket").display());
    let error = Unidist::open(&url).map(drop).unwrap_err();
    assert_eq!(error.code(), "unreachable", "{error}");
    let owner = open(folder.path());
    let shared = Unidist::open(&url).unwrap();
    assert_eq!(shared.sharedcounter().increment("c", 2).unwrap(), 2);
    assert_eq!(owner.sharedcounter().get("c").unwrap(), 2);
}
