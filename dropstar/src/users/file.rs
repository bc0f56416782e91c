//! The file of users and tokens: JSON, mode 0600, replaced as a whole, one writer at a time.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::{Users, UsersError, random_text};

/// A larger file is refused, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Permissions of group and others to write.
const OTHERS_WRITE: u32 = 0o022;

/// The file of users and tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersFile {
    path: PathBuf,
}

/// Why the file was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsersFileError {
    /// It can't be read.
    #[error("users file {path} can't be read: {source}; it must belong to the user that the server runs as")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It can't be written.
    #[error("users file {path} can't be written: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What it holds is not what was written.
    #[error("users file {path} is damaged: {text}; put a good copy back, or remove it and add the users anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
    /// Others could add themselves.
    #[error("users file {path} may be written by others (mode {mode:o}); close it with: chmod 600 {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The change can't be.
    #[error(transparent)]
    Refused(#[from] UsersError),
}

impl UsersFile {
    /// The file of this path, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        UsersFile { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; none when it is not there. Blocks on the disk.
    ///
    /// # Errors
    /// It can't be read, is damaged, or may be written by others.
    pub fn read(&self) -> Result<Option<Users>, UsersFileError> {
        let unreadable = |source| UsersFileError::Read { path: self.path.clone(), source };
        // A pipe in its place would otherwise be waited for.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(self.damaged("it is no file"));
        }
        let mode = metadata.mode() & 0o777;
        if mode & OTHERS_WRITE != 0 {
            return Err(UsersFileError::Open { path: self.path.clone(), mode });
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(self.damaged("it is larger than 16 MiB"));
        }
        let mut text = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(unreadable)?;
        let users: Users = serde_json::from_slice(&text).map_err(|error| self.damaged(error))?;
        users.check().map_err(|error| self.damaged(error))?;
        Ok(Some(users))
    }

    /// Changes it: reads it, has `change` change what it holds, and replaces it as a whole, on disk when this returns.
    /// A change by another process waits for this one. Blocks on the disk.
    ///
    /// # Errors
    /// It can't be read or written, is damaged, or the change was refused; then it is as it was.
    pub fn change<T>(&self, change: impl FnOnce(&mut Users) -> Result<T, UsersError>) -> Result<T, UsersFileError> {
        let unwritable = |source| UsersFileError::Write { path: self.path.clone(), source };
        // A link stays a link: what it names is replaced.
        let path = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder_file = File::open(folder).map_err(unwritable)?;
        folder_file.lock().map_err(unwritable)?;
        let mut users = self.read()?.unwrap_or_default();
        let changed = change(&mut users)?;
        let mut text = serde_json::to_vec_pretty(&users).map_err(|error| unwritable(error.into()))?;
        text.push(b'\n');
        replace(&path, folder, &text).map_err(unwritable)?;
        folder_file.sync_all().map_err(unwritable)?;
        Ok(changed)
    }

    fn damaged(&self, text: impl ToString) -> UsersFileError {
        UsersFileError::Damaged { path: self.path.clone(), text: text.to_string() }
    }
}

fn replace(path: &Path, folder: &Path, text: &[u8]) -> std::io::Result<()> {
    let unique = random_text().map_err(std::io::Error::other)?;
    let new = folder.join(format!(".users-{unique}"));
    let like = std::fs::metadata(path).or_else(|_| std::fs::metadata(folder))?;
    let written = write_new(&new, text, &like).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // The error that is told is the first one.
        let _ = std::fs::remove_file(&new);
    }
    written
}

/// Writes a file that only its owner may read. When root writes, that is who owned the old one, or else the folder, so
/// that a server which runs as another user can read it.
fn write_new(path: &Path, text: &[u8], like: &Metadata) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let own = file.metadata()?;
    if own.uid() == 0 && (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        fchown(&file, Some(like.uid()), Some(like.gid()))?;
    }
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::users::Scope;

    fn file() -> (tempfile::TempDir, UsersFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = UsersFile::new(folder.path().join("users.json"));
        (folder, file)
    }

    #[test]
    fn a_change_is_read_again_and_only_the_owner_reads_it() {
        let (folder, file) = file();
        assert_eq!(file.read().unwrap(), None);
        file.change(|users| users.add_user("ann", None, Scope::Call)).unwrap();
        file.change(|users| users.add_user("ben", None, Scope::Read)).unwrap();
        assert_eq!(file.read().unwrap().unwrap().users().count(), 2);
        assert_eq!(std::fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_refused_change_leaves_the_file_as_it_was() {
        let (_folder, file) = file();
        file.change(|users| users.add_user("ann", None, Scope::Call)).unwrap();
        let before = std::fs::read(file.path()).unwrap();
        assert!(matches!(file.change(|users| users.remove_user("ben")), Err(UsersFileError::Refused(_))));
        assert_eq!(std::fs::read(file.path()).unwrap(), before);
    }

    #[test]
    fn a_damaged_file_is_never_read_as_empty() {
        let (_folder, file) = file();
        for text in [
            "",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"version": 2}"#,
            r#"{"version": 1, "user": {}}"#,
            r#"{"version": 1, "users": {"ann": {"scope": "root"}}}"#,
            r#"{"version": 1, "users": {"a b": {"scope": "read"}}}"#,
            r#"{"version": 1, "users": {"ann": {"scope": "read", "password": "plain"}}}"#,
            r#"{"version": 1, "tokens": {"t": {"sha256": "12", "scope": "read", "created": 1}}}"#,
        ] {
            std::fs::write(file.path(), text).unwrap();
            std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o600)).unwrap();
            let error = file.read().unwrap_err();
            assert!(matches!(error, UsersFileError::Damaged { .. }), "{text}: {error}");
            assert!(file.change(|users| users.add_user("ann", None, Scope::Read)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_that_others_may_write_is_refused_with_the_remedy() {
        let (_folder, file) = file();
        file.change(|users| users.add_user("ann", None, Scope::Call)).unwrap();
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o660)).unwrap();
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains("(mode 660)") && error.contains("chmod 600 "), "{error}");
    }

    #[test]
    fn changes_at_once_all_happen() {
        let (_folder, file) = file();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let file = &file;
                scope.spawn(move || file.change(|users| users.add_user(&format!("u{thread}"), None, Scope::Read)));
            }
        });
        assert_eq!(file.read().unwrap().unwrap().users().count(), 8);
    }

    #[test]
    fn a_link_stays_a_link() {
        let (folder, file) = file();
        let target = folder.path().join("real.json");
        UsersFile::new(&target).change(|users| users.add_user("ann", None, Scope::Call)).unwrap();
        std::os::unix::fs::symlink(&target, file.path()).unwrap();
        file.change(|users| users.add_user("ben", None, Scope::Call)).unwrap();
        assert!(std::fs::symlink_metadata(file.path()).unwrap().is_symlink());
        assert_eq!(UsersFile::new(&target).read().unwrap().unwrap().users().count(), 2);
    }
}
