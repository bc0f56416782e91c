//! An instance's hold on its name: a lock file beside its socket.

use std::path::{Path, PathBuf};

use super::folder::{FolderError, Places};
use super::held::{HeldError, HeldFile};
use super::name::socket_stem;

/// Nobody else reads it.
const MODE: u32 = 0o600;

/// The name is this process's until the claim is dropped.
#[derive(Debug)]
pub struct Claim {
    name: String,
    socket: PathBuf,
    _held: HeldFile,
}

/// The name is not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// An instance of this name runs.
    #[error(
        "an instance named {name:?} is already running, as process {process}: stop it (procblock stop), or start this one with --name"
    )]
    Running {
        /// The name.
        name: String,
        /// The process's id.
        process: u32,
    },
    /// An instance of this name is starting or ending at this moment.
    #[error("an instance named {name:?} is starting; try again")]
    Starting {
        /// The name.
        name: String,
    },
    /// The folder for sockets can't be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The lock file can't be written.
    #[error("{} can't be written: {reason}", path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Claim {
    /// Takes the name in the folder where instances of this user live.
    ///
    /// # Errors
    /// An instance of this name runs, or the folder can't be used.
    pub fn take(name: &str) -> Result<Self, ClaimError> {
        Self::take_in(&Places::of_process().prepare()?, name)
    }

    /// Takes the name in `folder`.
    ///
    /// # Errors
    /// As [`Claim::take`].
    pub fn take_in(folder: &Path, name: &str) -> Result<Self, ClaimError> {
        let stem = socket_stem(name);
        let path = folder.join(format!("{stem}.lock"));
        let name = name.to_string();
        let refuse = |reason: String| ClaimError::File { path: path.clone(), reason };
        match HeldFile::take(&path, MODE) {
            Ok(held) => Ok(Claim { name, socket: folder.join(format!("{stem}.sock")), _held: held }),
            Err(HeldError::Held(Some(process))) => Err(ClaimError::Running { name, process }),
            Err(HeldError::Held(None)) => Err(ClaimError::Starting { name }),
            Err(HeldError::Foreign) => Err(refuse("it holds no process id: remove it".into())),
            Err(HeldError::Io(error)) => Err(refuse(error.to_string())),
        }
    }

    /// The instance's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its socket is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_claim_is_refused_with_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let claim = Claim::take_in(folder.path(), "a/b").unwrap();
        assert_eq!(claim.socket(), folder.path().join("a%2fb.sock"));
        let text = Claim::take_in(folder.path(), "a/b").unwrap_err().to_string();
        let process = std::process::id();
        assert!(text.starts_with(&format!("an instance named \"a/b\" is already running, as process {process}")));
        Claim::take_in(folder.path(), "other").unwrap();
        drop(claim);
        Claim::take_in(folder.path(), "a/b").unwrap();
    }

    #[test]
    fn what_a_killed_process_left_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.lock"), "1\n").unwrap();
        Claim::take_in(folder.path(), "x").unwrap();
    }
}
