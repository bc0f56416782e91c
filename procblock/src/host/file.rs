//! `file.*`: small files for scripts. Relative paths start from the caller's folder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::host::{Caller, HostError};
use crate::value::{Value, to_text};

pub(super) const FUNCTIONS: &[&str] =
    &["file.read", "file.write", "file.append", "file.copy", "file.exists", "file.list", "file.remove"];

/// The most that `file.read` returns, in bytes.
const READ_MAX: u64 = 16 * 1024 * 1024;

/// `file.read(path)`, `write(path, text)` (atomic), `append(path, text)`, `copy(path, target)` (atomic), `exists(path)`, `list(folder)`, `remove(path)`.
pub(super) async fn call(caller: &Caller, name: &str, arguments: &[Value]) -> Result<Value, HostError> {
    let bad = |text: String| HostError::new("bad_argument", text);
    let Some(path) = arguments.first().and_then(Value::as_str) else {
        return Err(bad(format!("{name} takes a path")));
    };
    let path = caller.folder.join(path);
    let text = arguments.get(1).map(to_text);
    let (name, folder) = (name.to_string(), caller.folder.clone());
    let work = move || {
        if name == "file.copy" {
            let target = text.ok_or_else(|| bad("file.copy takes a path and the path of the copy".to_string()))?;
            return copy(&path, &folder.join(target));
        }
        work(&name, path, text)
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| HostError::new("failed", error.to_string()))?
}

fn work(name: &str, path: PathBuf, text: Option<String>) -> Result<Value, HostError> {
    let failed = |error: std::io::Error| HostError::new("failed", format!("{}: {error}", path.display()));
    let text = || text.clone().ok_or_else(|| HostError::new("bad_argument", format!("{name} takes a path and a text")));
    match name {
        "file.read" => read(&path).map(Value::String),
        "file.write" => write(&path, &text()?).map(|()| Value::Null).map_err(failed),
        "file.append" => append(&path, &text()?).map(|()| Value::Null).map_err(failed),
        "file.exists" => Ok(path.exists().into()),
        "file.list" => list(&path).map_err(failed),
        "file.remove" => std::fs::remove_file(&path).map(|()| Value::Null).map_err(failed),
        _ => Err(HostError::new("unknown_function", format!("there is no function {name}"))),
    }
}

fn read(path: &Path) -> Result<String, HostError> {
    let failed = |text: String| HostError::new("failed", format!("{}: {text}", path.display()));
    let file = open(path, File::options().read(true)).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(READ_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > READ_MAX {
        return Err(failed(format!("larger than {READ_MAX} bytes; use a child process for large files")));
    }
    String::from_utf8(bytes).map_err(|_| failed("not UTF-8 text".into()))
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let part = beside(path);
    let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// A copy of any size, with the permissions that a new file has here, whatever those of the original are.
fn copy(path: &Path, target: &Path) -> Result<Value, HostError> {
    let failed = |path: &Path, error: &std::io::Error| HostError::new("failed", format!("{}: {error}", path.display()));
    let mut from = open(path, File::options().read(true)).map_err(|error| failed(path, &error))?;
    let part = beside(target);
    let copied = File::create(&part).and_then(|mut to| std::io::copy(&mut from, &mut to));
    let copied = copied.and_then(|_| std::fs::rename(&part, target));
    copied.map(|()| Value::Null).map_err(|error| {
        let _ = std::fs::remove_file(&part);
        failed(target, &error)
    })
}

/// Where a file is written before it takes its place.
fn beside(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    PathBuf::from(part)
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    open(path, File::options().append(true).create(true))?.write_all(text.as_bytes())
}

/// Opens a file of a kind that nobody waits for: a thread that did would be lost to all.
fn open(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        return Err(std::io::Error::other("it is a pipe, which has to be waited for; use a child process"));
    }
    Ok(file)
}

fn list(path: &Path) -> std::io::Result<Value> {
    let mut names: Vec<String> = std::fs::read_dir(path)?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names.into())
}
