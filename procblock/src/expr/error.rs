//! A mistake in an expression, a `${…}` or a shell line, with its column.

use crate::error::RunError;
use crate::load::{Node, Problems};

/// What is wrong with an expression, or why it could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", tail(.remedy))]
pub struct ExprError {
    /// Where in the text that was parsed, in characters from 0.
    pub column: usize,
    /// What is wrong, lower case, naming the word or value.
    pub message: String,
    /// What to do about it; empty when the message says it all.
    pub remedy: String,
}

fn tail(remedy: &str) -> String {
    if remedy.is_empty() { String::new() } else { format!("; {remedy}") }
}

impl ExprError {
    /// An error at `column` (characters from 0); an empty `remedy` is none.
    pub fn new(column: usize, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        ExprError { column, message: message.into(), remedy: remedy.into() }
    }

    /// Adds the error to a file's problems, at its place inside the text of `node`.
    pub fn report(&self, node: &Node, problems: &mut Problems) {
        problems.error(&node.mark_within(self.column), self.message.clone(), self.remedy.clone());
    }

    /// The failure of a run, with its place inside the text of `node`.
    pub fn into_run_error(self, node: &Node) -> RunError {
        let mut error = RunError::failed(self.to_string());
        error.place = Some(node.mark_within(self.column).to_string());
        error
    }
}

/// `did you mean "WORD"?` for the candidate nearest to `word`, when one is near enough to be a typing mistake.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    /// Longer words are not compared: the distance costs the product of both lengths.
    const WORD_MAX: usize = 64;
    if word.len() > WORD_MAX {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= WORD_MAX)
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean \"{candidate}\"?"))
}
