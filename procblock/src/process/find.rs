//! Finds a program as a shell does, so that "not found" and "not executable" can be told apart before a child is
//! started, and the `PATH` of the child's own environment counts.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Access, access};

use super::command::Command;
use super::error::SpawnError;

/// What a shell takes when `PATH` is not set.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The file to execute: as written when it has a `/` (relative to the working folder), else the first executable
/// file of that name in `PATH`. Blocks for a few system calls.
pub(super) fn find_program(command: &Command, folder: &Path) -> Result<OsString, SpawnError> {
    let program = match command.arguments.first() {
        Some(program) if !program.is_empty() => program,
        _ => return Err(SpawnError::Invalid("no program to execute: the list of arguments is empty".to_owned())),
    };
    if program.as_bytes().contains(&b'/') {
        return Ok(program.clone());
    }
    let path = search_path(command);
    let mut is_there = None;
    for entry in std::env::split_paths(&path) {
        let file = folder.join(entry).join(program);
        let Ok(metadata) = std::fs::metadata(&file) else { continue };
        if !metadata.is_file() {
            continue;
        }
        if access(&file, Access::EXEC_OK).is_ok() {
            return Ok(file.into_os_string());
        }
        is_there.get_or_insert(file);
    }
    Err(not_found(program, &path, is_there.as_deref()))
}

fn search_path(command: &Command) -> OsString {
    let own = command.environment.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    own.or_else(|| std::env::var_os("PATH")).unwrap_or_else(|| PATH_DEFAULT.into())
}

fn not_found(program: &OsStr, path: &OsStr, is_there: Option<&Path>) -> SpawnError {
    let program = program.to_string_lossy().into_owned();
    match is_there {
        Some(file) => {
            SpawnError::NotExecutable { program, reason: format!("permission denied: chmod +x {}", file.display()) }
        }
        None => SpawnError::NotFound { program, hint: format!(" in PATH ({})", path.to_string_lossy()) },
    }
}
