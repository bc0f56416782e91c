//! The folder of a store: `store.sqlite`, `lock` (held by the process that has it open) and `format`, which says that
//! there is a store, so that a store file that was lost is not taken for a new one.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::Error;

const STORE: &str = "store.sqlite";
const UNFINISHED: &str = "unfinished.sqlite";
const LOCK: &str = "lock";
const FORMAT: &str = "format";
const FORMAT_TEXT: &str = "A unidist store. Its data is in store.sqlite and store.sqlite-wal.\n";
/// How often a lock file is made anew because another removed it at the same moment.
const RACES_MAX: usize = 100;

/// The folder, locked for this process until it is dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    folder: PathBuf,
    file: File,
}

/// What to do when there is no store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfMissing {
    Create,
    Refuse,
}

impl FolderLock {
    /// Locks the folder, which is made for this user alone if it is missing.
    pub(super) fn take(folder: &Path, if_missing: IfMissing) -> Result<Self, Error> {
        let held = Self::lock(folder, if_missing)?;
        held.prepare(if_missing).map(|()| held)
    }

    /// Locks a folder that must be empty, for a store that is copied into it.
    pub(super) fn take_new(folder: &Path) -> Result<Self, Error> {
        let held = Self::lock(folder, IfMissing::Create)?;
        let entries = fs::read_dir(&held.folder).map_err(|error| refuse(&held.folder, &error))?;
        let mut names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        match names.find(|name| name != LOCK) {
            None => Ok(held),
            Some(name) => {
                let reason = format!("it has {name:?} in it: name an empty or a new folder");
                Err(Error::Store { folder: held.folder.clone(), reason })
            }
        }
    }

    fn lock(folder: &Path, if_missing: IfMissing) -> Result<Self, Error> {
        let folder = std::path::absolute(folder).map_err(|error| refuse(folder, &error))?;
        if if_missing == IfMissing::Create {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&folder).map_err(|error| refuse(&folder, &error))?;
        }
        let file = lock(&folder)?;
        Ok(FolderLock { folder, file })
    }

    /// Sees to it that the store file is there, empty if the store is new.
    fn prepare(&self, if_missing: IfMissing) -> Result<(), Error> {
        let path = self.store_path();
        let length = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(refuse(&self.folder, &error)),
        };
        if length > 0 {
            return Ok(());
        }
        if self.folder.join(FORMAT).exists() {
            let damage = format!("{STORE} is missing or empty: restore a backup");
            return Err(Error::StoreDamaged { folder: self.folder.clone(), damage });
        }
        if if_missing == IfMissing::Refuse || self.unfinished_path().exists() {
            let reason = match self.unfinished_path().exists() {
                true => format!("a copy into it was never finished: remove {UNFINISHED} and copy again"),
                false => "there is no store in it".to_owned(),
            };
            return Err(Error::Store { folder: self.folder.clone(), reason });
        }
        create_private(&path).map(drop).map_err(|error| refuse(&self.folder, &error))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn store_path(&self) -> PathBuf {
        self.folder.join(STORE)
    }

    /// Where a copy is made.
    pub(super) fn unfinished_path(&self) -> PathBuf {
        self.folder.join(UNFINISHED)
    }

    /// Puts a copy in its place. On disk when it returns.
    pub(super) fn finish(&self) -> Result<(), Error> {
        let unfinished = self.unfinished_path();
        let place = || {
            File::open(&unfinished)?.sync_all()?;
            fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o600))?;
            fs::rename(&unfinished, self.store_path())?;
            File::open(&self.folder)?.sync_all()
        };
        place().map_err(|error| refuse(&self.folder, &error))?;
        self.mark()
    }

    /// Marks the folder as one with a store, once there is one. On disk when it returns.
    pub(super) fn mark(&self) -> Result<(), Error> {
        let path = self.folder.join(FORMAT);
        if path.exists() {
            return Ok(());
        }
        let write = || {
            let mut file = create_private(&path)?;
            file.write_all(FORMAT_TEXT.as_bytes())?;
            file.sync_all()?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| refuse(&self.folder, &error))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing alone would leave it locked by a child that is between fork and exec at this moment.
        let _ = self.file.unlock();
    }
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let failed = |error: io::Error| refuse(folder, &error);
    for _ in 0..RACES_MAX {
        let file = create_private(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::StoreOwned { folder: folder.to_owned(), process: read_process(&file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let (ours, there) = (file.metadata().map_err(failed)?, fs::symlink_metadata(&path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            // Who cannot be told is still excluded: a full disk keeps nobody from reading its store.
            let _ = file.set_len(0);
            let _ = file.write_all_at(std::process::id().to_string().as_bytes(), 0);
            return Ok(file);
        }
    }
    Err(failed(io::Error::other("its lock file is replaced all the time")))
}

/// The process that a lock file names; 0 when it can't be read.
fn read_process(file: &File) -> u32 {
    let mut text = String::new();
    let mut file = file;
    let _ = (&mut file).take(20).read_to_string(&mut text);
    text.trim().parse().unwrap_or(0)
}

/// Opens a file to read and write, made for this user alone if it is missing.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

pub(super) fn refuse(folder: &Path, error: &io::Error) -> Error {
    let reason = match error.kind() {
        ErrorKind::NotFound => "there is no such folder".to_owned(),
        ErrorKind::PermissionDenied => format!("{error}: this user may not write there"),
        _ => error.to_string(),
    };
    Error::Store { folder: folder.to_owned(), reason }
}
