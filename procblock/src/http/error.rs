//! Why a request gave no answer, or not the expected one.

use crate::error::{RunError, RunErrorKind};

/// What callers choose by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// The request itself is wrong: nothing was sent.
    BadRequest,
    /// No connection: the name has no address, nobody listens, the certificate is not trusted.
    NotConnected,
    /// The connection broke, or what came is no HTTP. The server may have done what was asked.
    Broken,
    /// The time limit passed.
    TimedOut,
    /// A stop was requested.
    Stopped,
    /// The body is larger than its cap.
    TooLarge,
    /// More redirects than allowed, or one that leads nowhere.
    Redirect,
    /// The status is not an expected one.
    Status,
    /// The body is not the JSON that it should be.
    NotJson,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct HttpError {
    /// Why.
    pub kind: HttpErrorKind,
    /// One sentence, lower case behind the method, that names the URL without its user and query.
    pub text: String,
    /// The status, when there was an answer.
    pub status: Option<u16>,
    /// The beginning of the answer's body, when it tells why.
    pub beginning: Option<String>,
}

impl HttpError {
    pub(super) fn new(kind: HttpErrorKind, text: impl Into<String>) -> Self {
        HttpError { kind, text: text.into(), status: None, beginning: None }
    }

    /// A short fixed word for programs.
    pub fn code(&self) -> &'static str {
        match self.kind {
            HttpErrorKind::BadRequest => "bad_argument",
            HttpErrorKind::NotConnected => "not_connected",
            HttpErrorKind::Broken => "broken",
            HttpErrorKind::TimedOut => "timed_out",
            HttpErrorKind::Stopped => "stopped",
            HttpErrorKind::TooLarge => "too_large",
            HttpErrorKind::Redirect => "redirect",
            HttpErrorKind::Status => "status",
            HttpErrorKind::NotJson => "not_json",
        }
    }
}

impl From<HttpError> for RunError {
    fn from(error: HttpError) -> Self {
        let kind = match error.kind {
            HttpErrorKind::TimedOut => RunErrorKind::TimedOut,
            HttpErrorKind::Stopped => RunErrorKind::Stopped,
            _ => RunErrorKind::Failed,
        };
        let mut failure = RunError::new(kind, error.text);
        failure.status = error.status.map(i32::from);
        failure.output = error.beginning;
        failure
    }
}
