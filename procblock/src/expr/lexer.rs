//! From the text of an expression to its tokens, one at a time.
//!
//! The lexer is asked for a token, or for the next key of a path, because `a.0.5` is two keys and `0.5` a number.
//! Columns count characters, so that a caret can be put under them.

use crate::expr::ExprError;
use crate::expr::number::Number;
use crate::units;
use crate::value::Value;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// A word: a name, a function or an operator such as `and`.
    Word(&'a str),
    /// A number.
    Number(Value),
    /// A text in quotes, without them.
    Text(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// Nothing follows.
    End,
}

/// A token with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed<'a> {
    /// The token.
    pub(super) token: Token<'a>,
    /// Its first character, from 0.
    pub(super) column: usize,
    /// Its first byte in the text.
    pub(super) start: usize,
}

/// The operators and brackets, longer ones before their beginnings.
const SYMBOLS: [&str; 17] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", "+", "-", "*", "/", "%", "."];

/// Reads tokens from a text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    position: usize,
    column: usize,
}

impl<'a> Lexer<'a> {
    /// A lexer over `text`, whose first character stands in `column`.
    pub(super) fn new(text: &'a str, column: usize) -> Self {
        Lexer { text, position: 0, column }
    }

    /// The column of the next character.
    pub(super) fn column(&self) -> usize {
        self.column
    }

    /// What has not been read.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    /// The text from `start` to what has been read.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.position).unwrap_or_default()
    }

    /// The character before the byte `position`.
    pub(super) fn before(&self, position: usize) -> Option<char> {
        self.text.get(..position)?.chars().next_back()
    }

    /// Passes `character` when it comes next.
    pub(super) fn take(&mut self, character: char) -> bool {
        let found = self.rest().starts_with(character);
        if found {
            self.advance(character.len_utf8());
        }
        found
    }

    /// The key behind a `.`: a word, digits, or a minus and digits.
    pub(super) fn key(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let unsigned = rest.strip_prefix('-').unwrap_or(rest);
        let length = word_length(unsigned);
        let key = rest.get(..rest.len() - unsigned.len() + length)?;
        let is_signed = unsigned.len() != rest.len();
        let is_number = unsigned.get(..length)?.bytes().all(|b| b.is_ascii_digit());
        if length == 0 || (is_signed && !is_number) {
            return None;
        }
        self.advance(key.len());
        Some(key)
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Placed<'a>, ExprError> {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start().len());
        let (column, start) = (self.column, self.position);
        let rest = self.rest();
        let token = match rest.chars().next() {
            None => Token::End,
            Some(quote @ ('"' | '\'')) => self.text(quote)?,
            Some(digit) if digit.is_ascii_digit() => self.number()?,
            Some(letter) if is_word_start(letter) => {
                self.advance(word_length(rest));
                Token::Word(self.since(start))
            }
            Some(other) => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => {
                    self.advance(symbol.len());
                    Token::Symbol(symbol)
                }
                None => return Err(unknown_character(column, other, rest)),
            },
        };
        Ok(Placed { token, column, start })
    }

    fn advance(&mut self, bytes: usize) {
        self.column += self.rest().get(..bytes).map_or(0, |passed| passed.chars().count());
        self.position += bytes;
    }

    fn number(&mut self) -> Result<Token<'a>, ExprError> {
        let column = self.column;
        let rest = self.rest();
        let mut length = 0;
        let mut previous = ' ';
        for character in rest.chars() {
            let is_sign_of_exponent = matches!(character, '+' | '-') && matches!(previous, 'e' | 'E');
            if !(is_word(character) || character == '.' || is_sign_of_exponent) {
                break;
            }
            length += character.len_utf8();
            previous = character;
        }
        let written = rest.get(..length).unwrap_or_default();
        let value = Number::read(written).and_then(Number::to_value);
        self.advance(length);
        value.map(Token::Number).ok_or_else(|| {
            let remedy = match (units::parse_duration(written), units::parse_size(written)) {
                (Some(duration), _) => format!("a duration is written in seconds: {}", duration.as_secs_f64()),
                (None, Some(bytes)) => format!("a size is written in bytes: {bytes}"),
                (None, None) => "expected digits such as 5, 0.5 or 1e3; a text stands in quotes".into(),
            };
            ExprError::new(column, format!("\"{written}\" is not a number"), remedy)
        })
    }

    fn text(&mut self, quote: char) -> Result<Token<'a>, ExprError> {
        let column = self.column;
        let rest = self.rest();
        let mut text = String::new();
        let mut characters = rest.char_indices().skip(1).peekable();
        while let Some((offset, character)) = characters.next() {
            if character == quote {
                self.advance(offset + quote.len_utf8());
                return Ok(Token::Text(text));
            }
            if character != '\\' {
                text.push(character);
                continue;
            }
            let Some((_, escaped)) = characters.next() else { break };
            match escaped {
                '\\' | '"' | '\'' => text.push(escaped),
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                // Kept with its backslash, so that a pattern such as "\d+" can be written as it is.
                other => text.extend(['\\', other]),
            }
        }
        Err(ExprError::new(column, format!("the quote {quote} is never closed"), "close it where the text ends"))
    }
}

/// Whether a word may begin with it.
pub(super) fn is_word_start(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

/// Whether a word may go on with it.
pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !is_word(c)).unwrap_or(text.len())
}

fn unknown_character(column: usize, character: char, rest: &str) -> ExprError {
    let remedy = match character {
        '=' => "to compare, write ==",
        '!' => "to negate, write not",
        '&' => "to combine, write and",
        '|' => "to combine, write or",
        '$' if rest.starts_with("${") => "inside an expression a name stands alone, without ${…}",
        '$' => "inside an expression a name stands alone, without $",
        '?' | ':' => "expected an expression such as a.b > 5 and c in [1, 2]",
        '{' | '}' => "a list is written [a, b]; mappings cannot be written in an expression",
        '`' | '“' | '”' | '‘' | '’' => "a text stands in plain quotes: \"text\" or 'text'",
        _ => "a key with such characters is reached as data[\"the key\"]",
    };
    ExprError::new(column, format!("unexpected character {character:?}"), remedy)
}
