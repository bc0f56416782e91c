//! `+ - * / %` on numbers: integers stay integers where the result is exact, and nothing overflows silently.

use crate::expr::ExprError;
use crate::expr::ast::Arithmetic;
use crate::expr::number::Number;
use crate::value::{Value, kind_name};

/// Computes `left operator right`. Null on either side gives null: computing with the unknown gives the unknown.
///
/// # Errors
/// When a side is not a number, on division by zero, and when the result lies outside 64 bits.
pub(super) fn compute(operator: Arithmetic, column: usize, left: &Value, right: &Value) -> Result<Value, ExprError> {
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    if operator == Arithmetic::Add && left.is_string() && right.is_string() {
        let remedy = "to join texts write \"${a}${b}\" outside of the expression; to add, write number(a) + number(b)";
        return Err(ExprError::new(column, "\"+\" does not join two texts", remedy));
    }
    let symbol = operator.symbol();
    let (left, right) = (operand(left, symbol, column)?, operand(right, symbol, column)?);
    let result = match operator {
        Arithmetic::Add => Some(add(left, right)),
        Arithmetic::Subtract => combine(left, right, i128::checked_sub, |a, b| a - b),
        Arithmetic::Multiply => combine(left, right, i128::checked_mul, |a, b| a * b),
        Arithmetic::Divide | Arithmetic::Remainder if right.is_zero() => {
            return Err(ExprError::new(column, "division by zero", "test the divisor first: b != 0 and a / b > 1"));
        }
        Arithmetic::Divide => Some(divide(left, right)),
        Arithmetic::Remainder => combine(left, right, floored_remainder, |a, b| a - b * (a / b).floor()),
    };
    in_range(result, column)
}

/// `-value`; null stays null.
///
/// # Errors
/// When it is not a number, or its negation lies outside 64 bits.
pub(super) fn negate(column: usize, value: &Value) -> Result<Value, ExprError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let result = match operand(value, "-", column)? {
        Number::Integer(integer) => integer.checked_neg().map(Number::Integer),
        Number::Decimal(decimal) => Some(Number::Decimal(-decimal)),
    };
    in_range(result, column)
}

/// The number as a value, or the error that says it is too large.
///
/// # Errors
/// When there is none, or it lies outside 64 bits.
pub(super) fn in_range(number: Option<Number>, column: usize) -> Result<Value, ExprError> {
    number.and_then(Number::to_value).ok_or_else(|| {
        ExprError::new(
            column,
            "the result is too large",
            "integers have 64 bits; a decimal point computes with decimals",
        )
    })
}

/// The number that an operand is or says.
///
/// # Errors
/// When it is of another kind, or a text that is not wholly a decimal number.
pub(super) fn operand(value: &Value, user: &str, column: usize) -> Result<Number, ExprError> {
    Number::said_by(value).ok_or_else(|| {
        let found = match value {
            Value::String(text) => format!("the text \"{}\"", shortened(text)),
            other => format!("a {}", kind_name(other)),
        };
        ExprError::new(
            column,
            format!("\"{user}\" needs a number, found {found}"),
            "number(x) reads a text with blanks around it",
        )
    })
}

/// At most 40 characters of a text, for messages.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 40;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into(),
    }
}

fn combine(
    left: Number,
    right: Number,
    integers: fn(i128, i128) -> Option<i128>,
    decimals: fn(f64, f64) -> f64,
) -> Option<Number> {
    match (left, right) {
        (Number::Integer(a), Number::Integer(b)) => integers(a, b).map(Number::Integer),
        (a, b) => Some(Number::Decimal(decimals(a.to_decimal(), b.to_decimal()))),
    }
}

/// The sum. Two integers of 64 bits and their further sums stay far inside 128 bits; beyond them it is a decimal.
pub(super) fn add(left: Number, right: Number) -> Number {
    combine(left, right, i128::checked_add, |a, b| a + b)
        .unwrap_or_else(|| Number::Decimal(left.to_decimal() + right.to_decimal()))
}

/// The quotient by a number that is not 0, an integer where it is exact.
pub(super) fn divide(left: Number, right: Number) -> Number {
    if let (Number::Integer(a), Number::Integer(b)) = (left, right)
        && a.checked_rem(b) == Some(0)
        && let Some(quotient) = a.checked_div(b)
    {
        return Number::Integer(quotient);
    }
    Number::Decimal(left.to_decimal() / right.to_decimal())
}

/// The remainder with the divisor's sign, as in Lua and Python.
fn floored_remainder(a: i128, b: i128) -> Option<i128> {
    let remainder = a.checked_rem(b)?;
    Some(if remainder != 0 && (remainder < 0) != (b < 0) { remainder + b } else { remainder })
}
