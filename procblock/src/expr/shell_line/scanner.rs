//! Follows the shell's own reading of a line, as far as quoting goes, and puts references where `${…}` stand.
//!
//! Whatever is misread can only make a reference stand in the wrong quoting: values never enter the line.

use crate::expr::ExprError;
use crate::expr::shell_line::expansion::{Context, QUOTED_DOCUMENT};
use crate::expr::shell_line::here_document::HereDocument;
use crate::expr::shell_line::reference::name_prefix;
use crate::expr::template::Hole;

/// The most quotes, parentheses and expansions inside one another.
const DEPTH_MAX: usize = 50;

/// What ends a list of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    End,
    Parenthesis,
    CaseItem,
}

/// How a list of commands ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Closed,
    Esac,
}

/// Reads a line once, from its beginning to its end.
pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) position: usize,
    /// Where reading stops: the end of the line, or of a here-document.
    end: usize,
    pub(super) output: String,
    pub(super) holes: Vec<(String, Hole)>,
    pub(super) prefix: String,
    pub(super) depth: usize,
    pub(super) pending: Vec<HereDocument>,
    /// A byte offset and the characters before it, so that columns are not counted from the start each time.
    counted: (usize, usize),
}

impl<'a> Scanner<'a> {
    /// A scanner at the beginning of a line.
    pub(super) fn new(text: &'a str) -> Self {
        Scanner {
            text,
            position: 0,
            end: text.len(),
            output: String::with_capacity(text.len()),
            holes: Vec::new(),
            prefix: name_prefix(text),
            depth: 0,
            pending: Vec::new(),
            counted: (0, 0),
        }
    }

    /// The rewritten line and its variables.
    ///
    /// # Errors
    /// As [`crate::expr::ShellLine::parse`].
    pub(super) fn read(mut self) -> Result<(String, Vec<(String, Hole)>), ExprError> {
        self.commands(Close::End, 0)?;
        Ok((self.output, self.holes))
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.position..self.end).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.position = (self.position + bytes).min(self.end);
    }

    pub(super) fn copy(&mut self, bytes: usize) {
        self.output.push_str(self.rest().get(..bytes).unwrap_or_else(|| self.rest()));
        self.skip(bytes);
    }

    pub(super) fn copy_characters(&mut self, count: usize) {
        let bytes = self.rest().chars().take(count).map(char::len_utf8).sum();
        self.copy(bytes);
    }

    pub(super) fn column(&mut self, position: usize) -> usize {
        let (bytes, characters) = if self.counted.0 <= position { self.counted } else { (0, 0) };
        let passed = self.text.get(bytes..position).unwrap_or_default();
        self.counted = (position, characters + passed.chars().count());
        self.counted.1
    }

    pub(super) fn unclosed(&mut self, what: &str, opened: usize) -> ExprError {
        let remedy = "close it; without that it cannot be told how each ${…} is quoted";
        ExprError::new(self.column(opened), format!("{what} is never closed"), remedy)
    }

    pub(super) fn enter(&mut self) -> Result<(), ExprError> {
        self.depth += 1;
        if self.depth <= DEPTH_MAX {
            return Ok(());
        }
        let message = format!("quotes and parentheses nested deeper than {DEPTH_MAX} levels");
        Err(ExprError::new(self.column(self.position), message, "put the line into a script file"))
    }

    /// Reads commands to what closes them.
    pub(super) fn commands(&mut self, close: Close, opened: usize) -> Result<Ended, ExprError> {
        self.enter()?;
        let mut is_command = true;
        loop {
            let Some(character) = self.peek() else {
                if close == Close::Parenthesis {
                    return Err(self.unclosed("the parenthesis", opened));
                }
                break;
            };
            match character {
                '\n' => {
                    self.copy(1);
                    self.here_documents()?;
                }
                ';' if close == Close::CaseItem && self.at_item_end() => {
                    self.copy(2);
                    break;
                }
                ';' | '&' | '|' => self.copy(1),
                ')' => {
                    self.copy(1);
                    if close == Close::Parenthesis {
                        break;
                    }
                }
                '(' if self.rest().starts_with("((") => self.arithmetic(1)?,
                '(' => {
                    let opened = self.position;
                    self.copy(1);
                    self.commands(Close::Parenthesis, opened)?;
                }
                '#' => self.comment(),
                '<' => {
                    self.redirection();
                    continue;
                }
                ' ' | '\t' | '\r' | '>' => {
                    self.copy(1);
                    continue;
                }
                _ => {
                    let start = self.position;
                    self.word()?;
                    let word = self.text.get(start..self.position).unwrap_or_default();
                    if is_command && word == "esac" && close == Close::CaseItem {
                        self.depth -= 1;
                        return Ok(Ended::Esac);
                    }
                    if is_command && word == "case" {
                        self.case()?;
                    }
                    is_command = is_command && expects_command(word);
                    continue;
                }
            }
            is_command = true;
        }
        self.depth -= 1;
        Ok(Ended::Closed)
    }

    fn at_item_end(&self) -> bool {
        self.rest().starts_with(";;") || self.rest().starts_with(";&")
    }

    fn comment(&mut self) {
        let rest = self.rest();
        self.copy(rest.find('\n').unwrap_or(rest.len()));
    }

    fn redirection(&mut self) {
        let rest = self.rest();
        if rest.starts_with("<<<") {
            self.copy(3);
        } else if let Some((document, length)) = HereDocument::parse(rest) {
            self.pending.push(document);
            self.copy(length);
        } else {
            self.copy(1);
        }
    }

    /// Behind `case`: the subject, `in`, and the items to `esac`.
    fn case(&mut self) -> Result<(), ExprError> {
        self.enter()?;
        self.pattern_word()?;
        while self.peek() != Some(')') && self.pattern_word()?.is_some_and(|word| word != "in") {}
        loop {
            match self.pattern_word()? {
                Some("esac") | None => break,
                Some(_) => {}
            }
            if self.peek() == Some(')') {
                self.copy(1);
                if self.commands(Close::CaseItem, self.position)? == Ended::Esac {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The next word of a case's head or patterns, with all that stands before it other than a `)`.
    fn pattern_word(&mut self) -> Result<Option<&'a str>, ExprError> {
        loop {
            match self.peek() {
                None => return Ok(None),
                Some(')') => return Ok(Some("")),
                Some('#') => self.comment(),
                Some('\n') => {
                    self.copy(1);
                    self.here_documents()?;
                }
                Some(' ' | '\t' | '\r' | '(' | '|' | ';' | '&' | '<' | '>') => self.copy(1),
                Some(_) => {
                    let start = self.position;
                    self.word()?;
                    return Ok(self.text.get(start..self.position));
                }
            }
        }
    }

    /// A word outside quotes, to the first character that ends it.
    fn word(&mut self) -> Result<(), ExprError> {
        while let Some(character) = self.peek() {
            match character {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                _ => self.expandable(Context::Outside)?,
            }
        }
        Ok(())
    }

    /// Behind the end of a line: the here-documents that it announced.
    fn here_documents(&mut self) -> Result<(), ExprError> {
        for document in std::mem::take(&mut self.pending) {
            let rest = self.rest();
            let outer_end = self.end;
            self.end = self.position + document.body_length(rest);
            while let Some(character) = self.peek() {
                match character {
                    _ if document.is_quoted => self.unexpanded(&QUOTED_DOCUMENT)?,
                    '\\' => self.copy_characters(2),
                    '`' => self.backquotes()?,
                    '$' => self.dollar(Context::HereDocument)?,
                    _ => self.copy_characters(1),
                }
            }
            self.end = outer_end;
            let rest = self.rest();
            self.copy(rest.find('\n').map_or(rest.len(), |index| index + 1));
        }
        Ok(())
    }
}

/// Whether a command can follow the word, so that the next word may be `case` or `esac`.
fn expects_command(word: &str) -> bool {
    matches!(word, "if" | "then" | "else" | "elif" | "while" | "until" | "do" | "!" | "{" | "time" | "case")
}
