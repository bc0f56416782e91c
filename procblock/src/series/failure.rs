//! Why something asked of the time series was not done.

use serde::{Deserialize, Serialize};

/// A series could not be declared, read or drawn; the text names the file and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct SeriesFailure {
    /// Which kind of failure.
    pub kind: FailureKind,
    /// What happened and what to do, in one line.
    pub text: String,
}

/// What to make of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureKind {
    /// There is no such file.
    Missing,
    /// The file is no round-robin file, or a damaged one.
    Damaged,
    /// What was asked makes no sense: a field, a window, a size.
    Invalid,
    /// The system refused: permissions, no space, a daemon that is not there.
    Refused,
    /// procblock-series is missing, died, or is being closed.
    Helper,
}

impl SeriesFailure {
    pub(super) fn invalid(text: impl Into<String>) -> Self {
        SeriesFailure { kind: FailureKind::Invalid, text: text.into() }
    }

    pub(super) fn helper(text: impl Into<String>) -> Self {
        SeriesFailure { kind: FailureKind::Helper, text: text.into() }
    }
}
