//! Whether a file can be written, before anything is: told at start with path, user and remedy.

use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

/// Why nothing can be written to `path`, and the remedy: the file itself, or, while it is missing, the nearest folder
/// that is there. None when it can. Blocks for a few system calls.
pub fn unwritable(path: &Path) -> Option<String> {
    if path.is_dir() {
        return Some(format!("{} is a folder; name a file", path.display()));
    }
    if path.exists() {
        return refusal(path, Access::WRITE_OK);
    }
    let mut folders = path.ancestors().skip(1);
    let folder = folders.find(|folder| folder.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Some(format!("{} is no folder; move it away, or name another path", folder.display()));
    }
    refusal(folder, Access::WRITE_OK | Access::EXEC_OK)
}

/// The same for a file that is replaced at each writing: its folder is what counts.
pub fn irreplaceable(path: &Path) -> Option<String> {
    match path.parent() {
        Some(folder) if folder.is_dir() && !path.is_dir() => refusal(folder, Access::WRITE_OK | Access::EXEC_OK),
        _ => unwritable(path),
    }
}

fn refusal(place: &Path, wanted: Access) -> Option<String> {
    let error = io::Error::from(access(place, wanted).err()?);
    let user = user();
    let place = place.display();
    Some(match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("permission denied for user {user} at {place}; chown {user} {place}, or name another path")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("{place} is on a file system that is read-only (user {user}); name a path on another one")
        }
        _ => format!("{place}: {error} (user {user}); name another path"),
    })
}

/// The user that this process writes as.
fn user() -> String {
    let id = nix::unistd::geteuid();
    nix::unistd::User::from_uid(id).ok().flatten().map_or_else(|| id.to_string(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(unwritable(&file), None);
        assert_eq!(unwritable(&folder.path().join("new/folders/a.rrd")), None);
        let below = unwritable(&file.join("a.rrd")).unwrap();
        assert_eq!(below, format!("{} is no folder; move it away, or name another path", file.display()));
        assert!(unwritable(folder.path()).unwrap().ends_with("is a folder; name a file"));
        // A place where not even root may write.
        let refused = unwritable(Path::new("/proc/self/a.rrd"));
        assert!(refused.is_none_or(|text| text.contains(&format!("user {}", user()))));
    }
}
