//! Expressions, paths and `${…}`: the one small language of `if`, `until`, computed fields and texts.
//!
//! An expression is parsed once and evaluated over borrowed data. A name that leads to nothing is missing: it equals
//! nothing, orders false and counts as false; where a value must stand ([`Template`], [`ShellLine`]) it is an error that
//! names it. Nothing here reads data other than through a [`Scope`], and no value ever becomes code.
//!
//! ```
//! use procblock::expr::Expr;
//! let data = serde_json::json!({"disk": {"used": "91"}});
//! let expression = Expr::parse("disk.used > 90 and disk.name is empty").unwrap();
//! assert!(expression.is_true(data.as_object().unwrap()).unwrap());
//! ```

mod arithmetic;
mod ast;
mod compare;
mod error;
mod eval;
mod functions;
mod lexer;
mod number;
mod parser;
mod path;
mod shell_line;
mod template;
mod value_template;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::SystemTime;

pub use error::ExprError;
pub use functions::{FUNCTIONS, FunctionSpec};
pub use shell_line::ShellLine;
pub use template::Template;
pub use value_template::ValueTemplate;

use crate::value::{Map, Value};

/// Where names lead to values.
pub trait Scope {
    /// The value of the first word of a path. A name may hold dots when a key of the data does.
    fn get(&self, name: &str) -> Option<&Value>;

    /// The names there are, for "did you mean". Default: none, and no suggestion is made.
    fn names(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Seconds since 1970, for `now()`. Default: the system's clock.
    fn now(&self) -> f64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
    }
}

impl Scope for Map {
    fn get(&self, name: &str) -> Option<&Value> {
        Map::get(self, name)
    }

    fn names(&self) -> Vec<&str> {
        self.keys().map(String::as_str).collect()
    }
}

/// A parsed expression.
#[derive(Debug, Clone)]
pub struct Expr {
    term: ast::Term,
}

impl Expr {
    /// Parses an expression of at most 16 KiB, 50 levels, and 200 operators and keys.
    ///
    /// # Errors
    /// With the column of the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Expr, ExprError> {
        Self::parse_at(text, 0)
    }

    /// As [`Expr::parse`], for a text that stands in `column` (characters, from 0) of a longer one.
    ///
    /// # Errors
    /// With the column in the longer text.
    pub fn parse_at(text: &str, column: usize) -> Result<Expr, ExprError> {
        parser::parse(text, column).map(|term| Expr { term })
    }

    /// The value, borrowed where it comes from the scope or the expression; `None` when it is missing.
    ///
    /// # Errors
    /// On a wrong kind, a division by zero or a number out of range.
    pub fn evaluate<'a>(&'a self, scope: &'a dyn Scope) -> Result<Option<Cow<'a, Value>>, ExprError> {
        self.term.eval(scope)
    }

    /// The value, null when it is missing.
    ///
    /// # Errors
    /// As [`Expr::evaluate`].
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, ExprError> {
        Ok(self.term.eval(scope)?.map_or(Value::Null, Cow::into_owned))
    }

    /// The value, which must be there.
    ///
    /// # Errors
    /// When it is missing, naming the path that leads to nothing; else as [`Expr::evaluate`].
    pub fn require<'a>(&'a self, scope: &'a dyn Scope) -> Result<Cow<'a, Value>, ExprError> {
        match self.term.eval(scope)? {
            Some(value) => Ok(value),
            None => Err(self.term.first_missing(scope).unwrap_or_else(|| {
                ExprError::new(self.term.column, "the expression has no value", "default(x, y) gives one")
            })),
        }
    }

    /// Whether it counts as true: not missing, null, false, 0 or an empty text, list or mapping.
    ///
    /// # Errors
    /// As [`Expr::evaluate`].
    pub fn is_true(&self, scope: &dyn Scope) -> Result<bool, ExprError> {
        Ok(eval::is_true(&self.term.eval(scope)?))
    }

    /// Whether it is a single name, without keys or operators.
    pub fn is_name(&self) -> bool {
        matches!(&self.term.kind, ast::Kind::Path(path) if path.is_name())
    }
}
