//! Evaluation over borrowed data: nothing is copied unless it is computed.
//!
//! What is missing stays missing through arithmetic and functions, equals nothing, orders false and counts as false;
//! whoever needs a value decides whether that is an error.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::expr::ast::{Comparison, Kind, Term};
use crate::expr::{ExprError, Scope, arithmetic, compare, functions};
use crate::value::Value;

/// A value, borrowed or computed, or `None` for what is missing.
pub(super) type Datum<'a> = Option<Cow<'a, Value>>;

/// Whether a datum counts as true; what is missing does not.
pub(super) fn is_true(datum: &Datum<'_>) -> bool {
    datum.as_deref().is_some_and(compare::is_true)
}

/// A computed boolean.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the evaluation gives a datum")]
pub(super) fn boolean<'a>(value: bool) -> Datum<'a> {
    Some(Cow::Owned(Value::Bool(value)))
}

impl Term {
    /// The value of the term.
    ///
    /// # Errors
    /// On a wrong kind, a division by zero or a number out of range; the column is the operator's.
    pub(super) fn eval<'a>(&'a self, scope: &'a dyn Scope) -> Result<Datum<'a>, ExprError> {
        match &self.kind {
            Kind::Literal(value) => Ok(Some(Cow::Borrowed(value))),
            Kind::Path(path) => path.eval(scope),
            Kind::Compare(comparison, sides) => {
                let [left, right] = &**sides;
                compare_terms(*comparison, left, right, scope).map(boolean)
            }
            Kind::And(sides) => {
                let [left, right] = &**sides;
                let datum = left.eval(scope)?;
                if is_true(&datum) { right.eval(scope) } else { Ok(datum) }
            }
            Kind::Or(sides) => {
                let [left, right] = &**sides;
                let datum = left.eval(scope)?;
                if is_true(&datum) { Ok(datum) } else { right.eval(scope) }
            }
            Kind::Not(term) => Ok(boolean(!is_true(&term.eval(scope)?))),
            Kind::IsEmpty(term) => Ok(boolean(is_empty(&term.eval(scope)?))),
            Kind::IsNotEmpty(term) => Ok(boolean(!is_empty(&term.eval(scope)?))),
            Kind::Compute(operator, sides) => {
                let [left, right] = &**sides;
                let (Some(left), Some(right)) = (left.eval(scope)?, right.eval(scope)?) else { return Ok(None) };
                arithmetic::compute(*operator, self.column, &left, &right).map(owned)
            }
            Kind::Negate(term) => match term.eval(scope)? {
                Some(value) => arithmetic::negate(self.column, &value).map(owned),
                None => Ok(None),
            },
            Kind::List(items) => eval_list(items, scope),
            Kind::Call(function, arguments) => functions::call(*function, arguments, self.column, scope),
            Kind::Matches(term, pattern) => match term.eval(scope)? {
                Some(value) => functions::matches(&value, pattern, self.column).map(boolean),
                None => Ok(None),
            },
        }
    }

    /// Why it is missing, when it is: the first path in it that leads to nothing.
    pub(super) fn first_missing(&self, scope: &dyn Scope) -> Option<ExprError> {
        match &self.kind {
            Kind::Path(path) => match path.eval(scope) {
                Ok(None) => Some(path.explain_missing(self.column, scope)),
                _ => None,
            },
            Kind::Negate(term) | Kind::Matches(term, _) => term.first_missing(scope),
            Kind::And(sides) | Kind::Or(sides) | Kind::Compute(_, sides) => {
                sides.iter().find_map(|side| side.first_missing(scope))
            }
            Kind::List(items) | Kind::Call(_, items) => items.iter().find_map(|item| item.first_missing(scope)),
            Kind::Literal(_) | Kind::Not(_) | Kind::IsEmpty(_) | Kind::IsNotEmpty(_) | Kind::Compare(..) => None,
        }
    }
}

fn owned<'a>(value: Value) -> Datum<'a> {
    Some(Cow::Owned(value))
}

fn is_empty(datum: &Datum<'_>) -> bool {
    datum.as_deref().is_none_or(compare::is_empty)
}

fn eval_list<'a>(items: &'a [Term], scope: &'a dyn Scope) -> Result<Datum<'a>, ExprError> {
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        match item.eval(scope)? {
            Some(value) => values.push(value.into_owned()),
            None => return Ok(None),
        }
    }
    Ok(owned(Value::Array(values)))
}

fn compare_terms(comparison: Comparison, left: &Term, right: &Term, scope: &dyn Scope) -> Result<bool, ExprError> {
    match comparison {
        Comparison::In => holds(right, left, scope),
        Comparison::NotIn => holds(right, left, scope).map(|found| !found),
        Comparison::Has => holds(left, right, scope),
        Comparison::HasNo => holds(left, right, scope).map(|found| !found),
        Comparison::NotEqual => compare_terms(Comparison::Equal, left, right, scope).map(|equal| !equal),
        _ => {
            let (left, right) = (left.eval(scope)?, right.eval(scope)?);
            let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
            if comparison == Comparison::Equal {
                return Ok(compare::equal(&left, &right));
            }
            let Some(order) = compare::order(&left, &right) else { return Ok(false) };
            Ok(match comparison {
                Comparison::Less => order == Ordering::Less,
                Comparison::LessOrEqual => order != Ordering::Greater,
                Comparison::Greater => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
    }
}

/// Whether the container holds the item; a missing item of a written list is passed over, as it equals nothing.
fn holds(container: &Term, item: &Term, scope: &dyn Scope) -> Result<bool, ExprError> {
    let Some(item) = item.eval(scope)? else { return Ok(false) };
    if let Kind::List(elements) = &container.kind {
        for element in elements {
            if element.eval(scope)?.is_some_and(|element| compare::equal(&element, &item)) {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    Ok(container.eval(scope)?.is_some_and(|container| compare::contains(&container, &item)))
}
