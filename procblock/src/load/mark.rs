//! Places in a file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The byte order mark that some editors put before the first line; never part of the text.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A file that was read: kept whole so that messages can show the line.
pub struct Source {
    /// The path as the user would write it (relative to where they stand, when it was given so).
    pub name: PathBuf,
    /// The folder that paths in the file are relative to, absolute.
    pub folder: PathBuf,
    /// The file's text.
    pub text: String,
    /// Made when a place is first looked up.
    index: OnceLock<Index>,
}

impl Source {
    /// A source from text, as when a file was read or a test has it in hand.
    pub fn new(name: impl Into<PathBuf>, folder: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Source { name: name.into(), folder: folder.into(), text: text.into(), index: OnceLock::new() })
    }

    /// The text without a byte order mark: what lines and columns are counted in.
    pub fn body(&self) -> &str {
        self.text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.text)
    }

    /// The text of line `line` (from 1) without its line end; empty past the end.
    ///
    /// The first call reads the whole text once, later ones take the same short time for any line.
    pub fn line(&self, line: u32) -> &str {
        let rest = self.rest(line, 1);
        rest.find(['\n', '\r']).and_then(|end| rest.get(..end)).unwrap_or(rest)
    }

    /// The text from a place to the end; empty past the end.
    pub(crate) fn rest(&self, line: u32, column: u32) -> &str {
        let body = self.body();
        let index = self.index.get_or_init(|| Index::of(body));
        index.byte(body, line, column).and_then(|start| body.get(start..)).unwrap_or_default()
    }

    /// `path` made absolute against the file's folder.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }
}

/// Finds any place of a text in the same short time, also in a file of one endless line.
struct Index {
    /// Where each line begins. Line ends are those of YAML: `\n`, `\r\n` and a lone `\r`.
    lines: Vec<LineStart>,
    /// The byte at which every [`STRIDE`]th character begins.
    strides: Vec<usize>,
}

struct LineStart {
    character: usize,
    byte: usize,
}

const STRIDE: usize = 256;

impl Index {
    fn of(text: &str) -> Self {
        let mut lines = vec![LineStart { character: 0, byte: 0 }];
        let mut strides = Vec::new();
        let mut after_return = false;
        for (character, (byte, c)) in text.char_indices().enumerate() {
            if character % STRIDE == 0 {
                strides.push(byte);
            }
            if c == '\n' && after_return {
                lines.pop();
            }
            after_return = c == '\r';
            if c == '\n' || c == '\r' {
                lines.push(LineStart { character: character + 1, byte: byte + 1 });
            }
        }
        Index { lines, strides }
    }

    fn byte(&self, text: &str, line: u32, column: u32) -> Option<usize> {
        let start = self.lines.get(usize::try_from(line).ok()?.saturating_sub(1))?;
        let column = usize::try_from(column).ok()?.saturating_sub(1);
        if column == 0 {
            return Some(start.byte);
        }
        let character = start.character + column;
        let near = *self.strides.get(character / STRIDE)?;
        let (ahead, _) = text.get(near..)?.char_indices().nth(character % STRIDE)?;
        Some(near + ahead)
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.folder == other.folder && self.text == other.text
    }
}

impl Eq for Source {}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {} bytes)", self.name.display(), self.text.len())
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

    /// The text from this place to the end of the source.
    pub(crate) fn rest(&self) -> &str {
        self.source.rest(self.line, self.column)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_of_yaml_ends_a_line() {
        let source = Source::new("a.yaml", "/", "\u{feff}one\r\ntwo\rthree\n\nfive");
        let lines: Vec<&str> = (0..8).map(|line| source.line(line)).collect();
        assert_eq!(lines, ["one", "one", "two", "three", "", "five", "", ""]);
    }

    #[test]
    fn a_place_far_along_a_line_is_found() {
        let text = format!("first\r\n{}é!", "ü".repeat(1_000));
        let source = Source::new("a.yaml", "/", text);
        assert_eq!(source.rest(2, 1_001), "é!");
        assert_eq!(source.rest(2, 1_002), "!");
        assert_eq!(source.rest(2, 1_003), "");
        assert_eq!(source.rest(9, 1), "");
    }
}
