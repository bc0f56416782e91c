//! Why a command did not do its work, and its exit code.

use crate::cli::{EXIT_FAILED, EXIT_USAGE};
use crate::control::{ClientError, FindError};
use crate::logging::for_terminal;

/// No instance is running.
pub(super) const EXIT_NO_INSTANCE: u8 = 3;

/// A wait with a time limit ended.
pub(super) const EXIT_TIMED_OUT: u8 = 124;

/// A text for people and an exit code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: u8,
    /// May have several lines; empty when the exit code says all.
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(code: u8, text: impl Into<String>) -> Self {
        Failure { code, text: text.into() }
    }

    /// Something wanted is not there, or an operation was refused.
    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self::new(EXIT_FAILED, text)
    }

    /// Writes it to standard error; returns the exit code.
    pub(super) fn tell(self) -> u8 {
        for (index, line) in self.text.lines().enumerate() {
            let prefix = if index == 0 { "error: " } else { "" };
            eprintln!("{prefix}{}", for_terminal(line));
        }
        self.code
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::TimedOut => EXIT_TIMED_OUT,
            ClientError::Closed | ClientError::Connect { .. } => EXIT_NO_INSTANCE,
            ClientError::Refused(refused) if refused.code == "timed_out" => EXIT_TIMED_OUT,
            ClientError::Refused(refused) if refused.code == "bad_argument" => EXIT_USAGE,
            _ => EXIT_FAILED,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<unidist::Error> for Failure {
    fn from(error: unidist::Error) -> Self {
        let code = match error.code() {
            "bad_argument" | "unknown_function" => EXIT_USAGE,
            "unreachable" => EXIT_NO_INSTANCE,
            _ => EXIT_FAILED,
        };
        Failure::new(code, error.to_string())
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        let code = match &error {
            FindError::None | FindError::NotRunning { .. } => EXIT_NO_INSTANCE,
            FindError::Several(_) => EXIT_USAGE,
            FindError::Silent { source: ClientError::TimedOut, .. } => EXIT_TIMED_OUT,
            _ => EXIT_FAILED,
        };
        let mut text = error.to_string();
        if let FindError::Several(found) = &error {
            text.push('\n');
            text.push_str(super::list::table(found).trim_end());
        }
        Failure::new(code, text)
    }
}
