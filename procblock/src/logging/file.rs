//! The log file: five files of 10 MiB, the newest under the name that was given.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::LoggingError;

/// A file that would grow over this is renamed and a new one begun, in bytes.
pub const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// How many files there are at most: `FILE` and `FILE.1` to `FILE.4`, the higher the older.
pub const FILES_MAX: usize = 5;

/// Lines may hold what children print: for the owner and the group.
const MODE: u32 = 0o640;

/// The open log file. It is locked, so that no second process rotates it.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    size_max: u64,
    is_failing: bool,
}

/// What a write has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing new.
    None,
    /// Lines are lost from now on.
    Failing(String),
    /// Lines are written again.
    Recovered,
}

impl LogFile {
    /// Opens it for appending; creates it and its folder.
    pub(super) fn open(path: &Path) -> Result<Self, LoggingError> {
        Self::open_sized(path, FILE_BYTES_MAX)
    }

    fn open_sized(path: &Path, size_max: u64) -> Result<Self, LoggingError> {
        let refuse = |reason: String| LoggingError::File { path: path.to_path_buf(), reason };
        let absolute = std::path::absolute(path).map_err(|error| refuse(error.to_string()))?;
        if let Some(folder) = absolute.parent() {
            let remedy = "create it, or choose a folder that you may write";
            let created = std::fs::create_dir_all(folder);
            created.map_err(|error| refuse(format!("its folder can't be created: {error}; {remedy}")))?;
        }
        let (file, size) = open_locked(&absolute).map_err(refuse)?;
        Ok(LogFile { path: absolute, file, size, size_max, is_failing: false })
    }

    /// Opens the path anew, after somebody renamed the file.
    pub(super) fn reopen(&mut self) -> Result<(), LoggingError> {
        if self.is_current() {
            return Ok(());
        }
        *self = Self::open_sized(&self.path, self.size_max)?;
        Ok(())
    }

    /// Whether the path still leads to the open file, whose lock is ours.
    fn is_current(&self) -> bool {
        let (Ok(open), Ok(there)) = (self.file.metadata(), std::fs::metadata(&self.path)) else { return false };
        (open.dev(), open.ino()) == (there.dev(), there.ino())
    }

    /// Appends a line; begins a new file first when this one is full.
    pub(super) fn write(&mut self, line: &[u8]) -> News {
        if self.size > 0 && self.size + line.len() as u64 > self.size_max {
            self.rotate();
        }
        match self.file.write_all(line) {
            Ok(()) => {
                self.size += line.len() as u64;
                if std::mem::take(&mut self.is_failing) { News::Recovered } else { News::None }
            }
            Err(error) => {
                // A part of the line may be there; without its end the next one would join it.
                let _ = self.file.set_len(self.size);
                let is_new = !std::mem::replace(&mut self.is_failing, true);
                if is_new { News::Failing(format!("{}: {error}", self.path.display())) } else { News::None }
            }
        }
    }

    /// Renames `FILE.3` to `FILE.4` and so on, then opens a new `FILE`. What fails is tried again at the next line.
    fn rotate(&mut self) {
        for number in (1..FILES_MAX - 1).rev() {
            let _ = std::fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1));
        }
        if std::fs::rename(&self.path, numbered(&self.path, 1)).is_ok()
            && let Ok((file, size)) = open_locked(&self.path)
        {
            (self.file, self.size) = (file, size);
        }
    }
}

fn open_locked(path: &Path) -> Result<(File, u64), String> {
    // A FIFO nobody reads would block an open without O_NONBLOCK.
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE).custom_flags(nix::libc::O_NONBLOCK);
    let file = options.open(path).map_err(|error| format!("{error}; choose a file that you may write"))?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no regular file; without a log file the lines go to standard error".into());
    }
    match file.try_lock() {
        Ok(()) => Ok((file, metadata.len())),
        Err(TryLockError::WouldBlock) => Err("it is the log of another running instance; choose another file".into()),
        Err(TryLockError::Error(error)) => Err(format!("it can't be locked: {error}")),
    }
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_full_file_is_renamed_and_five_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/x.log");
        let mut log = LogFile::open_sized(&path, 8).unwrap();
        for number in 0..16 {
            assert_eq!(log.write(format!("{number:03}\n").as_bytes()), News::None);
        }
        assert_eq!(read(&path), "014\n015\n");
        assert_eq!(read(&numbered(&path, 1)), "012\n013\n");
        assert_eq!(read(&numbered(&path, 4)), "006\n007\n");
        assert!(!numbered(&path, 5).exists());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    }

    #[test]
    fn a_line_longer_than_a_file_has_one_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut log = LogFile::open_sized(&path, 8).unwrap();
        for line in ["a\n", "long long long\n", "b\n"] {
            log.write(line.as_bytes());
        }
        let found = [numbered(&path, 2), numbered(&path, 1), path].map(|path| read(&path));
        assert_eq!(found, ["a\n", "long long long\n", "b\n"]);
    }

    #[test]
    fn a_renamed_file_is_opened_anew_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let (path, renamed) = (folder.path().join("x.log"), folder.path().join("x.log-2010"));
        let mut log = LogFile::open(&path).unwrap();
        log.write(b"one\n");
        log.reopen().unwrap();
        log.write(b"two\n");
        std::fs::rename(&path, &renamed).unwrap();
        log.write(b"three\n");
        log.reopen().unwrap();
        log.write(b"four\n");
        assert_eq!((read(&renamed).as_str(), read(&path).as_str()), ("one\ntwo\nthree\n", "four\n"));
    }

    #[test]
    fn a_file_in_use_and_what_is_no_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let _held = LogFile::open(&path).unwrap();
        let text = LogFile::open(&path).unwrap_err().to_string();
        assert!(text.ends_with("it is the log of another running instance; choose another file"), "{text}");
        let text = LogFile::open(folder.path()).unwrap_err().to_string();
        assert!(text.contains("choose a file that you may write"), "{text}");
        let text = LogFile::open(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(text.contains("no regular file"), "{text}");
    }

    #[test]
    fn a_full_disk_is_told_once_and_so_is_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut log = LogFile::open(&path).unwrap();
        log.write(b"one\n");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let good = std::mem::replace(&mut log.file, full);
        assert!(matches!(log.write(b"two\n"), News::Failing(text) if text.contains("No space left")));
        assert_eq!(log.write(b"three\n"), News::None);
        log.file = good;
        assert_eq!(log.write(b"four\n"), News::Recovered);
        assert_eq!(read(&path), "one\nfour\n");
    }
}
