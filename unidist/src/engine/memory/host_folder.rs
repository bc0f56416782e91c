//! Locks between the processes of a host: flock on one file per held permit, in the runtime folder.
//!
//! The kernel frees a flock when the last descriptor of its file is closed, so a process that dies holds nothing. A
//! file is removed before it is freed; who locks a removed file sees that the path has another inode and tries again.
//! Fencing numbers come from one small file in the folder, so that they never go back while the folder lives.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::file_name;
use crate::error::Error;

/// How often a race with a removed file is repeated before giving up.
const RACES_MAX: u32 = 1_000;
/// How often the numbers file is tried; each holds it for two system calls.
const NUMBER_TRIES_MAX: u32 = 100_000;
const NUMBERS: &str = ".fence";

/// The runtime folder's `locks`.
pub(super) struct HostFolder {
    path: PathBuf,
    numbers: Mutex<Option<File>>,
    is_checked: AtomicBool,
}

/// A permit that this process holds on the host; dropping it frees the permit.
pub(super) struct HostFile {
    file: File,
    path: PathBuf,
    /// When this process got it, on the store's clock; stays when it is handed on inside the process.
    pub(super) taken: Duration,
}

/// What a lock file says of its holder.
pub(super) struct Note {
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) process: u32,
    pub(super) fence: u64,
    /// Unix time.
    pub(super) since: Duration,
}

impl HostFolder {
    /// Uses `path`; it is created with the first lock.
    pub(super) fn new(path: PathBuf) -> Self {
        HostFolder { path, numbers: Mutex::new(None), is_checked: AtomicBool::new(false) }
    }

    /// Takes one of the permits, or none when other processes (or stores) have them all.
    pub(super) fn try_take(&self, name: &str, permits: u32, now: Duration) -> Result<Option<HostFile>, Error> {
        if !self.is_checked.load(Ordering::Relaxed) {
            self.prepare()?;
            self.is_checked.store(true, Ordering::Relaxed);
        }
        for slot in 0..permits {
            let path = self.path.join(file_name::encode(name, (permits > 1).then_some(slot)));
            if let Some(file) = self.try_lock(&path)? {
                return Ok(Some(HostFile { file, path, taken: now }));
            }
        }
        Ok(None)
    }

    fn try_lock(&self, path: &Path) -> Result<Option<File>, Error> {
        for _ in 0..RACES_MAX {
            let file = match open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.prepare()?;
                    open(path)
                }
                opened => opened,
            }
            .map_err(|error| refuse(path, &error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(refuse(path, &error)),
            }
            if is_at(&file, path) {
                return Ok(Some(file));
            }
        }
        Err(refuse(path, &io::Error::other("its file is replaced all the time")))
    }

    /// The next fencing number of this folder.
    pub(super) fn next_fence(&self) -> Result<u64, Error> {
        let path = self.path.join(NUMBERS);
        let mut numbers = self.numbers.lock();
        if numbers.as_ref().is_none_or(|file| !is_at(file, &path)) {
            *numbers = Some(open(&path).map_err(|error| refuse(&path, &error))?);
        }
        let Some(file) = numbers.as_ref() else { return Err(refuse(&path, &io::Error::other("it is gone"))) };
        count_up(file).map_err(|error| refuse(&path, &error))
    }

    /// Who holds the lock in other processes; empty when none does.
    pub(super) fn holders(&self, name: &str) -> Vec<Note> {
        let (whole, slot_prefix) = (file_name::encode(name, None), file_name::slot_prefix(name));
        let mut files = self.files();
        files.retain(|file| *file == whole || file.starts_with(&slot_prefix));
        files.iter().filter_map(|file| self.read(file)).collect()
    }

    /// All locks that are held on this host through this folder.
    pub(super) fn all(&self) -> Vec<Note> {
        self.files().iter().filter_map(|file| self.read(file)).collect()
    }

    fn files(&self) -> Vec<String> {
        let Ok(folder) = fs::read_dir(&self.path) else { return Vec::new() };
        let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name != NUMBERS).collect()
    }

    /// The note of a file that is locked; one that a dead process left says nothing.
    fn read(&self, file_name: &str) -> Option<Note> {
        let path = self.path.join(file_name);
        let file = File::open(&path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {}
            Ok(()) | Err(TryLockError::Error(_)) => return None,
        }
        let text = fs::read_to_string(&path).ok()?;
        let note: Value = serde_json::from_str(&text).unwrap_or_default();
        Some(Note {
            name: note.get("name").and_then(Value::as_str).unwrap_or(file_name).to_owned(),
            owner: note.get("owner").and_then(Value::as_str).unwrap_or("unknown").to_owned(),
            process: note.get("process").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok()).unwrap_or(0),
            fence: note.get("fence").and_then(Value::as_u64).unwrap_or(0),
            since: Duration::from_secs_f64(note.get("since").and_then(Value::as_f64).unwrap_or(0.0).clamp(0.0, 1e11)),
        })
    }

    /// Makes the folder, for this user alone, and refuses one that others own or can write to.
    fn prepare(&self) -> Result<(), Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.path).map_err(|error| refuse(&self.path, &error))?;
        let user = nix::unistd::geteuid().as_raw();
        let metadata = fs::symlink_metadata(&self.path).map_err(|error| refuse(&self.path, &error))?;
        if !metadata.is_dir() || metadata.uid() != user || metadata.mode() & 0o022 != 0 {
            return Err(unsafe_folder(&self.path, user));
        }
        let Some(parent) = self.path.parent() else { return Ok(()) };
        let metadata = fs::symlink_metadata(parent).map_err(|error| refuse(parent, &error))?;
        // In a sticky folder, as the temporary one, others can't rename what is ours.
        let others_may_write = metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0;
        if others_may_write || (metadata.uid() != user && metadata.uid() != 0) {
            return Err(unsafe_folder(parent, user));
        }
        Ok(())
    }
}

fn unsafe_folder(path: &Path, user: u32) -> Error {
    let reason =
        format!("it must be a folder of user {user} that nobody else can write to; remove it or set XDG_RUNTIME_DIR");
    Error::HostLock { path: path.to_owned(), reason }
}

impl HostFile {
    /// The same file: the lock lives until the last copy is closed.
    pub(super) fn try_clone(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Writes who holds it, for other processes to tell. Not having it written does not weaken the lock.
    pub(super) fn write_note(&self, note: &Note) {
        let text = json!({
            "name": note.name, "owner": note.owner, "process": note.process, "fence": note.fence,
            "since": note.since.as_secs_f64(),
        })
        .to_string();
        let _ = self.file.set_len(0);
        let _ = self.file.write_all_at(text.as_bytes(), 0);
    }
}

impl Drop for HostFile {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

fn count_up(file: &File) -> io::Result<u64> {
    let mut tries = 0;
    while let Err(error) = file.try_lock() {
        tries += 1;
        match error {
            TryLockError::WouldBlock if tries < NUMBER_TRIES_MAX => std::thread::yield_now(),
            TryLockError::WouldBlock => return Err(io::Error::other("a stopped process holds it: continue or end it")),
            TryLockError::Error(error) => return Err(error),
        }
    }
    let counted = write_next(file);
    file.unlock()?;
    counted
}

fn write_next(file: &File) -> io::Result<u64> {
    let mut bytes = [0_u8; 20];
    let length = file.read_at(&mut bytes, 0)?;
    let text = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("");
    let last: u64 =
        if length == 0 { 0 } else { text.parse().map_err(|_| io::Error::other("it is damaged: remove it"))? };
    let mut next = [0_u8; 20];
    write!(next.as_mut_slice(), "{:020}", last + 1)?;
    file.write_all_at(&next, 0)?;
    Ok(last + 1)
}

fn refuse(path: &Path, error: &io::Error) -> Error {
    let reason = format!("{error}; set XDG_RUNTIME_DIR to a folder that this user can write to");
    Error::HostLock { path: path.to_owned(), reason }
}

/// Where this user's processes meet: `/run/procblock/locks` for root, else `procblock/locks` in `$XDG_RUNTIME_DIR` or in
/// `/run/user/UID` (cron jobs have no variable but must meet the login shells), else `procblock-UID/locks` in the
/// folder for temporary files.
pub(crate) fn default_folder() -> PathBuf {
    let user = nix::unistd::geteuid();
    if user.is_root() {
        return PathBuf::from("/run/procblock/locks");
    }
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let login = PathBuf::from(format!("/run/user/{user}"));
    let is_ours = |path: &PathBuf| fs::metadata(path).is_ok_and(|folder| folder.uid() == user.as_raw());
    match named.or_else(|| Some(login).filter(is_ours)) {
        Some(runtime) => runtime.join("procblock/locks"),
        None => std::env::temp_dir().join(format!("procblock-{user}/locks")),
    }
}
