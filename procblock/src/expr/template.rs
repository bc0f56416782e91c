//! Texts with `${…}`, filled from a scope.
//!
//! Read after the YAML: what a value holds never becomes YAML, an expression or another `${…}`. `$${` is a literal
//! `${`. Everything between `${` and its `}` is an expression, quotes and all, or one followed by `:-` and a default
//! text, which may hold further `${…}`; inside a default `\{` and `\}` are single braces.

use std::borrow::Cow;

use crate::expr::{Expr, ExprError, Scope};
use crate::value::{Value, to_text};

/// The most bytes of a text that was filled in.
const TEXT_MAX: usize = 64 << 20;

/// The most defaults inside one another.
const DEPTH_MAX: usize = 10;

/// What to do about a missing name.
pub(super) const DEFAULT_REMEDY: &str =
    "let a step return it, set it under data:, or write ${name:-text} for a default";

/// A text with any number of `${…}`.
#[derive(Debug, Clone)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Hole(Hole),
}

/// One `${…}`: an expression and perhaps a default text.
#[derive(Debug, Clone)]
pub(super) struct Hole {
    /// Where its `$` stands.
    pub(super) column: usize,
    expression: Expr,
    default: Option<Template>,
}

impl Template {
    /// Parses a text. Takes time linear in its length.
    ///
    /// # Errors
    /// When a `${` is not closed, an expression in it is wrong, or the original's placeholder `%(name)s` is used.
    pub fn parse(text: &str) -> Result<Template, ExprError> {
        refuse_placeholder(text)?;
        Reader { text, position: 0, column: 0, depth: 0 }.read()
    }

    /// Whether it holds no `${…}`, so that it renders to the same text everywhere.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// The text it always renders to, when it holds no `${…}`.
    pub(super) fn literal(&self) -> Option<String> {
        let part = |part: &Part| match part {
            Part::Literal(text) => Some(text.clone()),
            Part::Hole(_) => None,
        };
        self.parts.iter().map(part).collect()
    }

    /// The filled text; the value itself, of any kind, when the text is exactly one `${…}`. In a longer text null is
    /// nothing and lists and mappings are JSON.
    ///
    /// # Errors
    /// When a name without default is missing, an expression fails, or the text would exceed 64 MiB.
    pub fn render(&self, scope: &dyn Scope) -> Result<Value, ExprError> {
        self.render_borrowed(scope).map(Cow::into_owned)
    }

    /// As [`Template::render`], without copying a value that exists.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_borrowed<'a>(&'a self, scope: &'a dyn Scope) -> Result<Cow<'a, Value>, ExprError> {
        if let [Part::Hole(hole)] = self.parts.as_slice() {
            return hole.value(scope, DEFAULT_REMEDY);
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Hole(hole) => match &*hole.value(scope, DEFAULT_REMEDY)? {
                    Value::String(value) => text.push_str(value),
                    other => text.push_str(&to_text(other)),
                },
            }
            if text.len() > TEXT_MAX {
                let message = format!("the text would exceed {} MiB", TEXT_MAX >> 20);
                return Err(ExprError::new(0, message, "pass large values through a file"));
            }
        }
        Ok(Cow::Owned(Value::String(text)))
    }
}

impl Hole {
    /// Reads what follows a `${` that stands in `column`; gives the bytes that were read too, the `}` included.
    ///
    /// # Errors
    /// When it is not closed, or not an expression.
    pub(super) fn parse(rest: &str, column: usize, depth: usize) -> Result<(Hole, usize), ExprError> {
        if depth > DEPTH_MAX {
            let message = format!("defaults nested deeper than {DEPTH_MAX} levels");
            return Err(ExprError::new(column, message, "compute parts of it in earlier set steps"));
        }
        let Some(extent) = Extent::of(rest) else {
            let remedy = "close it, and each quote in it; for a literal \"${\" write $${";
            return Err(ExprError::new(column, "\"${\" has no closing \"}\"", remedy));
        };
        let written = rest.get(..extent.expression_end).unwrap_or_default();
        if written.trim().is_empty() {
            return Err(ExprError::new(column, "\"${}\" holds no name", "write ${name}, or $${ for a literal \"${\""));
        }
        let expression = Expr::parse_at(written, column + 2)?;
        let default = match rest.get(extent.expression_end + 2..extent.end) {
            Some(text) if extent.has_default => {
                let column = column + 4 + written.chars().count();
                refuse_placeholder(text).map_err(|error| ExprError { column: column + error.column, ..error })?;
                Some(Reader { text, position: 0, column, depth: depth + 1 }.read()?)
            }
            _ => None,
        };
        Ok((Hole { column, expression, default }, extent.end + 1))
    }

    /// Its value, or its default when that is missing, null or an empty text, as in a shell. `remedy` says what to do
    /// about a missing name when no other is near to it.
    ///
    /// # Errors
    /// When it is missing and has no default, or the expression fails.
    pub(super) fn value<'a>(&'a self, scope: &'a dyn Scope, remedy: &str) -> Result<Cow<'a, Value>, ExprError> {
        let Some(default) = &self.default else {
            return self.expression.require(scope).map_err(|mut error| {
                if error.remedy.is_empty() && self.expression.evaluate(scope).is_ok() {
                    error.remedy = remedy.into();
                }
                error
            });
        };
        match self.expression.evaluate(scope)? {
            Some(value) if !value.is_null() && value.as_str() != Some("") => Ok(value),
            _ => default.render_borrowed(scope),
        }
    }

    /// The default text in what follows a `${`, as it is written.
    pub(super) fn default_of(rest: &str) -> Option<&str> {
        let extent = Extent::of(rest).filter(|extent| extent.has_default)?;
        rest.get(extent.expression_end + 2..extent.end)
    }

    /// The bytes that follow a `${`, its `}` included; `None` when it is not closed.
    pub(super) fn length(rest: &str) -> Option<usize> {
        Extent::of(rest).map(|extent| extent.end + 1)
    }

    /// Whether it is a single name without default.
    pub(super) fn is_name(&self) -> bool {
        self.default.is_none() && self.expression.is_name()
    }
}

/// How far a `${…}` reaches, in bytes from behind the `${`.
struct Extent {
    /// The end of its expression.
    expression_end: usize,
    has_default: bool,
    /// Its `}`.
    end: usize,
}

impl Extent {
    /// Finds the `}` that is neither in quotes nor, in a default, inside further braces.
    fn of(rest: &str) -> Option<Extent> {
        let bytes = rest.as_bytes();
        let mut quote = None;
        let mut index = 0;
        while let Some(byte) = bytes.get(index) {
            match (quote, byte) {
                (Some(_), b'\\') => index += 1,
                (Some(open), close) if open == *close => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(*byte),
                (None, b'}') => return Some(Extent { expression_end: index, has_default: false, end: index }),
                (None, b':') if bytes.get(index + 1) == Some(&b'-') => {
                    let end = default_end(bytes, index + 2)?;
                    return Some(Extent { expression_end: index, has_default: true, end });
                }
                (None, _) => {}
            }
            index += 1;
        }
        None
    }
}

fn default_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut open = 0_usize;
    let mut index = from;
    while let Some(byte) = bytes.get(index) {
        match byte {
            b'\\' if matches!(bytes.get(index + 1), Some(b'{' | b'}')) => index += 1,
            b'{' => open += 1,
            b'}' if open == 0 => return Some(index),
            b'}' => open -= 1,
            _ => {}
        }
        index += 1;
    }
    None
}

/// Reads a text into parts. In a default (depth above 0) escaped braces are unescaped.
struct Reader<'a> {
    text: &'a str,
    position: usize,
    column: usize,
    depth: usize,
}

impl Reader<'_> {
    fn read(mut self) -> Result<Template, ExprError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        loop {
            let rest = self.text.get(self.position..).unwrap_or_default();
            if let Some(inside) = rest.strip_prefix("${") {
                let (hole, length) = Hole::parse(inside, self.column, self.depth)?;
                self.pass(length + 2);
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Hole(hole));
            } else if rest.starts_with("$${") {
                literal.push_str("${");
                self.pass(3);
            } else if self.depth > 0 && (rest.starts_with("\\{") || rest.starts_with("\\}")) {
                literal.push_str(rest.get(1..2).unwrap_or_default());
                self.pass(2);
            } else {
                let Some(first) = rest.chars().next() else { break };
                let plain = rest.get(first.len_utf8()..).unwrap_or_default();
                let length = first.len_utf8() + plain.find(['$', '\\']).unwrap_or(plain.len());
                literal.push_str(rest.get(..length).unwrap_or_default());
                self.pass(length);
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Template { parts })
    }

    fn pass(&mut self, bytes: usize) {
        let passed = self.text.get(self.position..self.position + bytes).unwrap_or_default();
        self.column += passed.chars().count();
        self.position += bytes;
    }
}

/// Refuses the original's placeholder, so that a file written for it does not print it as it is. The texts inside
/// `${…}` are passed over: there it can be written as a literal.
///
/// # Errors
/// When the text holds `%(word)s`.
pub(super) fn refuse_placeholder(text: &str) -> Result<(), ExprError> {
    let mut position = 0;
    let mut can_skip = true;
    while let Some(found) = text.get(position..).and_then(|rest| rest.find(['$', '%'])) {
        position += found;
        let rest = text.get(position..).unwrap_or_default();
        if let Some(word) = placeholder(rest) {
            let column = text.get(..position).unwrap_or_default().chars().count();
            let remedy = format!("write ${{{word}}}; for these very characters write ${{\"%({word})s\"}}");
            return Err(ExprError::new(column, format!("\"%({word})s\" is the spelling of the original"), remedy));
        }
        position += match rest.strip_prefix("${") {
            // Looked for once: a second search behind one that is not closed could make the time quadratic.
            Some(inside) if can_skip => Hole::length(inside).unwrap_or_else(|| {
                can_skip = false;
                0
            }),
            _ if rest.starts_with("$${") => 2,
            _ => 0,
        } + 1;
    }
    Ok(())
}

/// The word of the `%(word)s` that a text begins with.
fn placeholder(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("%(")?;
    let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (word, behind) = rest.split_at_checked(length)?;
    (!word.is_empty() && behind.starts_with(")s")).then_some(word)
}
