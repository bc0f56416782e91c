//! The pidfile that `__usage` may ask for.

use std::path::{Path, PathBuf};

use super::held::{HeldError, HeldFile};

/// Readable by all, as programs that look for daemons expect.
const MODE: u32 = 0o644;

/// A file that holds this process's id; removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    _held: HeldFile,
}

/// The pidfile can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PidFileError {
    /// A living process holds it.
    #[error("the pidfile {} is held by the running process {process}", path.display())]
    Running {
        /// The file.
        path: PathBuf,
        /// The process's id.
        process: u32,
    },
    /// Another process is taking it at this moment; try again.
    #[error("the pidfile {} is being taken by another process; try again", path.display())]
    Starting {
        /// The file.
        path: PathBuf,
    },
    /// The file is there and holds something else; it was left as it is.
    #[error("{} exists and is no pidfile; choose another path or remove it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It can't be written.
    #[error("the pidfile {} can't be written: {source}; choose a folder that you may write", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl PidFile {
    /// Writes this process's id to `path`, whose folder is made if needed. A file that a dead process left is replaced.
    ///
    /// # Errors
    /// A living process holds it, it is another kind of file, or it can't be written.
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let io = |source| PidFileError::Io { path: path.to_path_buf(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        match HeldFile::take(path, MODE) {
            Ok(held) => Ok(PidFile { _held: held }),
            Err(HeldError::Held(Some(process))) => Err(PidFileError::Running { path: path.to_path_buf(), process }),
            Err(HeldError::Held(None)) => Err(PidFileError::Starting { path: path.to_path_buf() }),
            Err(HeldError::Foreign) => Err(PidFileError::Foreign { path: path.to_path_buf() }),
            Err(HeldError::Io(source)) => Err(io(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_pidfile_lives_as_long_as_its_process_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/x.pid");
        let held = PidFile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        let text = PidFile::create(&path).unwrap_err().to_string();
        assert!(text.ends_with(&format!("is held by the running process {}", std::process::id())), "{text}");
        drop(held);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_pidfile_is_replaced_and_another_file_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        std::fs::write(&path, "999999999\n").unwrap();
        let held = PidFile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(held);
        let other = folder.path().join("simplest.yaml");
        std::fs::write(&other, "run:\n").unwrap();
        assert!(PidFile::create(&other).unwrap_err().to_string().contains("is no pidfile"));
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "run:\n");
        let link = folder.path().join("link.pid");
        symlink(&other, &link).unwrap();
        assert!(matches!(PidFile::create(&link).unwrap_err(), PidFileError::Io { .. }));
    }

    #[test]
    fn only_one_of_many_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pid");
        let barrier = std::sync::Barrier::new(8);
        for _ in 0..50 {
            let taken: Vec<Option<PidFile>> = std::thread::scope(|scope| {
                let start = || {
                    barrier.wait();
                    PidFile::create(&path).ok()
                };
                let all: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                all.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(taken.iter().flatten().count(), 1);
        }
    }
}
