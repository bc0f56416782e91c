//! The bounds of a store: each has a default that suits one machine, all can be set when the store is opened.

use serde_json::Value;

use crate::error::Error;

/// How deep lists and mappings may nest in a value.
pub const VALUE_DEPTH_MAX: usize = 128;

/// Bounds of a store, in numbers of things or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Locks, counters, state keys, queues, logs: of each kind so many names. Default: 10 million.
    pub names_max: usize,
    /// The size of one value as JSON, in bytes, about. Default: 8 MiB.
    pub value_bytes_max: usize,
    /// Who may wait for one lock or one queue. Default: 100,000.
    pub waiters_max: usize,
    /// Changes that wait for one watcher before it falls behind. Default: 1,000.
    pub watch_events_max: usize,
    /// The size of a `file:` store on disk, in bytes, about. Default: 16 GiB.
    pub file_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            names_max: 10_000_000,
            value_bytes_max: 8 * 1024 * 1024,
            waiters_max: 100_000,
            watch_events_max: 1_000,
            file_bytes_max: 16 * 1024 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// The value's size in bytes, about as JSON; an error past the limits.
    pub(crate) fn check_value(&self, what: impl FnOnce() -> String, value: &Value) -> Result<usize, Error> {
        match measure(value, VALUE_DEPTH_MAX) {
            Some(bytes) if bytes <= self.value_bytes_max => Ok(bytes),
            Some(bytes) => {
                let reason = format!("has about {bytes} bytes, the limit is {}", self.value_bytes_max);
                Err(Error::Value { what: what(), reason })
            }
            None => Err(Error::Value { what: what(), reason: format!("nests deeper than {VALUE_DEPTH_MAX} levels") }),
        }
    }
}

/// The size of a value that passed the limits.
#[cfg(feature = "file")]
pub(crate) fn bytes_of(value: &Value) -> usize {
    measure(value, VALUE_DEPTH_MAX).unwrap_or(0)
}

/// About the length as JSON; none when it nests deeper than `depth`.
fn measure(value: &Value, depth: usize) -> Option<usize> {
    match value {
        Value::Null | Value::Bool(_) => Some(4),
        Value::Number(_) => Some(8),
        Value::String(text) => Some(text.len() + 2),
        Value::Array(items) => {
            let depth = depth.checked_sub(1)?;
            items.iter().try_fold(2, |sum, item| Some(sum + 1 + measure(item, depth)?))
        }
        Value::Object(map) => {
            let depth = depth.checked_sub(1)?;
            map.iter().try_fold(2, |sum, (key, item)| Some(sum + key.len() + 4 + measure(item, depth)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_largest_size_passes_and_a_larger_one_is_refused() {
        let limits = Limits { value_bytes_max: 10, ..Limits::default() };
        assert_eq!(limits.check_value(String::new, &Value::from("12345678")), Ok(10));
        assert!(limits.check_value(|| "x".into(), &Value::from("123456789")).is_err());
    }

    #[test]
    fn a_value_that_nests_too_deep_is_refused() {
        let deep = (0..VALUE_DEPTH_MAX).fold(Value::Null, |value, _| Value::Array(vec![value]));
        assert!(Limits::default().check_value(String::new, &deep).is_ok());
        assert!(Limits::default().check_value(String::new, &Value::Array(vec![deep])).is_err());
    }
}
