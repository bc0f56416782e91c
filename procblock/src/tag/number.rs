//! `increment VAR` and `decrement VAR`: change a number in pipe data.

use crate::block::{Compiler, Run, TagResult};
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::spec::{Example, Expected, FieldKind, FromValue, Setting};
use crate::tag::set::PRIORITY;
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{DISCARD, Found, Tag, TagAction, ready};
use crate::value::Value;

/// `increment VAR: by`.
pub(super) struct Increment;

/// `decrement VAR: by`.
pub(super) struct Decrement;

impl Tag for Increment {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Prefix { prefix: "increment", variable: "VAR" },
            priority: Some(PRIORITY),
            summary: "Adds a number to VAR in pipe data; nothing behind the key adds 1.",
            text: "A missing VAR starts at 0. Whole numbers stay whole; a VAR that is no number is a failure.",
            value: FieldKind::OneOf(&[FieldKind::Number, FieldKind::Nothing]),
            examples: &[Example {
                yaml: "data: {n: 4}\nincrement n: 3\nanswer: ${n}\n",
                expected: Expected::Result(r#"{"answer": 7}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        NumberAction::compile(found, compiler, 1)
    }
}

impl Tag for Decrement {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Prefix { prefix: "decrement", variable: "VAR" },
            priority: Some(PRIORITY),
            summary: "Subtracts a number from VAR in pipe data; nothing behind the key subtracts 1.",
            text: "A missing VAR starts at 0. Whole numbers stay whole; a VAR that is no number is a failure.",
            value: FieldKind::OneOf(&[FieldKind::Number, FieldKind::Nothing]),
            examples: &[Example {
                yaml: "data: {n: 4}\ndecrement n:\nanswer: ${n}\n",
                expected: Expected::Result(r#"{"answer": 3}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        NumberAction::compile(found, compiler, -1)
    }
}

/// A number that is whole as long as it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(i64),
    Real(f64),
}

impl FromValue for Number {
    fn from_value(value: &Value) -> Result<Self, String> {
        if let Ok(whole) = i64::from_value(value) {
            return Ok(Number::Whole(whole));
        }
        f64::from_value(value).map(Number::Real)
    }
}

impl Number {
    fn as_real(self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "mixed sums are in floating point, as everywhere in the language"
        )]
        match self {
            Number::Whole(whole) => whole as f64,
            Number::Real(real) => real,
        }
    }

    /// `self + sign * by`, whole where both are.
    fn moved(self, by: Number, sign: i64) -> Option<Value> {
        if let (Number::Whole(from), Number::Whole(by)) = (self, by) {
            return Some(from.checked_add(by.checked_mul(sign)?)?.into());
        }
        let sign = if sign < 0 { -1.0 } else { 1.0 };
        serde_json::Number::from_f64(self.as_real() + sign * by.as_real()).map(Value::Number)
    }
}

struct NumberAction {
    name: String,
    by: Setting<Number>,
    sign: i64,
}

impl NumberAction {
    fn compile(found: &Found<'_>, compiler: &mut Compiler, sign: i64) -> Option<Box<dyn TagAction>> {
        let node = &found.entry.value;
        let by = if node.is_null() {
            Setting::Fixed(Number::Whole(1))
        } else {
            Setting::compile(node, &mut compiler.problems)?
        };
        Some(Box::new(NumberAction { name: found.variable.to_string(), by, sign }))
    }

    fn change(&self, run: &mut Run) -> TagResult {
        let by = self.by.get(run)?;
        let from = match run.pipe_data.get(&self.name) {
            None => Number::Whole(0),
            Some(value) => Number::from_value(value)
                .map_err(|_| RunError::failed(format!("{} is {value}, not a number", self.name)))?,
        };
        let sum = from
            .moved(by, self.sign)
            .ok_or_else(|| RunError::failed(format!("{} would leave the range of numbers", self.name)))?;
        run.pipe_data.insert(self.name.clone(), sum);
        DISCARD
    }
}

impl TagAction for NumberAction {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        ready(self.change(run))
    }
}
