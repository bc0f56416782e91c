//! A file that names its living holder: locked, with the process id inside.
//!
//! The kernel frees the lock when the process ends in whatever way, so a file that is not locked is stale. The file is
//! removed while it is locked; whoever opened it before sees that the path leads elsewhere, and begins again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

/// How often a file that its holder just removed is opened again.
const RACES_MAX: u32 = 100;

/// A process id has fewer digits.
const CONTENT_MAX: u64 = 64;

/// The file; dropping it removes it.
#[derive(Debug)]
pub(super) struct HeldFile {
    path: PathBuf,
    file: File,
}

/// Why the file is not ours.
#[derive(Debug)]
pub(super) enum HeldError {
    /// A living process holds it; none when it has not written its id yet.
    Held(Option<u32>),
    /// It is no file of this kind, so it was left as it is.
    Foreign,
    /// The system refused.
    Io(std::io::Error),
}

impl From<std::io::Error> for HeldError {
    fn from(error: std::io::Error) -> Self {
        HeldError::Io(error)
    }
}

impl HeldFile {
    /// Takes the file for this process; one that a dead process left is taken over.
    pub(super) fn take(path: &Path, mode: u32) -> Result<Self, HeldError> {
        for _ in 0..RACES_MAX {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(mode);
            let mut file = options.custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
            if !file.metadata()?.is_file() {
                return Err(HeldError::Foreign);
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(HeldError::Held(read_id(&mut file)?)),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
            if !is_same(&file, path) {
                continue;
            }
            if read_id(&mut file)?.is_none() && file.metadata()?.len() > 0 {
                return Err(HeldError::Foreign);
            }
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            return Ok(HeldFile { path: path.to_path_buf(), file });
        }
        Err(HeldError::Held(None))
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        if is_same(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The id in the file; none when it holds something else or nothing.
fn read_id(file: &mut File) -> std::io::Result<Option<u32>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(CONTENT_MAX).read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(&bytes).ok();
    Ok(text.and_then(|text| text.trim().parse().ok()))
}

fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}
