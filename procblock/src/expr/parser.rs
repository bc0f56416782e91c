//! From tokens to terms, by operator precedence.
//!
//! From the loosest: `or`; `and`; `not`; comparisons, which do not chain; `+ -`; `* / %`; unary `-`; paths. Depth and
//! number of operators are bounded, so that neither parsing nor evaluating can exhaust the stack.

use crate::expr::ast::{Arithmetic, Comparison, Kind, Term};
use crate::expr::error::did_you_mean;
use crate::expr::lexer::{Lexer, Placed, Token, is_word, is_word_start};
use crate::expr::path::Path;
use crate::expr::{ExprError, arithmetic, functions};
use crate::value::Value;

/// The most bytes of an expression.
pub(super) const LENGTH_MAX: usize = 16 * 1024;

/// The most brackets and prefixes inside one another.
const DEPTH_MAX: usize = 50;

/// The most operators and keys of one expression: a chain of operators is as deep as it is long, and a missing key is
/// looked for joined with each of the following.
const OPERATORS_MAX: usize = 200;

/// Words that are operators or literals and cannot begin a path.
const RESERVED: [&str; 10] = ["and", "or", "not", "in", "has", "hasno", "is", "true", "false", "null"];

/// How tightly an operator binds; the right side binds one tighter.
mod binding {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const COMPARISON: u8 = 4;
    pub(super) const SUM: u8 = 5;
    pub(super) const PRODUCT: u8 = 6;
    pub(super) const NEGATION: u8 = 7;
}

/// An operator between or behind operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Compare(Comparison),
    /// `is empty`, or `is not empty`.
    Is,
    /// `not in`.
    Not,
    Compute(Arithmetic),
}

impl Operator {
    fn of(token: &Token<'_>) -> Option<Operator> {
        Some(match token {
            Token::Word("or") => Operator::Or,
            Token::Word("and") => Operator::And,
            Token::Word("is") => Operator::Is,
            Token::Word("not") => Operator::Not,
            Token::Word("in") => Operator::Compare(Comparison::In),
            Token::Word("has") => Operator::Compare(Comparison::Has),
            Token::Word("hasno") => Operator::Compare(Comparison::HasNo),
            Token::Symbol("==") => Operator::Compare(Comparison::Equal),
            Token::Symbol("!=") => Operator::Compare(Comparison::NotEqual),
            Token::Symbol("<") => Operator::Compare(Comparison::Less),
            Token::Symbol("<=") => Operator::Compare(Comparison::LessOrEqual),
            Token::Symbol(">") => Operator::Compare(Comparison::Greater),
            Token::Symbol(">=") => Operator::Compare(Comparison::GreaterOrEqual),
            Token::Symbol("+") => Operator::Compute(Arithmetic::Add),
            Token::Symbol("-") => Operator::Compute(Arithmetic::Subtract),
            Token::Symbol("*") => Operator::Compute(Arithmetic::Multiply),
            Token::Symbol("/") => Operator::Compute(Arithmetic::Divide),
            Token::Symbol("%") => Operator::Compute(Arithmetic::Remainder),
            _ => return None,
        })
    }

    fn binding(self) -> u8 {
        match self {
            Operator::Or => binding::OR,
            Operator::And => binding::AND,
            Operator::Compare(_) | Operator::Is | Operator::Not => binding::COMPARISON,
            Operator::Compute(Arithmetic::Add | Arithmetic::Subtract) => binding::SUM,
            Operator::Compute(_) => binding::PRODUCT,
        }
    }
}

/// Parses a whole expression whose first character stands in `column`.
///
/// # Errors
/// With the column of the first thing that is wrong.
pub(super) fn parse(text: &str, column: usize) -> Result<Term, ExprError> {
    if text.len() > LENGTH_MAX {
        let message = format!("the expression has {} bytes, at most {LENGTH_MAX} are read", text.len());
        return Err(ExprError::new(column, message, "compute parts of it in earlier set steps"));
    }
    let mut parser = Parser { lexer: Lexer::new(text, column), peeked: None, depth: 0, operators: 0 };
    if parser.peek()?.token == Token::End {
        return Err(ExprError::new(column, "the expression is empty", "write a condition such as a.b > 5"));
    }
    let term = parser.expression(0)?;
    let rest = parser.next()?;
    if rest.token == Token::End { Ok(term) } else { Err(unexpected_behind(&rest)) }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    peeked: Option<Placed<'a>>,
    depth: usize,
    operators: usize,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Result<&Placed<'a>, ExprError> {
        let placed = match self.peeked.take() {
            Some(placed) => placed,
            None => self.lexer.next()?,
        };
        Ok(self.peeked.insert(placed))
    }

    fn next(&mut self) -> Result<Placed<'a>, ExprError> {
        match self.peeked.take() {
            Some(placed) => Ok(placed),
            None => self.lexer.next(),
        }
    }

    /// Passes the token when it comes next.
    fn take(&mut self, token: &Token<'_>) -> Result<bool, ExprError> {
        let found = self.peek()?.token == *token;
        if found {
            self.peeked = None;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &'static str, opened: usize) -> Result<(), ExprError> {
        let placed = self.next()?;
        if placed.token == Token::Symbol(symbol) {
            return Ok(());
        }
        if placed.token == Token::End {
            let message = format!("no closing \"{symbol}\"");
            return Err(ExprError::new(opened, message, "close the bracket that opens here"));
        }
        let mut error = unexpected_behind(&placed);
        if error.remedy.is_empty() {
            error.remedy = format!("expected \"{symbol}\"");
        }
        Err(error)
    }

    /// Parses operands and operators that bind tighter than `loosest`.
    fn expression(&mut self, loosest: u8) -> Result<Term, ExprError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(ExprError::new(self.lexer.column(), message, "compute parts of it in earlier set steps"));
        }
        let mut left = self.prefix()?;
        let mut was_comparison = false;
        loop {
            let placed = self.peek()?;
            let Some(operator) = Operator::of(&placed.token) else { break };
            if operator.binding() <= loosest {
                break;
            }
            let (column, start) = (placed.column, placed.start);
            let is_comparison = operator.binding() == binding::COMPARISON;
            if is_comparison && was_comparison {
                let remedy = "write a < b and b < c";
                return Err(ExprError::new(column, "comparisons do not chain", remedy));
            }
            was_comparison = is_comparison || (was_comparison && operator.binding() > binding::COMPARISON);
            self.count_operator(column)?;
            self.peeked = None;
            if operator == Operator::Compute(Arithmetic::Subtract) {
                self.refuse_key_with_dash(&left, start, column)?;
            }
            left = self.infix(operator, left, column)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn count_operator(&mut self, column: usize) -> Result<(), ExprError> {
        self.operators += 1;
        if self.operators <= OPERATORS_MAX {
            return Ok(());
        }
        let message = format!("more than {OPERATORS_MAX} operators and keys");
        Err(ExprError::new(column, message, "x in [a, b, c] compares with many; compute parts in earlier set steps"))
    }

    /// `disk-used` would be a subtraction of two missing values, which is silently false.
    fn refuse_key_with_dash(&self, left: &Term, start: usize, column: usize) -> Result<(), ExprError> {
        let is_tight = !matches!(left.kind, Kind::Literal(_))
            && self.lexer.before(start).is_some_and(is_word)
            && self.lexer.rest().starts_with(is_word_start);
        if !is_tight {
            return Ok(());
        }
        let remedy = "to subtract, write spaces around it; a key with a dash is reached as data[\"the-key\"]";
        Err(ExprError::new(column, "\"-\" between two words can be a minus or part of a key", remedy))
    }

    fn infix(&mut self, operator: Operator, left: Term, column: usize) -> Result<Term, ExprError> {
        let kind = match operator {
            Operator::Or => Kind::Or(Box::new([left, self.expression(binding::OR)?])),
            Operator::And => Kind::And(Box::new([left, self.expression(binding::AND)?])),
            Operator::Compute(operator) => {
                let right = self.expression(operator_binding(operator))?;
                Kind::Compute(operator, Box::new([left, right]))
            }
            Operator::Compare(comparison) => {
                Kind::Compare(comparison, Box::new([left, self.expression(binding::COMPARISON)?]))
            }
            Operator::Not => {
                if !self.take(&Token::Word("in"))? {
                    return Err(ExprError::new(column, "unexpected \"not\"", "expected an operator such as not in"));
                }
                Kind::Compare(Comparison::NotIn, Box::new([left, self.expression(binding::COMPARISON)?]))
            }
            Operator::Is => {
                let is_negated = self.take(&Token::Word("not"))?;
                if !self.take(&Token::Word("empty"))? {
                    let remedy = "write is empty or is not empty; to compare, write == or !=";
                    return Err(ExprError::new(column, "\"is\" without \"empty\"", remedy));
                }
                if is_negated { Kind::IsNotEmpty(Box::new(left)) } else { Kind::IsEmpty(Box::new(left)) }
            }
        };
        Ok(Term { column, kind })
    }

    fn prefix(&mut self) -> Result<Term, ExprError> {
        let placed = self.next()?;
        let column = placed.column;
        let root = match placed.token {
            Token::Number(value) => return Ok(Term { column, kind: Kind::Literal(value) }),
            Token::Text(text) => return Ok(Term { column, kind: Kind::Literal(Value::String(text)) }),
            Token::Word("true") => return Ok(Term { column, kind: Kind::Literal(Value::Bool(true)) }),
            Token::Word("false") => return Ok(Term { column, kind: Kind::Literal(Value::Bool(false)) }),
            Token::Word("null") => return Ok(Term { column, kind: Kind::Literal(Value::Null) }),
            Token::Word("not") => {
                let term = self.expression(binding::NOT)?;
                return Ok(Term { column, kind: Kind::Not(Box::new(term)) });
            }
            Token::Symbol("-") => return self.negation(column),
            Token::Symbol("(") => {
                let inner = self.expression(0)?;
                self.expect(")", column)?;
                Path::computed(inner)
            }
            Token::Symbol("[") => Path::computed(self.list(column)?),
            Token::Word(name) if RESERVED.contains(&name) => {
                let message = format!("expected a value before \"{name}\"");
                return Err(ExprError::new(column, message, "a text stands in quotes"));
            }
            Token::Word(name) if self.is_call() => Path::computed(self.call(name, column)?),
            Token::Word(name) => Path::named(name),
            Token::End => return Err(ExprError::new(column, "the expression ends too early", "expected a value")),
            Token::Symbol(symbol) => return Err(unexpected_symbol(symbol, column)),
        };
        self.path(root, column, placed.start)
    }

    fn negation(&mut self, column: usize) -> Result<Term, ExprError> {
        let term = self.expression(binding::NEGATION)?;
        if let Kind::Literal(value @ Value::Number(_)) = &term.kind {
            return Ok(Term { column, kind: Kind::Literal(arithmetic::negate(column, value)?) });
        }
        Ok(Term { column, kind: Kind::Negate(Box::new(term)) })
    }

    fn is_call(&self) -> bool {
        self.lexer.rest().trim_start().starts_with('(')
    }

    /// The keys behind a root, which follow it without a blank.
    fn path(&mut self, mut path: Path, column: usize, start: usize) -> Result<Term, ExprError> {
        loop {
            let opened = self.lexer.column();
            if self.lexer.rest().starts_with(['[', '.']) {
                self.count_operator(opened)?;
            }
            if self.lexer.take('[') {
                path.push_computed(self.expression(0)?);
                self.expect("]", opened)?;
            } else if self.lexer.take('.') {
                let opened = self.lexer.column();
                if self.lexer.take('(') {
                    path.push_computed(self.expression(0)?);
                    self.expect(")", opened)?;
                } else if let Some(key) = self.lexer.key() {
                    path.push_key(key);
                } else {
                    let remedy = "write a.b, a.0, a.-1, a.(b.c) or a[\"any key\"]";
                    return Err(ExprError::new(opened, "expected a key behind \".\"", remedy));
                }
            } else {
                break;
            }
        }
        path.set_written(self.lexer.since(start));
        Ok(path.into_term(column))
    }

    fn items(&mut self, close: &'static str, opened: usize) -> Result<Vec<Term>, ExprError> {
        let mut items = Vec::new();
        while !self.take(&Token::Symbol(close))? {
            items.push(self.expression(0)?);
            if !self.take(&Token::Symbol(","))? {
                self.expect(close, opened)?;
                break;
            }
        }
        Ok(items)
    }

    fn list(&mut self, column: usize) -> Result<Term, ExprError> {
        let items = self.items("]", column)?;
        let literals: Option<Vec<Value>> = items
            .iter()
            .map(|item| match &item.kind {
                Kind::Literal(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        let kind = match literals {
            Some(values) => Kind::Literal(Value::Array(values)),
            None => Kind::List(items),
        };
        Ok(Term { column, kind })
    }

    fn call(&mut self, name: &str, column: usize) -> Result<Term, ExprError> {
        let opened = self.next()?.column;
        let mut arguments = self.items(")", opened)?;
        let function = functions::find(name, arguments.len(), column)?;
        if function == functions::Function::Matches
            && let Some(Term { column: place, kind: Kind::Literal(Value::String(text)) }) = arguments.get(1)
        {
            let pattern = functions::pattern(text, *place)?;
            arguments.truncate(1);
            if let Some(text) = arguments.pop() {
                return Ok(Term { column, kind: Kind::Matches(Box::new(text), Box::new(pattern)) });
            }
        }
        Ok(Term { column, kind: Kind::Call(function, arguments) })
    }
}

fn operator_binding(operator: Arithmetic) -> u8 {
    Operator::Compute(operator).binding()
}

fn unexpected_symbol(symbol: &str, column: usize) -> ExprError {
    let remedy = match symbol {
        "." => "a decimal begins with a digit: 0.5",
        ")" | "]" => "there is no opening bracket, or a value is missing before it",
        _ => "expected a name, number, text in quotes, list or parenthesis",
    };
    ExprError::new(column, format!("unexpected \"{symbol}\""), remedy)
}

/// What stands where an operator or the end should.
fn unexpected_behind(placed: &Placed<'_>) -> ExprError {
    const OPERATORS: [&str; 7] = ["and", "or", "not in", "in", "has", "hasno", "is"];
    let (found, remedy) = match &placed.token {
        Token::Word(word) if functions::is_function(word) => {
            (format!("\"{word}\""), format!("a function is called with its values behind it: {word}(…)"))
        }
        Token::Word(word) => (
            format!("\"{word}\""),
            did_you_mean(word, OPERATORS)
                .unwrap_or_else(|| "expected an operator such as and, == or in; a text stands in quotes".into()),
        ),
        Token::Number(number) => (number.to_string(), "expected an operator such as and, == or in".into()),
        Token::Text(_) => ("a text".into(), "expected an operator such as and, == or in".into()),
        Token::Symbol(symbol @ (")" | "]")) => (format!("\"{symbol}\""), "there is no opening bracket for it".into()),
        Token::Symbol(symbol) => (format!("\"{symbol}\""), "expected an operator such as and, == or in".into()),
        Token::End => ("end".into(), "expected an operator such as and, == or in".into()),
    };
    ExprError::new(placed.column, format!("unexpected {found}"), remedy)
}
