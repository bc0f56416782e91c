//! From a path to the text of a file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::load::budget::FILE_SIZE_MAX;
use crate::load::problem::shown;
use crate::load::{Mark, Source, nearest};

/// Names of a folder that are looked through for one like a missing file's.
const NAMES_COMPARED_MAX: usize = 1_000;

/// What may be read besides files on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kinds {
    /// Pipes and devices too, as in `procblock <(make-block)`: the user named it on the command line.
    Any,
    /// Regular files: a pipe named in a file could make a load wait for ever.
    RegularFile,
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    /// Where in the file the trouble is, if it could be read at all.
    pub(crate) mark: Option<Mark>,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

/// Reads a whole file. `name` is how messages call it.
///
/// # Errors
/// When it is missing, a folder, not allowed, larger than 16 MiB or not UTF-8.
pub(crate) fn read(name: &Path, path: &Path, kinds: Kinds) -> Result<Arc<Source>, Unreadable> {
    let bytes = read_bytes(name, path, kinds)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, folder, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            Err(not_utf8(name, folder, error.as_bytes(), valid))
        }
    }
}

fn read_bytes(name: &Path, path: &Path, kinds: Kinds) -> Result<Vec<u8>, Unreadable> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(name, path, &error))?;
    if metadata.is_dir() {
        return Err(refuse(format!("{} is a folder", quoted(name)), "name a file in it, such as block.yaml"));
    }
    if kinds == Kinds::RegularFile && !metadata.is_file() {
        return Err(refuse(format!("{} is a pipe or a device", quoted(name)), "include a regular file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(name, path, &error))?;
    file.take(FILE_SIZE_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(name, path, &error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_SIZE_MAX {
        let limit = FILE_SIZE_MAX >> 20;
        return Err(refuse(
            format!("{} is larger than {limit} MiB", quoted(name)),
            "keep data outside of block files, or split it with __import__NAME",
        ));
    }
    Ok(bytes)
}

fn quoted(name: &Path) -> String {
    shown(&name.to_string_lossy())
}

fn refuse(what: String, remedy: impl Into<String>) -> Unreadable {
    Unreadable { mark: None, what, remedy: remedy.into() }
}

fn unreadable(name: &Path, path: &Path, error: &io::Error) -> Unreadable {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => missing(name, &[path.to_owned()]),
        io::ErrorKind::PermissionDenied => refuse(
            format!("{} can't be read: permission denied", quoted(name)),
            "allow its reading (and that of its folders), or run as a user who may",
        ),
        _ => refuse(format!("{} can't be read: {error}", quoted(name)), "check the path and its disk"),
    }
}

/// A file that is at none of the places where it may be.
pub(crate) fn missing(name: &Path, tried: &[PathBuf]) -> Unreadable {
    let likely = tried.iter().find_map(|path| likely_name(path));
    let remedy =
        likely.map_or_else(|| "check the path".to_owned(), |likely| format!("did you mean {}?", shown(&likely)));
    refuse(format!("there is no file {}", quoted(name)), remedy)
}

/// The name in the folder of `path` that is most like its last part.
pub(crate) fn likely_name(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).ok()?.take(NAMES_COMPARED_MAX).filter_map(Result::ok);
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned)
}

fn not_utf8(name: &Path, folder: PathBuf, bytes: &[u8], valid: usize) -> Unreadable {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let mark = Mark::start(Source::new(name, folder, String::new()));
        let remedy = "save it as UTF-8".to_owned();
        return Unreadable { mark: Some(mark), what: "the file is UTF-16".into(), remedy };
    }
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default()).into_owned();
    let byte = bytes.get(valid).copied().unwrap_or_default();
    let source = Source::new(name, folder, String::from_utf8_lossy(bytes));
    let before = before.strip_prefix(crate::load::mark::BYTE_ORDER_MARK).unwrap_or(&before);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count()) + 1;
    let mark = Mark {
        source,
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    };
    Unreadable {
        mark: Some(mark),
        what: format!("the byte 0x{byte:02x} is not UTF-8"),
        remedy: "save the file as UTF-8".into(),
    }
}
