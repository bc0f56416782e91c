//! What can go wrong with a series' file.

use std::path::{Path, PathBuf};

/// A series could not be stored, read or drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// The description of the series, graph or window is wrong; the text names the remedy.
    #[error("{}: {text}", path.display())]
    Invalid {
        /// The series or graph.
        path: PathBuf,
        /// What is wrong and what is expected.
        text: String,
    },
    /// The file is not there; it is created with the first sample.
    #[error("{} does not exist; a series is created with its first sample", path.display())]
    Missing {
        /// The series.
        path: PathBuf,
    },
    /// The system refused: no permission, no space, no folder. Trying again later may help.
    #[error("cannot {action} {}: {source}", path.display())]
    System {
        /// `create`, `write`, `read`…
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// rrdcached refused. Trying again later may help.
    #[error("{}: rrdcached at {address} refuses: {text}", path.display())]
    Daemon {
        /// The series.
        path: PathBuf,
        /// Which one.
        address: String,
        /// Its reason.
        text: String,
    },
    /// librrd refused: the file is no RRD, is locked, or the disk is full. Trying again later may help.
    #[error("cannot {action} {}: {reason}", path.display())]
    Library {
        /// `create`, `update`, `read`, `draw`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// librrd's reason.
        reason: String,
    },
}

impl SeriesError {
    pub(super) fn invalid(path: &Path, text: impl Into<String>) -> Self {
        SeriesError::Invalid { path: path.to_owned(), text: text.into() }
    }

    pub(super) fn system(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| SeriesError::System { action, path: path.to_owned(), source }
    }

    /// librrd's own words, which may end in a line break.
    pub(super) fn refused(action: &'static str, path: &Path, reason: &str) -> Self {
        SeriesError::Library { action, path: path.to_owned(), reason: reason.trim().to_owned() }
    }

    pub(super) fn library(action: &'static str, path: &Path) -> impl FnOnce(rrd::error::RrdError) -> Self {
        move |error| match error {
            rrd::error::RrdError::LibRrdError(text) => SeriesError::refused(action, path, &text),
            other => SeriesError::refused(action, path, &other.to_string()),
        }
    }
}
