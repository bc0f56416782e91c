//! What a parsed expression is made of.

use regex::Regex;

use crate::expr::functions::Function;
use crate::expr::path::Path;
use crate::value::Value;

/// One operand or operation, with its place.
#[derive(Debug, Clone)]
pub(super) struct Term {
    /// The column that errors about it name: of its operator, else of its first character.
    pub(super) column: usize,
    /// What it is.
    pub(super) kind: Kind,
}

/// The kinds of term.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A value written in the expression; a list of literals too.
    Literal(Value),
    /// `[a, b]` with at least one item that is computed.
    List(Vec<Term>),
    /// A name and the keys behind it.
    Path(Box<Path>),
    /// `not x`.
    Not(Box<Term>),
    /// `-x`.
    Negate(Box<Term>),
    /// `x is empty`.
    IsEmpty(Box<Term>),
    /// `x is not empty`.
    IsNotEmpty(Box<Term>),
    /// `a and b`.
    And(Box<[Term; 2]>),
    /// `a or b`.
    Or(Box<[Term; 2]>),
    /// A comparison.
    Compare(Comparison, Box<[Term; 2]>),
    /// Arithmetic.
    Compute(Arithmetic, Box<[Term; 2]>),
    /// A function.
    Call(Function, Vec<Term>),
    /// `matches(text, "pattern")` whose pattern is literal and therefore compiled once.
    Matches(Box<Term>, Box<Regex>),
}

/// Operators that give true or false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// `==`
    Equal,
    /// `!=`, the negation of `==`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in`
    In,
    /// `not in`, the negation of `in`
    NotIn,
    /// `has`: `in` with its sides exchanged
    Has,
    /// `hasno`, the negation of `has`
    HasNo,
}

/// Operators on numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl Arithmetic {
    /// As it is written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Remainder => "%",
        }
    }
}
