//! `tests/cases/AREA/NAME.yaml` with `NAME.expected`: what procblock prints for a block file.
//!
//! Leading comment lines `# $ procblock FILE WORDS…` of the file are the command lines; without one it is run once
//! without words. Each command stands in the expected file with its standard output, its standard error, and its exit
//! code if that is not 0. `UPDATE_EXPECTED=1` rewrites what is expected; the difference is reviewed like code. Cases
//! run in a copy of their area's folder.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::{Ended, Run};

/// Areas whose cases are run in process by the module that they are about.
const OTHERS: [&str; 2] = ["expr", "load"];

/// Keys whose values are never the same twice: seconds.
const UNSTABLE: [&str; 5] = ["__start_time", "__duration", "age", "last_start", "last_duration"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases").canonicalize().unwrap()
}

#[test]
fn every_case_gives_what_is_expected() {
    let cases = find();
    assert!(cases.len() > 30, "only {} cases found", cases.len());
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(path) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(told) = check(path) {
                        failed.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} cases differ from what is expected:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_expected_text_belongs_to_a_case() {
    for area in areas() {
        for entry in fs::read_dir(area).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "expected") {
                assert!(path.with_extension("yaml").exists(), "{} has no case", path.display());
            }
        }
    }
}

fn areas() -> Vec<PathBuf> {
    let folders = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    folders.filter(|path| !OTHERS.iter().any(|other| path.ends_with(other))).collect()
}

fn find() -> Vec<PathBuf> {
    let files = areas().into_iter().flat_map(|area| fs::read_dir(area).unwrap());
    let mut cases: Vec<PathBuf> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    cases
}

/// How the case differs from what is expected.
fn check(path: &Path) -> Option<String> {
    let found = run(path);
    let expected = path.with_extension("expected");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected, &found).unwrap();
        return None;
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    (wanted != found).then(|| format!("{}:\n{found}--- expected\n{wanted}", path.display()))
}

/// Runs every command line of a case, one after the other in one folder.
fn run(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let comments = text.lines().take_while(|line| line.starts_with('#'));
    let mut commands: Vec<&str> = comments.filter_map(|line| line.strip_prefix("# $ procblock ")).collect();
    if commands.is_empty() {
        commands.push("FILE");
    }
    let mut found = String::new();
    for command in commands {
        let words = split(command).into_iter().map(|word| if word == "FILE" { name.to_string() } else { word });
        let ended = Run::bare().copy(path.parent().unwrap()).words(words).end();
        writeln!(found, "$ procblock {command}").unwrap();
        describe(&ended, &mut found);
    }
    found
}

/// Words between blanks; quotes keep a word together.
fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

fn describe(ended: &Ended, found: &mut String) {
    let stdout = match serde_json::from_str::<Value>(&ended.stdout) {
        Ok(mut value) => {
            mark(&mut value);
            format!("{value:#}\n")
        }
        Err(_) => ended.stdout.clone(),
    };
    found.push_str(&stdout);
    if !ended.stderr.is_empty() {
        let stderr = ended.stderr.replace(&*ended.path("").to_string_lossy(), "<folder>/");
        found.push_str("--- stderr\n");
        for line in stderr.lines() {
            writeln!(found, "{}", log_text(line).as_deref().unwrap_or(line)).unwrap();
        }
    }
    match ended.code {
        Some(0) => {}
        Some(code) => writeln!(found, "--- exit code {code}").unwrap(),
        None => found.push_str("--- ended by a signal\n"),
    }
}

/// A line of the log, without its time and place in the code.
fn log_text(line: &str) -> Option<String> {
    let value: Value = serde_json::from_str(line).ok()?;
    Some(format!("log: {}: {}", value.get("level")?.as_str()?, value.get("text")?.as_str()?))
}

/// Puts markers where numbers are never the same twice.
fn mark(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if UNSTABLE.contains(&key.as_str()) && value.is_number() {
                    *value = "<seconds>".into();
                } else {
                    mark(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mark),
        _ => {}
    }
}
