//! Mistakes in a user's file, each with its place and what to do about it.

use std::fmt;

use crate::load::Mark;

/// Whether a problem refuses the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// `check` tells it; the file runs.
    Warning,
}

/// One mistake: where, what, and the remedy.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Where it is.
    pub mark: Mark,
    /// Whether it refuses the file.
    pub severity: Severity,
    /// What is wrong, lower case, naming the key or value: `unknown key "tiemout" in a step`.
    pub what: String,
    /// What would have been right and what to do: `did you mean "timeout"?`, `expected a duration such as 90s`.
    pub remedy: Option<String>,
}

impl fmt::Display for Problem {
    /// `file:line:col: what; remedy`, then the line of the file and a caret under the column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.severity == Severity::Warning { "warning: " } else { "" };
        write!(f, "{}: {level}{}", self.mark, self.what)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        let line = self.mark.source.line(self.mark.line);
        if line.is_empty() {
            return Ok(());
        }
        let number = self.mark.line.to_string();
        let before = usize::try_from(self.mark.column.saturating_sub(1)).unwrap_or(0);
        let pad: String = line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "\n  {number} | {line}\n  {} | {pad}^", " ".repeat(number.len()))
    }
}

/// Collects a file's problems while it is read and compiled.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error; an empty `remedy` is none.
    pub fn error(&mut self, mark: &Mark, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(mark, Severity::Error, what.into(), remedy.into());
    }

    /// Adds a warning; an empty `remedy` is none.
    pub fn warning(&mut self, mark: &Mark, what: impl Into<String>, remedy: impl Into<String>) {
        self.add(mark, Severity::Warning, what.into(), remedy.into());
    }

    fn add(&mut self, mark: &Mark, severity: Severity, what: String, remedy: String) {
        let remedy = Some(remedy).filter(|text| !text.is_empty());
        self.list.push(Problem { mark: mark.clone(), severity, what, remedy });
    }

    /// Whether any of them refuses the file.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them, by file and line; the caller decides what to do with warnings.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.list.sort_by(|a, b| {
            (&a.mark.source.name, a.mark.line, a.mark.column).cmp(&(&b.mark.source.name, b.mark.line, b.mark.column))
        });
        self.list
    }

    /// The error with every problem, if one of them refuses the file; else the warnings.
    ///
    /// # Errors
    /// When at least one problem is an error.
    pub fn finish(self) -> Result<Vec<Problem>, LoadError> {
        let failed = self.has_errors();
        let problems = self.into_sorted();
        if failed { Err(LoadError { problems }) } else { Ok(problems) }
    }
}

/// A user's file was refused: every problem found, in the order of their lines.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.text())]
pub struct LoadError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl LoadError {
    fn text(&self) -> String {
        self.problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
    }
}
