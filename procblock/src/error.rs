//! What can go wrong while a block runs. Mistakes in a file are [`crate::load::LoadError`]; this is the failure
//! of one block, step or script, which is reported and does not end the process.

use crate::value::{Map, Value};

/// Why a run failed; callers choose what to do next by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// It could not start, exited with a code other than 0, raised, or gave the wrong kind of value.
    Failed,
    /// Its time limit passed and it was ended.
    TimedOut,
    /// A memory, CPU or file limit ended it.
    Limit,
    /// The instance was asked to stop while it ran.
    Stopped,
}

/// The failure of one block, step or script.
///
/// Printed as `place: step: message`; as data ([`RunError::to_value`]) it is the `error` that `on error` sees.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{}{message}", prefix(.place), prefix(.step))]
pub struct RunError {
    /// Why, for callers that choose by it.
    pub kind: RunErrorKind,
    /// One sentence, lower case, that names the thing and the value.
    pub message: String,
    /// The step's name, else its kind; the tag's key when the tag itself failed.
    pub step: Option<String>,
    /// `file:line:col` of the step, or of the script's own line.
    pub place: Option<String>,
    /// A child's exit code, or 128 + signal number.
    pub status: Option<i32>,
    /// The end of what a failed child printed.
    pub output: Option<String>,
    /// A script's own trace: for the log, never for a client.
    pub trace: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
}

fn prefix(part: &Option<String>) -> String {
    part.as_ref().map(|text| format!("{text}: ")).unwrap_or_default()
}

impl RunError {
    /// A failure of `kind` with nothing known but its message.
    pub fn new(kind: RunErrorKind, message: impl Into<String>) -> Self {
        RunError {
            kind,
            message: message.into(),
            step: None,
            place: None,
            status: None,
            output: None,
            trace: None,
            attempts: 1,
        }
    }

    /// The usual failure: [`RunErrorKind::Failed`] with a message.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(RunErrorKind::Failed, message)
    }

    /// The mapping that `on error` lists see as `error`.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("message".into(), self.message.clone().into());
        map.insert("step".into(), self.step.clone().into());
        map.insert("place".into(), self.place.clone().into());
        map.insert("status".into(), self.status.into());
        map.insert("output".into(), self.output.clone().into());
        map.insert("attempts".into(), self.attempts.into());
        Value::Object(map)
    }
}
