//! Places in a file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that was read: kept whole so that messages can show the line.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user would write it (relative to where they stand, when it was given so).
    pub name: PathBuf,
    /// The folder that paths in the file are relative to, absolute.
    pub folder: PathBuf,
    /// The file's text.
    pub text: String,
}

impl Source {
    /// A source from text, as when a file was read or a test has it in hand.
    pub fn new(name: impl Into<PathBuf>, folder: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Source { name: name.into(), folder: folder.into(), text: text.into() })
    }

    /// The text of line `line` (from 1) without its line end; empty past the end.
    pub fn line(&self, line: u32) -> &str {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        self.text.lines().nth(index).unwrap_or_default()
    }

    /// `path` made absolute against the file's folder.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }
}

/// One place in a source. Lines and columns count from 1, columns in characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Mark {
    /// The file.
    pub source: Arc<Source>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Mark {
    /// The first place of a source, for mistakes that concern it as a whole.
    pub fn start(source: Arc<Source>) -> Self {
        Mark { source, line: 1, column: 1 }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name.display(), self.line, self.column)
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
