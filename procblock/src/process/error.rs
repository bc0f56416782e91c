//! Why a child did not start, or can't be told to have ended.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::RunErrorKind;

use super::command::Command;
use super::protocol::{Failure, Start};

/// A child that gave no result of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The list of arguments is empty, or an argument, variable or path holds a byte that can't be passed.
    #[error("{0}")]
    Invalid(String),
    /// No such program.
    #[error("{program}: no such program{hint}")]
    NotFound {
        /// As it was written.
        program: String,
        /// Where it was looked for.
        hint: String,
    },
    /// The file is there and can't be executed.
    #[error("{program}: can't be executed: {reason}")]
    NotExecutable {
        /// As it was written.
        program: String,
        /// Why, and what helps.
        reason: String,
    },
    /// The working folder can't be entered.
    #[error("working folder {}: {reason}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// The user is unknown, or this process may not become it.
    #[error("{0}")]
    User(String),
    /// A limit can't be set.
    #[error("{0}")]
    Limit(String),
    /// The file for standard output can't be opened.
    #[error("output file {}: {source}", path.display())]
    OutputFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Arguments and environment together are more than is sent, or than the system takes.
    #[error("arguments and environment are {size} bytes, at most {max} can be passed: give the data on standard input")]
    TooLarge {
        /// Bytes of the whole request.
        size: usize,
        /// The most that is taken.
        max: usize,
    },
    /// The system refused: no more processes, descriptors or memory.
    #[error("can't start {program}: {source}")]
    System {
        /// As it was written.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The keeper could not be started.
    #[error("can't start the keeper of child processes ({}): {source}", executable.display())]
    Keeper {
        /// What was executed.
        executable: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The keeper died while the child ran; the child has been ended, the next one gets a new keeper.
    #[error("the keeper of child processes died, so this child was ended")]
    KeeperDied,
    /// The time limit passed while it waited for a free place.
    #[error("not started within its time limit: {children_max} children are running")]
    NoPlace {
        /// How many may run at once.
        children_max: usize,
    },
    /// A stop was requested before it started.
    #[error("not started: a stop was requested")]
    Stopped,
    /// Processes that KILL does not end, stuck inside the kernel or owned by another user.
    #[error("processes {pids:?} do not end, not even by KILL: they are stuck in the kernel or belong to another user")]
    NotEnded {
        /// Some of them.
        pids: Vec<u32>,
    },
}

impl SpawnError {
    /// What a shell would give: 127 not found, 126 not executable, 124 out of time, else 125.
    pub fn exit_code(&self) -> i32 {
        match self {
            SpawnError::NotFound { .. } => 127,
            SpawnError::NotExecutable { .. } => 126,
            SpawnError::NoPlace { .. } => 124,
            _ => 125,
        }
    }

    /// The family of the failure for [`crate::RunError`].
    pub fn kind(&self) -> RunErrorKind {
        match self {
            SpawnError::NoPlace { .. } => RunErrorKind::TimedOut,
            SpawnError::Stopped => RunErrorKind::Stopped,
            SpawnError::Limit(_) => RunErrorKind::Limit,
            _ => RunErrorKind::Failed,
        }
    }

    /// The error of `command` for what the keeper or the trampoline reported of `start`.
    pub(super) fn from_failure(failure: Failure, command: &Command, start: &Start) -> SpawnError {
        match failure {
            Failure::Execute(code) => from_errno(code, command, Path::new(&start.folder), &start.program),
            Failure::User(text) => SpawnError::User(text),
            Failure::Limit(text) => SpawnError::Limit(text),
        }
    }
}

/// posix_spawn gives one error number for folder and program: looks which of the two it was.
fn from_errno(code: i32, command: &Command, folder: &Path, program: &OsStr) -> SpawnError {
    if let Some(reason) = folder_problem(folder) {
        return SpawnError::Folder { folder: folder.to_owned(), reason };
    }
    let source = io::Error::from_raw_os_error(code);
    let name = command.arguments.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let path = folder.join(program);
    match source.kind() {
        io::ErrorKind::NotFound if path.exists() => {
            let reason = "its interpreter does not exist: see the first line of the file".to_owned();
            SpawnError::NotExecutable { program: name, reason }
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            SpawnError::NotFound { program: name, hint: format!(" in {}", folder.display()) }
        }
        io::ErrorKind::PermissionDenied if path.is_dir() => {
            SpawnError::NotExecutable { program: name, reason: "it is a folder".to_owned() }
        }
        io::ErrorKind::PermissionDenied => {
            let reason = format!("permission denied: chmod +x {}", path.display());
            SpawnError::NotExecutable { program: name, reason }
        }
        io::ErrorKind::ArgumentListTooLong => {
            let size = command.arguments.iter().map(|argument| argument.len()).sum();
            SpawnError::TooLarge { size, max: 128 << 10 }
        }
        _ if code == nix::libc::ENOEXEC => {
            let reason = "it is no program: a script needs a first line such as #!/bin/sh".to_owned();
            SpawnError::NotExecutable { program: name, reason }
        }
        _ => SpawnError::System { program: name, source },
    }
}

fn folder_problem(folder: &Path) -> Option<String> {
    match std::fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("it does not exist".to_owned()),
        Err(error) => Some(error.to_string()),
        Ok(metadata) if !metadata.is_dir() => Some("it is not a folder".to_owned()),
        Ok(_) => None,
    }
}
