//! Round-robin files below folders.

use std::fs;
use std::path::{Path, PathBuf};

use super::failure::{FailureKind, SeriesFailure};

/// How deep folders are searched.
const DEPTH_MAX: usize = 32;

/// Every file named `*.rrd` in the folders and below, in the order of their names; a file that is named itself counts
/// whatever its name is. Links to folders are not followed. Blocks on the disk; what can't be read is told and left out.
pub fn find_files(folders: &[PathBuf], mut tell: impl FnMut(SeriesFailure)) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        match fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => search(folder, 0, &mut found, &mut tell),
            Ok(_) => found.push(folder.clone()),
            Err(error) => tell(failure(folder, &error)),
        }
    }
    found
}

fn search(folder: &Path, depth: usize, found: &mut Vec<PathBuf>, tell: &mut impl FnMut(SeriesFailure)) {
    if depth > DEPTH_MAX {
        let text = format!("{} is more than {DEPTH_MAX} folders deep; name it itself", folder.display());
        return tell(SeriesFailure { kind: FailureKind::Refused, text });
    }
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().collect::<Vec<_>>(),
        Err(error) => return tell(failure(folder, &error)),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => search(&path, depth + 1, found, tell),
            Ok(_) if path.extension().is_some_and(|extension| extension == "rrd") && path.is_file() => {
                // `./a.rrd` is `a.rrd`.
                found.push(path.strip_prefix(".").map(Path::to_owned).unwrap_or(path));
            }
            _ => {}
        }
    }
}

fn failure(path: &Path, error: &std::io::Error) -> SeriesFailure {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            SeriesFailure { kind: FailureKind::Missing, text: format!("{path} does not exist") }
        }
        _ => SeriesFailure { kind: FailureKind::Refused, text: format!("cannot read {path}: {error}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_a_folder_are_found_in_order_and_links_do_not_loop() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/c")).unwrap();
        for name in ["z.rrd", "b/a.rrd", "b/c/d.rrd", "b/other.txt", "named"] {
            fs::write(at(name), "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("b/loop")).unwrap();
        let mut told = Vec::new();
        let found = find_files(&[folder.path().to_owned(), at("named"), at("none")], |failure| told.push(failure.text));
        assert_eq!(found, ["b/a.rrd", "b/c/d.rrd", "z.rrd", "named"].map(at));
        assert_eq!(told, [format!("{} does not exist", at("none").display())]);
    }
}
