//! The functions of expressions, each declared once in [`FUNCTIONS`].
//!
//! A function of something missing is missing; only `default` turns that into a value.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use crate::expr::arithmetic::{in_range, operand, shortened};
use crate::expr::ast::Term;
use crate::expr::error::did_you_mean;
use crate::expr::eval::{Datum, boolean};
use crate::expr::number::Number;
use crate::expr::{ExprError, Scope, arithmetic};
use crate::value::{Value, kind_name, to_text};

/// The most memory a compiled pattern may take, in bytes.
const PATTERN_SIZE_MAX: usize = 1 << 20;

/// A function of expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Len,
    Min,
    Max,
    Sum,
    Avg,
    Round,
    Now,
    Lower,
    Upper,
    Matches,
    Number,
    Text,
    Default,
}

/// What the reference says about a function.
#[derive(Debug)]
pub struct FunctionSpec {
    /// Its name.
    pub name: &'static str,
    /// How it is called, `round(x, digits)`.
    pub signature: &'static str,
    /// One sentence about what it gives.
    pub summary: &'static str,
    /// The fewest arguments.
    pub arguments_min: usize,
    /// The most arguments.
    pub arguments_max: usize,
    function: Function,
}

/// How many values `min(a, b, …)` and its like take at most.
const VALUES_MAX: usize = 100;

const fn spec(
    function: Function,
    signature: &'static str,
    name: &'static str,
    (arguments_min, arguments_max): (usize, usize),
    summary: &'static str,
) -> FunctionSpec {
    FunctionSpec { name, signature, summary, arguments_min, arguments_max, function }
}

/// Every function, by name.
pub static FUNCTIONS: [FunctionSpec; 13] = [
    spec(Function::Avg, "avg(list) or avg(a, b, …)", "avg", (1, VALUES_MAX), "the mean of the numbers; null of none"),
    spec(Function::Default, "default(x, y)", "default", (2, 2), "x, or y when x is missing or null"),
    spec(Function::Len, "len(x)", "len", (1, 1), "the number of characters, items or keys; 0 of null"),
    spec(Function::Lower, "lower(text)", "lower", (1, 1), "the text in small letters"),
    spec(
        Function::Matches,
        "matches(text, pattern)",
        "matches",
        (2, 2),
        "whether the regular expression matches anywhere in the text; ^ and $ tie it to the ends",
    ),
    spec(Function::Max, "max(list) or max(a, b, …)", "max", (1, VALUES_MAX), "the largest number; null of none"),
    spec(Function::Min, "min(list) or min(a, b, …)", "min", (1, VALUES_MAX), "the smallest number; null of none"),
    spec(Function::Now, "now()", "now", (0, 0), "seconds since 1970, with decimals"),
    spec(
        Function::Number,
        "number(x)",
        "number",
        (1, 1),
        "the number that a text says, blanks around it ignored; true is 1, false 0",
    ),
    spec(
        Function::Round,
        "round(x) or round(x, digits)",
        "round",
        (1, 2),
        "x to the nearest whole number, or to as many digits behind the point; halves away from 0",
    ),
    spec(Function::Sum, "sum(list) or sum(a, b, …)", "sum", (1, VALUES_MAX), "the sum of the numbers; 0 of none"),
    spec(Function::Text, "text(x)", "text", (1, 1), "the value as text: null is empty, lists and mappings are JSON"),
    spec(Function::Upper, "upper(text)", "upper", (1, 1), "the text in capital letters"),
];

/// Whether there is a function of this name.
pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.iter().any(|spec| spec.name == name)
}

/// The function of this name, if it takes so many arguments.
///
/// # Errors
/// When there is none, or it takes another number of arguments.
pub(super) fn find(name: &str, arguments: usize, column: usize) -> Result<Function, ExprError> {
    let Some(spec) = FUNCTIONS.iter().find(|spec| spec.name == name) else {
        let names = FUNCTIONS.iter().map(|spec| spec.name);
        let remedy = did_you_mean(name, names.clone())
            .unwrap_or_else(|| format!("the functions are {}", names.collect::<Vec<_>>().join(", ")));
        return Err(ExprError::new(column, format!("unknown function \"{name}\""), remedy));
    };
    if (spec.arguments_min..=spec.arguments_max).contains(&arguments) {
        return Ok(spec.function);
    }
    let message = format!("{name} does not take {arguments} arguments");
    Err(ExprError::new(column, message, format!("write {}", spec.signature)))
}

/// Compiles a pattern of `matches`. Matching takes time linear in the text.
///
/// # Errors
/// When it is not a regular expression, or takes more than a MiB compiled.
pub(super) fn pattern(text: &str, column: usize) -> Result<Regex, ExprError> {
    RegexBuilder::new(text).size_limit(PATTERN_SIZE_MAX).dfa_size_limit(PATTERN_SIZE_MAX).build().map_err(|error| {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => "it is too large; repeat less".into(),
            other => {
                let text = other.to_string();
                text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        };
        let message = format!("\"{}\" is not a regular expression: {reason}", shortened(text));
        ExprError::new(column, message, "a character with a meaning of its own is written with a backslash: \"\\.\"")
    })
}

/// Whether the pattern matches anywhere in a text or a number's text; never in null.
///
/// # Errors
/// When the value is a boolean, list or mapping.
pub(super) fn matches(value: &Value, pattern: &Regex, column: usize) -> Result<bool, ExprError> {
    if value.is_null() {
        return Ok(false);
    }
    Ok(pattern.is_match(&as_text(value, "matches", column)?))
}

/// Calls a function; `arguments` were counted by [`find`].
///
/// # Errors
/// When an argument has the wrong kind, or the result lies outside 64 bits.
pub(super) fn call<'a>(
    function: Function,
    arguments: &'a [Term],
    column: usize,
    scope: &'a dyn Scope,
) -> Result<Datum<'a>, ExprError> {
    match (function, arguments) {
        (Function::Now, _) => Ok(serde_json::Number::from_f64(scope.now()).map(|now| Cow::Owned(Value::Number(now)))),
        (Function::Default, [value, otherwise]) => match value.eval(scope)? {
            Some(value) if !value.is_null() => Ok(Some(value)),
            _ => otherwise.eval(scope),
        },
        (Function::Matches, [text, expression]) => {
            let (Some(text), Some(expression)) = (text.eval(scope)?, expression.eval(scope)?) else { return Ok(None) };
            let expression = pattern(&as_text(&expression, "matches", column)?, column)?;
            matches(&text, &expression, column).map(boolean)
        }
        (Function::Round, [value, digits]) => {
            let (Some(value), Some(digits)) = (value.eval(scope)?, digits.eval(scope)?) else { return Ok(None) };
            round_to(&value, &digits, column).map(|rounded| Some(Cow::Owned(rounded)))
        }
        (Function::Min | Function::Max | Function::Sum | Function::Avg, arguments) => {
            let mut aggregate = Aggregate { function, column, count: 0, number: None };
            for argument in arguments {
                let Some(value) = argument.eval(scope)? else { return Ok(None) };
                aggregate.add(&value)?;
            }
            aggregate.finish().map(|result| Some(Cow::Owned(result)))
        }
        (function, [argument]) => {
            let Some(value) = argument.eval(scope)? else { return Ok(None) };
            unary(function, value, column).map(Some)
        }
        (_, _) => Ok(None),
    }
}

fn unary(function: Function, value: Cow<'_, Value>, column: usize) -> Result<Cow<'_, Value>, ExprError> {
    let result = match function {
        Function::Len => length(&value, column)?,
        Function::Lower if value.is_null() => Value::Null,
        Function::Upper if value.is_null() => Value::Null,
        Function::Lower => Value::String(as_text(&value, "lower", column)?.to_lowercase()),
        Function::Upper => Value::String(as_text(&value, "upper", column)?.to_uppercase()),
        Function::Text if value.is_string() => return Ok(value),
        Function::Text => Value::String(to_text(&value)),
        Function::Number => number(&value, column)?,
        _ => round(&value, column)?,
    };
    Ok(Cow::Owned(result))
}

fn length(value: &Value, column: usize) -> Result<Value, ExprError> {
    match value {
        Value::Null => Ok(Value::from(0)),
        Value::String(text) => Ok(Value::from(text.chars().count())),
        Value::Array(items) => Ok(Value::from(items.len())),
        Value::Object(map) => Ok(Value::from(map.len())),
        other => Err(wrong_kind("len", "a text, list or mapping", other, column)),
    }
}

fn number(value: &Value, column: usize) -> Result<Value, ExprError> {
    match value {
        Value::Null | Value::Number(_) => Ok(value.clone()),
        Value::Bool(boolean) => Ok(Value::from(i64::from(*boolean))),
        Value::String(text) => Number::read(text.trim()).and_then(Number::to_value).ok_or_else(|| {
            let message = format!("the text \"{}\" is not a number", shortened(text));
            ExprError::new(column, message, "test it first: matches(x, \"^[0-9]+$\") and number(x) > 5")
        }),
        other => Err(wrong_kind("number", "a number or text", other, column)),
    }
}

fn round(value: &Value, column: usize) -> Result<Value, ExprError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let rounded = match operand(value, "round", column)? {
        Number::Integer(integer) => Number::Integer(integer),
        #[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates, and the range is checked")]
        Number::Decimal(decimal) => Number::Integer(decimal.round() as i128),
    };
    in_range(Some(rounded), column)
}

fn round_to(value: &Value, digits: &Value, column: usize) -> Result<Value, ExprError> {
    /// Behind the 15th digit a decimal has no meaning.
    const DIGITS_MAX: i32 = 15;
    if value.is_null() {
        return Ok(Value::Null);
    }
    let digits = digits.as_i64().and_then(|digits| i32::try_from(digits).ok()).filter(|d| (0..=DIGITS_MAX).contains(d));
    let Some(digits) = digits else {
        return Err(ExprError::new(column, "round takes 0 to 15 digits", "write round(x, 2)"));
    };
    match operand(value, "round", column)? {
        integer @ Number::Integer(_) => in_range(Some(integer), column),
        Number::Decimal(decimal) => {
            let factor = 10_f64.powi(digits);
            let scaled = (decimal * factor).round();
            // So large that it has no digits behind the point.
            let rounded = if scaled.is_finite() { scaled / factor } else { decimal };
            in_range(Some(Number::Decimal(rounded)), column)
        }
    }
}

/// One number of many. Null is passed over: the unknown is not zero.
struct Aggregate {
    function: Function,
    column: usize,
    count: u32,
    /// The least, the greatest or the sum so far.
    number: Option<Number>,
}

impl Aggregate {
    /// Takes in a number, or the items of a list or mapping.
    fn add(&mut self, value: &Value) -> Result<(), ExprError> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.add_number(item)),
            Value::Object(map) => map.values().try_for_each(|item| self.add_number(item)),
            single => self.add_number(single),
        }
    }

    fn add_number(&mut self, value: &Value) -> Result<(), ExprError> {
        if value.is_null() {
            return Ok(());
        }
        let number = operand(value, name_of(self.function), self.column)?;
        self.count = self.count.saturating_add(1);
        self.number = match (self.function, self.number) {
            (_, None) => Some(number),
            (Function::Min, Some(least)) => Some(if number.compare(least).is_lt() { number } else { least }),
            (Function::Max, Some(greatest)) => Some(if number.compare(greatest).is_gt() { number } else { greatest }),
            (_, Some(sum)) => Some(arithmetic::add(sum, number)),
        };
        Ok(())
    }

    fn finish(self) -> Result<Value, ExprError> {
        match (self.function, self.number) {
            (Function::Sum, None) => Ok(Value::from(0)),
            (_, None) => Ok(Value::Null),
            (Function::Avg, Some(sum)) => {
                let mean = arithmetic::divide(sum, Number::Integer(i128::from(self.count)));
                in_range(Some(mean), self.column)
            }
            (_, number) => in_range(number, self.column),
        }
    }
}

fn name_of(function: Function) -> &'static str {
    FUNCTIONS.iter().find(|spec| spec.function == function).map_or("function", |spec| spec.name)
}

fn as_text<'v>(value: &'v Value, user: &str, column: usize) -> Result<Cow<'v, str>, ExprError> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        other => Err(wrong_kind(user, "a text", other, column)),
    }
}

fn wrong_kind(user: &str, expected: &str, found: &Value, column: usize) -> ExprError {
    ExprError::new(column, format!("{user} needs {expected}, found a {}", kind_name(found)), "")
}
