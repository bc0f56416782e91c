//! `demos/NAME/` with `expected.txt`: what a reader of its README sees.
//!
//! In `expected.txt`: `$ procblock …` is a command, which stands in the README too. Then come its result as JSON, in
//! which `"<number>"` and `"<text>"` stand for what is never the same twice, and lines: `stderr TEXT` that standard
//! error holds it, `file PATH` that the file appears (a round-robin file that rrdtool reads, a whole picture),
//! `Ctrl-C` that this ends it, `exit code N` if not 0. `/tmp` is a folder of the test.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Ended, Run, eventually, is_png, rrd_info};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// One command and what is expected of it.
#[derive(Default)]
struct Command {
    line: String,
    result: String,
    told: Vec<String>,
    files: Vec<String>,
    is_interrupted: bool,
    code: i32,
}

fn parse(text: &str) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("$ procblock ") {
            commands.push(Command { line: line.into(), ..Command::default() });
            continue;
        }
        let command = commands.last_mut().expect("expected.txt begins with a command");
        if let Some(text) = line.strip_prefix("stderr ") {
            command.told.push(text.into());
        } else if let Some(path) = line.strip_prefix("file ") {
            command.files.push(path.into());
        } else if let Some(code) = line.strip_prefix("exit code ") {
            command.code = code.parse().unwrap();
        } else if line == "Ctrl-C" {
            command.is_interrupted = true;
        } else {
            command.result.push_str(line);
        }
    }
    commands
}

#[test]
fn every_demo_shows_what_it_promises() {
    let mut names: Vec<PathBuf> =
        fs::read_dir(root().join("demos")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    std::thread::scope(|scope| {
        for folder in &names {
            scope.spawn(|| check(folder));
        }
    });
}

fn check(folder: &Path) {
    let name = folder.file_name().unwrap().to_string_lossy();
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let expected = fs::read_to_string(folder.join("expected.txt")).unwrap();
    let commands = parse(&expected);
    assert!(!commands.is_empty(), "{name}: expected.txt holds no command");
    let mut earlier: Option<Ended> = None;
    for command in commands {
        let is_told = readme.contains(&format!("procblock {}", command.line));
        assert!(is_told, "{name}: the README does not name: procblock {}", command.line);
        let run = match &earlier {
            None => prepared(folder),
            Some(ended) => Run::again(ended),
        };
        earlier = Some(play(&name, &command, run));
    }
}

/// The demo where its README says it is, and a folder in place of /tmp.
fn prepared(folder: &Path) -> Run {
    let place = Path::new("demos").join(folder.file_name().unwrap());
    Run::bare().file("tmp/.here", "").file("run/.here", "").copy_into(folder, &place)
}

fn play(name: &str, command: &Command, run: Run) -> Ended {
    let tmp = run.path("tmp").display().to_string();
    let words: Vec<String> = command.line.split(' ').map(|word| word.replace("/tmp", &tmp)).collect();
    let running = run.words(words).start();
    for file in &command.files {
        let path = running.path(file.trim_start_matches('/'));
        eventually(&format!("{name}: {file}"), || is_whole(&path));
        if file.ends_with(".rrd") {
            assert!(rrd_info(&path).contains("ds["), "{name}: {file}");
        }
    }
    let ended = if command.is_interrupted { running.interrupt() } else { running.end() };
    assert_eq!(ended.code, Some(command.code), "{name}: {ended}");
    for text in &command.told {
        assert!(ended.stderr.contains(text), "{name}: {text:?} is not told: {ended}");
    }
    if !command.result.is_empty() {
        let expected: Value = serde_json::from_str(&command.result.replace("/tmp", &tmp)).unwrap();
        if let Some(difference) = difference(&expected, &ended.json(), "") {
            panic!("{name}: {difference}: {ended}");
        }
    }
    ended
}

fn is_whole(path: &Path) -> bool {
    if path.extension().is_some_and(|extension| extension == "png") { is_png(path) } else { path.exists() }
}

/// The first place where a result is not as expected.
fn difference(expected: &Value, found: &Value, place: &str) -> Option<String> {
    match (expected, found) {
        (Value::String(mark), found) if mark == "<number>" && found.is_number() => None,
        (Value::String(mark), found) if mark == "<text>" && found.is_string() => None,
        (Value::Object(expected), Value::Object(found)) => {
            let mut keys = expected.keys().chain(found.keys());
            keys.find_map(|key| {
                let place = format!("{place}.{key}");
                match (expected.get(key), found.get(key)) {
                    (Some(expected), Some(found)) => difference(expected, found, &place),
                    (Some(_), None) => Some(format!("{place} is missing")),
                    (None, _) => Some(format!("{place} is not expected")),
                }
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.find_map(|(index, (expected, found))| difference(expected, found, &format!("{place}.{index}")))
        }
        (expected, found) if expected == found => None,
        (expected, found) => Some(format!("{place} is {found}, not {expected}")),
    }
}
