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
        let (line, pad) = excerpt(line, self.mark.column);
        write!(f, "\n  {number} | {line}\n  {} | {pad}^", " ".repeat(number.len()))
    }
}

/// How much of a long line a message shows, in characters, and how much of that stands before its column.
const EXCERPT_MAX: usize = 160;
const EXCERPT_BEFORE: usize = 100;

/// The part of `line` around `column`, with what a terminal would obey made visible, and what stands before its caret.
fn excerpt(line: &str, column: u32) -> (String, String) {
    let before = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
    let skipped = if before >= EXCERPT_MAX { before - EXCERPT_BEFORE } else { 0 };
    let mut shown: String = if skipped > 0 { "…".into() } else { String::new() };
    shown.extend(line.chars().skip(skipped).take(EXCERPT_MAX).map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }));
    let caret = before - skipped + usize::from(skipped > 0);
    let pad = shown.chars().take(caret).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    if line.chars().nth(skipped + EXCERPT_MAX).is_some() {
        shown.push('…');
    }
    (shown, pad)
}

/// Whether a terminal would obey or hide the character instead of showing it.
fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// A word of a file as messages quote it: cut when it is long, control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let cut: String = text.chars().take(SHOWN_MAX).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    let escaped: String = cut
        .chars()
        .map(|c| if c.is_control() || is_unsafe(c) { c.escape_default().to_string() } else { c.to_string() })
        .collect();
    format!("\"{escaped}{more}\"")
}

/// How many problems are kept and told; a broken file of megabytes has no use for more.
const PROBLEMS_MAX: usize = 100;

/// Collects a file's problems while it is read and compiled; the first 100 are kept, further ones counted.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    /// Those beyond the first [`PROBLEMS_MAX`]: the place of the first, how many, and whether an error is among them.
    left_out: Option<LeftOut>,
}

#[derive(Debug)]
struct LeftOut {
    mark: Mark,
    count: usize,
    severity: Severity,
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
        let is_same = |known: &Problem| {
            known.what == what
                && (known.mark.line, known.mark.column) == (mark.line, mark.column)
                && known.mark.source.name == mark.source.name
        };
        if self.list.iter().any(is_same) {
            return;
        }
        if self.list.len() >= PROBLEMS_MAX {
            let left_out = self.left_out.get_or_insert_with(|| LeftOut { mark: mark.clone(), count: 0, severity });
            left_out.count += 1;
            if severity == Severity::Error {
                left_out.severity = Severity::Error;
            }
            return;
        }
        let remedy = Some(remedy).filter(|text| !text.is_empty());
        self.list.push(Problem { mark: mark.clone(), severity, what, remedy });
    }

    /// Whether any of them refuses the file.
    pub fn has_errors(&self) -> bool {
        self.list
            .iter()
            .map(|problem| problem.severity)
            .chain(self.left_out.iter().map(|rest| rest.severity))
            .any(|s| s == Severity::Error)
    }

    /// Adds the problems of another collection.
    pub fn append(&mut self, other: Problems) {
        for problem in other.into_sorted() {
            self.add(&problem.mark, problem.severity, problem.what, problem.remedy.unwrap_or_default());
        }
    }

    /// All of them, by file and line, then how many were left out; the caller decides what to do with warnings.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.list.sort_by(|a, b| {
            (&a.mark.source.name, a.mark.line, a.mark.column).cmp(&(&b.mark.source.name, b.mark.line, b.mark.column))
        });
        if let Some(LeftOut { mark, count, severity }) = self.left_out {
            let what = format!("{count} more problems from here on are not shown");
            self.list.push(Problem { mark, severity, what, remedy: None });
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Source;

    #[test]
    fn the_first_hundred_problems_are_told_and_the_rest_counted() {
        let source = Source::new("a.yaml", "/", "x\n".repeat(200));
        let mut problems = Problems::new();
        for line in 1..=130 {
            problems.error(&Mark { source: source.clone(), line, column: 1 }, "wrong", "");
        }
        let error = problems.finish().unwrap_err();
        assert_eq!(error.problems.len(), 101);
        assert!(
            error
                .to_string()
                .ends_with("a.yaml:101:1: 30 more problems from here on are not shown\n  101 | x\n      | ^")
        );
    }

    #[test]
    fn an_error_among_those_left_out_refuses_the_file() {
        let mark = Mark::start(Source::new("a.yaml", "/", ""));
        let mut problems = Problems::new();
        (0..150).for_each(|_| problems.warning(&mark, "odd", ""));
        assert!(!problems.has_errors());
        problems.error(&mark, "wrong", "");
        assert!(problems.has_errors());
        let mut all = Problems::new();
        all.append(problems);
        assert!(all.finish().is_err());
    }

    #[test]
    fn the_caret_stands_under_its_column_in_long_and_tabbed_lines() {
        assert_eq!(excerpt("a\tb", 3), ("a\tb".into(), " \t".into()));
        let (line, pad) = excerpt(&"é".repeat(1_000), 501);
        assert_eq!((line.chars().count(), pad.chars().count()), (162, 101));
        let (line, pad) = excerpt("short", 900);
        assert_eq!((line.as_str(), pad.len()), ("…", 1));
    }

    #[test]
    fn quoted_words_are_cut_and_escaped() {
        assert_eq!(shown("a\u{1b}[2J\n"), "\"a\\u{1b}[2J\\n\"");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), 63);
    }
}
