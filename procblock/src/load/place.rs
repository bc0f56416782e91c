//! Where in the file a character of a scalar's text stands.
//!
//! A scalar's text is not what the file holds: escapes are decoded, lines folded, indentation taken off. Instead of
//! keeping a table beside every scalar, the few places that a message asks for are found by reading the file again,
//! in step with the text.

use crate::load::{Mark, Style};

/// Reads a scalar's characters in the file, keeping count of line and column.
#[derive(Clone)]
struct Cursor<'a> {
    rest: std::str::Chars<'a>,
    line: u32,
    column: u32,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn peek_second(&self) -> Option<char> {
        self.rest.clone().nth(1)
    }

    fn at_break(&self) -> bool {
        matches!(self.peek(), Some('\n' | '\r'))
    }

    fn at_blank(&self) -> bool {
        matches!(self.peek(), Some(' ' | '\t'))
    }

    /// Takes one character, or a whole line end.
    fn advance(&mut self) {
        match self.rest.next() {
            None => {}
            Some(c @ ('\n' | '\r')) => {
                if c == '\r' && self.peek() == Some('\n') {
                    self.rest.next();
                }
                self.line += 1;
                self.column = 1;
            }
            Some(_) => self.column += 1,
        }
    }

    fn skip_blanks(&mut self) {
        while self.at_blank() {
            self.advance();
        }
    }
}

/// The place of the `offset`th character (from 0) of the scalar that begins at `start` and means `text`.
pub(crate) fn place_within(start: &Mark, text: &str, style: Style, offset: usize) -> Mark {
    let mut cursor = Cursor { rest: start.rest().chars(), line: start.line, column: start.column };
    let end = match style {
        Style::Plain => in_flowing_text(cursor, offset, None),
        Style::Quoted => {
            let quote = cursor.peek();
            cursor.advance();
            in_flowing_text(cursor, offset, quote)
        }
        Style::Block => in_block(cursor, text, offset),
    };
    Mark { source: start.source.clone(), line: end.line, column: end.column }
}

/// The place of the `#` of a comment that stands behind a plain scalar, on the line on which it ends.
pub(crate) fn comment_after_plain(start: &Mark, text: &str) -> Option<Mark> {
    let cursor = Cursor { rest: start.rest().chars(), line: start.line, column: start.column };
    let mut end = in_flowing_text(cursor, text.chars().count(), None);
    if !end.at_blank() {
        return None;
    }
    end.skip_blanks();
    (end.peek() == Some('#')).then(|| Mark { source: start.source.clone(), line: end.line, column: end.column })
}

/// Plain and quoted text: a run of line ends folds to a space, or to one `\n` less than it has; quotes have escapes.
fn in_flowing_text(mut cursor: Cursor<'_>, offset: usize, quote: Option<char>) -> Cursor<'_> {
    let mut passed = 0;
    loop {
        if let Some((behind, length)) = fold(&cursor, quote) {
            if passed + length > offset {
                return cursor;
            }
            passed += length;
            cursor = behind;
            continue;
        }
        if passed >= offset || cursor.peek().is_none() {
            return cursor;
        }
        match (cursor.peek(), quote) {
            (Some('\\'), Some('"')) => skip_escape(&mut cursor),
            (Some('\''), Some('\'')) => {
                cursor.advance();
                cursor.advance();
            }
            _ => cursor.advance(),
        }
        passed += 1;
    }
}

/// The end of the folded line ends that begin here, and how many characters of the text they stand for.
fn fold<'a>(cursor: &Cursor<'a>, quote: Option<char>) -> Option<(Cursor<'a>, usize)> {
    let mut behind = cursor.clone();
    let is_escaped =
        quote == Some('"') && behind.peek() == Some('\\') && matches!(behind.peek_second(), Some('\n' | '\r'));
    if is_escaped {
        behind.advance();
    }
    let mut breaks: usize = 0;
    loop {
        behind.skip_blanks();
        if !behind.at_break() {
            break;
        }
        behind.advance();
        breaks += 1;
    }
    let length = if is_escaped { breaks - 1 } else { breaks.saturating_sub(1).max(1) };
    (breaks > 0).then_some((behind, length))
}

fn skip_escape(cursor: &mut Cursor<'_>) {
    let digits = match cursor.peek_second() {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        _ => 0,
    };
    for _ in 0..digits + 2 {
        cursor.advance();
    }
}

/// `|` and `>` blocks: the text begins on the line after the sign, without the indentation of its lines.
fn in_block<'a>(mut cursor: Cursor<'a>, text: &str, offset: usize) -> Cursor<'a> {
    let header = cursor.rest.clone().take_while(|c| !matches!(c, '\n' | '\r'));
    let stated = header.take_while(|c| *c != '#').find_map(|c| c.to_digit(10));
    while !cursor.at_break() && cursor.peek().is_some() {
        cursor.advance();
    }
    cursor.advance();
    let indent = indentation(&cursor, text, stated);
    skip_indentation(&mut cursor, indent);
    for wanted in text.chars().take(offset) {
        if cursor.at_break() && !matches!(wanted, ' ' | '\n') {
            cursor.advance();
            skip_indentation(&mut cursor, indent);
        }
        let line_ends = cursor.at_break();
        cursor.advance();
        if line_ends {
            skip_indentation(&mut cursor, indent);
        }
    }
    // A character behind blank lines that were folded away stands behind all of them.
    if text.chars().nth(offset).is_some_and(|next| !matches!(next, ' ' | '\n')) {
        while cursor.at_break() {
            cursor.advance();
            skip_indentation(&mut cursor, indent);
        }
    }
    cursor
}

/// The columns taken off each line: those before the first line that is not blank, less what its text begins with.
fn indentation(cursor: &Cursor<'_>, text: &str, stated: Option<u32>) -> u32 {
    let mut lines = cursor.rest.as_str().split(['\n', '\r']);
    let first = lines.find(|line| !line.trim_start_matches(' ').is_empty());
    let spaces = |line: &str| u32::try_from(line.chars().take_while(|c| *c == ' ').count()).unwrap_or(0);
    let in_file = first.map_or(0, spaces);
    // Only a block whose header states its indentation can have text that begins with spaces.
    let in_text = if stated.is_some() {
        text.split('\n').find(|line| !line.trim_start_matches(' ').is_empty()).map_or(0, spaces)
    } else {
        0
    };
    in_file.saturating_sub(in_text)
}

fn skip_indentation(cursor: &mut Cursor<'_>, indent: u32) {
    while cursor.column <= indent && cursor.peek() == Some(' ') {
        cursor.advance();
    }
}

/// The place of a scalar itself, when an anchor or tag stands before it at `mark`.
pub(crate) fn behind_properties(mark: &Mark) -> Mark {
    skip_to(mark, |_| false)
}

/// The place of the `|` or `>` of a block, somewhere behind `mark`, the end of what was read before it: the parser
/// tells only where the block's text begins.
pub(crate) fn block_sign(mark: &Mark) -> Mark {
    skip_to(mark, |c| matches!(c, ':' | '-' | '?'))
}

/// Skips white space, comments, anchors, tags and the signs that are `passed`.
fn skip_to(mark: &Mark, passed: fn(char) -> bool) -> Mark {
    let mut cursor = Cursor { rest: mark.rest().chars(), line: mark.line, column: mark.column };
    let (mut in_property, mut in_comment) = (false, false);
    while let Some(c) = cursor.peek() {
        let is_white = c.is_ascii_whitespace();
        in_property = !is_white && (in_property || (!in_comment && matches!(c, '&' | '!')));
        in_comment = !cursor.at_break() && (in_comment || (c == '#' && !in_property));
        if !is_white && !in_property && !in_comment && !passed(c) {
            break;
        }
        cursor.advance();
    }
    Mark { source: mark.source.clone(), line: cursor.line, column: cursor.column }
}

/// The place of the `-` of a list whose first item begins at `mark`, if its `-` stands under the key at `key`.
///
/// For lists that are not indented the parser tells the place behind the `-`.
pub(crate) fn dash_under(key: &Mark, mark: &Mark) -> Option<Mark> {
    let width = usize::try_from(mark.column.saturating_sub(key.column)).ok().filter(|width| *width > 0)?;
    let dash = Mark { source: mark.source.clone(), line: mark.line, column: key.column };
    let between = dash.rest().get(..width)?.strip_prefix('-')?;
    (mark.line > key.line && between.bytes().all(|byte| byte == b' ' || byte == b'\t')).then_some(dash)
}
