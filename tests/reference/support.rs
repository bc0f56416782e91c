//! The built binary, run in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use procblock::Value;
use tempfile::TempDir;

/// The top of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a run gave.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) error: String,
}

impl Ran {
    /// Standard output as JSON without the keys that differ from run to run.
    pub(crate) fn json(&self) -> Value {
        let mut value: Value = serde_json::from_str(&self.output)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.output, self.error));
        strip(&mut value);
        value
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !matches!(key.as_str(), "__start_time" | "__duration"));
            map.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// A folder that is gone when the test ends, and what runs in it.
pub(crate) struct Folder {
    folder: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Folder { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs procblock with `words` in this folder.
    pub(crate) fn procblock(&self, words: &[&str]) -> Ran {
        procblock_in(self.path(), self.path(), words)
    }
}

/// Runs procblock in `folder`; its sockets and state stay in `own`.
pub(crate) fn procblock_in(folder: &Path, own: &Path, words: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_procblock"))
        .args(words)
        .current_dir(folder)
        .env("XDG_RUNTIME_DIR", own)
        .env("STATE_DIRECTORY", own)
        .env_remove("UNIDIST_URL")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: output.status.code().unwrap_or(-1), output: text(output.stdout), error: text(output.stderr) }
}

/// Every file below `folder` with one of the endings, sorted.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        let is_wanted = path.extension().is_some_and(|end| endings.iter().any(|wanted| end == *wanted));
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if is_wanted {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Compares a file with what it should hold; rewrites it when `UPDATE_EXPECTED` is set.
pub(crate) fn assert_file(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        return;
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == text, "{} is stale: run make generate, and look at the difference\n{text}", path.display());
}
