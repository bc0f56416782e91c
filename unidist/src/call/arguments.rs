//! The arguments of a call: positions, options and their kinds, with errors that name the argument.

use std::time::Duration;

use serde_json::{Map, Value};

use super::FunctionSpec;
use crate::error::Error;
use crate::sharedlock::{Fence, Owner};

/// Split into positions and options; only known options are there.
pub(super) struct Arguments<'a> {
    spec: &'static FunctionSpec,
    values: &'a [Value],
    options: Option<&'a Map<String, Value>>,
    owner: &'a str,
}

impl<'a> Arguments<'a> {
    pub(super) fn split(spec: &'static FunctionSpec, args: &'a [Value], owner: &'a str) -> Result<Self, Error> {
        let mut arguments = Arguments { spec, values: args, options: None, owner };
        if let Some((Value::Object(options), before)) = args.split_last() {
            let is_value = spec.positions.get(before.len()).is_some_and(|position| position.is_any);
            if !is_value {
                arguments.values = before;
                arguments.options = Some(options);
                arguments.check_options(options)?;
            }
        }
        if arguments.values.len() > spec.positions.len() {
            let (most, found) = (spec.positions.len(), arguments.values.len());
            return Err(arguments.refuse(format!("takes at most {most} arguments ({}), found {found}", spec.arguments)));
        }
        let mut left_out = spec.positions.iter().skip(arguments.values.len());
        match left_out.find(|position| !position.is_optional) {
            Some(position) => Err(arguments.missing(position.name)),
            None => Ok(arguments),
        }
    }

    fn check_options(&self, options: &Map<String, Value>) -> Result<(), Error> {
        match options.keys().find(|key| !self.spec.options.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) if self.spec.options.is_empty() => {
                Err(self.refuse(format!("takes no options, found the option {key:?}")))
            }
            Some(key) => {
                Err(self
                    .refuse(format!("there is no option {key:?}; the options are {}", self.spec.options.join(", "))))
            }
        }
    }

    pub(super) fn refuse(&self, reason: String) -> Error {
        Error::Argument { function: self.spec.name.to_owned(), reason }
    }

    fn wrong(&self, what: &str, expected: &str, found: &Value) -> Error {
        let mut shown: String = found.to_string().chars().take(60).collect();
        if shown.len() < found.to_string().len() {
            shown.push('…');
        }
        self.refuse(format!("{what} must be {expected}, found {shown}"))
    }

    fn name(&self, index: usize) -> &'static str {
        self.spec.positions.get(index).map_or("argument", |position| position.name)
    }

    /// The argument, if it was given.
    pub(super) fn optional(&self, index: usize) -> Option<&'a Value> {
        self.values.get(index)
    }

    pub(super) fn value(&self, index: usize) -> Result<&'a Value, Error> {
        self.values.get(index).ok_or_else(|| self.missing(self.name(index)))
    }

    fn missing(&self, name: &str) -> Error {
        self.refuse(format!("the argument {name} is missing: ({})", self.spec.arguments))
    }

    pub(super) fn text(&self, index: usize) -> Result<&'a str, Error> {
        let value = self.value(index)?;
        value.as_str().ok_or_else(|| self.wrong(self.name(index), "text", value))
    }

    pub(super) fn integer(&self, index: usize) -> Result<i64, Error> {
        let value = self.value(index)?;
        integer(value).ok_or_else(|| self.wrong(self.name(index), "a whole number in 64 bits", value))
    }

    /// An optional whole number.
    pub(super) fn integer_or(&self, index: usize, default: i64) -> Result<i64, Error> {
        match self.optional(index) {
            None | Some(Value::Null) => Ok(default),
            Some(_) => self.integer(index),
        }
    }

    /// A whole number from 0 on.
    pub(super) fn count(&self, index: usize) -> Result<u64, Error> {
        let value = self.value(index)?;
        let number = integer(value).and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| self.wrong(self.name(index), "a whole number from 0 on", value))
    }

    pub(super) fn count_or(&self, index: usize, default: Option<u64>) -> Result<Option<u64>, Error> {
        match self.optional(index) {
            None | Some(Value::Null) => Ok(default),
            Some(_) => self.count(index).map(Some),
        }
    }

    pub(super) fn duration(&self, index: usize) -> Result<Duration, Error> {
        let value = self.value(index)?;
        duration(value).ok_or_else(|| self.wrong(self.name(index), "a number of seconds from 0 on", value))
    }

    /// An option that was given and is not null.
    pub(super) fn option(&self, name: &str) -> Option<&'a Value> {
        self.options?.get(name).filter(|value| !value.is_null())
    }

    /// Whether the option was given, as null too.
    pub(super) fn has_option(&self, name: &str) -> bool {
        self.options.is_some_and(|options| options.contains_key(name))
    }

    pub(super) fn text_option(&self, name: &str) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.option(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(name, "text", value))
    }

    pub(super) fn duration_option(&self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(value) = self.option(name) else { return Ok(None) };
        duration(value).map(Some).ok_or_else(|| self.wrong(name, "a number of seconds from 0 on", value))
    }

    /// A whole-number option within the range of `T`.
    pub(super) fn number_option<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.option(name) else { return Ok(None) };
        let number = integer(value).and_then(|number| T::try_from(number).ok());
        number.map(Some).ok_or_else(|| self.wrong(name, "a whole number in its range", value))
    }

    /// The option `fence`.
    pub(super) fn fence(&self) -> Result<Option<Fence>, Error> {
        let Some(value) = self.option("fence") else { return Ok(None) };
        let lock = value.get("lock").and_then(Value::as_str);
        let number = value.get("number").and_then(integer).and_then(|number| u64::try_from(number).ok());
        match (lock, number, value.as_object().map_or(0, Map::len)) {
            (Some(lock), Some(number), 2) => Fence::new(lock, number).map(Some),
            _ => Err(self.wrong("fence", "{lock, number}: a lock's name and the number under which it was had", value)),
        }
    }

    /// The option `owner`, else the caller.
    pub(super) fn owner(&self) -> Result<Owner, Error> {
        Owner::named(self.text_option("owner")?.unwrap_or(self.owner))
    }
}

/// Whole numbers, also those that a script kept as floats.
fn integer(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number =
            value.as_f64().filter(|number| value.is_f64() && number.fract() == 0.0 && number.abs() <= EXACT)?;
        Some(number as i64)
    })
}

fn duration(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
