//! Numbers inside expressions: integers are exact, and compare exactly with decimals.

use std::cmp::Ordering;

use crate::value::Value;

/// A number while it is computed with. Integers are wide enough that no single operation on two JSON integers
/// other than a multiplication can leave the range, and that one is checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// A whole number.
    Integer(i128),
    /// A decimal, always finite.
    Decimal(f64),
}

impl Number {
    /// The number that a value is; `None` for every other kind, texts included.
    pub(super) fn of(value: &Value) -> Option<Number> {
        let Value::Number(number) = value else { return None };
        if let Some(integer) = number.as_i64() {
            return Some(Number::Integer(i128::from(integer)));
        }
        if let Some(integer) = number.as_u64() {
            return Some(Number::Integer(i128::from(integer)));
        }
        number.as_f64().filter(|decimal| decimal.is_finite()).map(Number::Decimal)
    }

    /// The number that a value is or, for a text that is wholly a decimal number, says.
    pub(super) fn said_by(value: &Value) -> Option<Number> {
        match value {
            Value::String(text) => Number::read(text),
            other => Number::of(other),
        }
    }

    /// Reads a text that is wholly a decimal number: `5`, `-1.50`, `+7`, `.5`, `1e3`; no blanks, no units.
    pub(super) fn read(text: &str) -> Option<Number> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let well_formed = match fraction {
            Some(fraction) => (whole.is_empty() || digits(whole)) && digits(fraction),
            None => digits(whole),
        } && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
        if !well_formed {
            return None;
        }
        if fraction.is_none() && exponent.is_none() {
            let integer = text.parse::<i128>().ok().filter(|integer| fits(*integer));
            if let Some(integer) = integer {
                return Some(Number::Integer(integer));
            }
        }
        text.parse::<f64>().ok().filter(|decimal| decimal.is_finite()).map(Number::Decimal)
    }

    /// The value, unless it lies outside the range of 64 bits or is not finite.
    pub(super) fn to_value(self) -> Option<Value> {
        match self {
            Number::Integer(integer) => match i64::try_from(integer) {
                Ok(integer) => Some(Value::from(integer)),
                Err(_) => u64::try_from(integer).ok().map(Value::from),
            },
            Number::Decimal(decimal) => serde_json::Number::from_f64(decimal).map(Value::Number),
        }
    }

    /// As a decimal; integers beyond 2^53 lose their last digits.
    pub(super) fn to_decimal(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "the documented loss beyond 2^53")]
            Number::Integer(integer) => integer as f64,
            Number::Decimal(decimal) => decimal,
        }
    }

    /// Whether it is 0.
    pub(super) fn is_zero(self) -> bool {
        match self {
            Number::Integer(integer) => integer == 0,
            Number::Decimal(decimal) => decimal == 0.0,
        }
    }

    /// The exact order, also of an integer and a decimal.
    pub(super) fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Integer(a), Number::Integer(b)) => a.cmp(&b),
            (Number::Decimal(a), Number::Decimal(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Number::Integer(a), Number::Decimal(b)) => compare_mixed(a, b),
            (Number::Decimal(a), Number::Integer(b)) => compare_mixed(b, a).reverse(),
        }
    }
}

/// Whether an integer is one that a value can hold: a signed or an unsigned one of 64 bits.
fn fits(integer: i128) -> bool {
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&integer)
}

fn compare_mixed(integer: i128, decimal: f64) -> Ordering {
    #[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates, and every integer here is smaller")]
    let whole = decimal.trunc() as i128;
    integer.cmp(&whole).then_with(|| 0.0.partial_cmp(&decimal.fract()).unwrap_or(Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_that_are_wholly_decimal_numbers_are_read() {
        for (text, number) in [
            ("0", Number::Integer(0)),
            ("007", Number::Integer(7)),
            ("-5", Number::Integer(-5)),
            ("+5", Number::Integer(5)),
            ("18446744073709551615", Number::Integer(18_446_744_073_709_551_615)),
            ("18446744073709551616", Number::Decimal(18_446_744_073_709_551_616.0)),
            ("1.50", Number::Decimal(1.5)),
            (".5", Number::Decimal(0.5)),
            ("-.5", Number::Decimal(-0.5)),
            ("1e3", Number::Decimal(1000.0)),
            ("2.5E-1", Number::Decimal(0.25)),
        ] {
            assert_eq!(Number::read(text), Some(number), "{text}");
        }
        for text in
            ["", "-", "+", ".", "5.", " 5", "5 ", "5\n", "0x10", "1_000", "inf", "nan", "1e", "1e999", "٣", "1.2.3"]
        {
            assert_eq!(Number::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn integers_and_decimals_compare_exactly() {
        let big = (1_i128 << 53) + 1;
        assert_eq!(Number::Integer(big).compare(Number::Decimal(9_007_199_254_740_992.0)), Ordering::Greater);
        assert_eq!(Number::Integer(5).compare(Number::Decimal(5.0)), Ordering::Equal);
        assert_eq!(Number::Integer(5).compare(Number::Decimal(5.5)), Ordering::Less);
        assert_eq!(Number::Integer(-5).compare(Number::Decimal(-5.5)), Ordering::Greater);
        assert_eq!(Number::Decimal(1e300).compare(Number::Integer(5)), Ordering::Greater);
        assert_eq!(Number::Decimal(-1e300).compare(Number::Integer(5)), Ordering::Less);
    }
}
