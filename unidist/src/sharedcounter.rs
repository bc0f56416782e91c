//! Counters by name: signed 64-bit numbers that any number of threads change without losing a step.
//!
//! A counter that was never set is 0. Every function is atomic; none blocks for another caller. A change that would
//! leave the range of `i64` is an error and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;
use crate::name;
use crate::watch::{CounterWatcher, NameFilter};

/// All counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CounterSnapshot {
    /// Their values by name.
    pub values: BTreeMap<String, i64>,
    /// The store's revision at that moment: watch from here to miss nothing and see nothing twice.
    pub revision: u64,
}

/// The counters of a store.
///
/// ```
/// let shared = unidist::Unidist::open("memory:")?;
/// let counters = shared.sharedcounter();
/// assert_eq!(counters.increment("requests", 5)?, 5);
/// assert_eq!(counters.get_increment("requests", 1)?, 5);
/// assert_eq!(counters.get("requests")?, 6);
/// # Ok::<(), unidist::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SharedCounter<'a> {
    pub(crate) engine: &'a Arc<dyn Engine>,
}

impl SharedCounter<'_> {
    /// The value; 0 when it was never set. Does not create the counter.
    ///
    /// # Errors
    /// A bad name.
    pub fn get(self, name: &str) -> Result<i64, Error> {
        name::check("counter", name)?;
        self.engine.counters().get(name)
    }

    /// Replaces the value and returns the new one.
    ///
    /// # Errors
    /// A bad name; too many counters.
    pub fn set(self, name: &str, value: i64) -> Result<i64, Error> {
        self.get_set(name, value)?;
        Ok(value)
    }

    /// Replaces the value and returns the one before, 0 for a new counter.
    ///
    /// # Errors
    /// A bad name; too many counters.
    pub fn get_set(self, name: &str, value: i64) -> Result<i64, Error> {
        name::check("counter", name)?;
        self.engine.counters().swap(name, value)
    }

    /// Adds `by`, which may be negative, and returns the value before.
    ///
    /// # Errors
    /// A bad name; too many counters; an overflow, which leaves the value as it was.
    pub fn get_increment(self, name: &str, by: i64) -> Result<i64, Error> {
        Ok(self.increment(name, by)?.wrapping_sub(by))
    }

    /// Adds `by`, which may be negative, and returns the new value.
    ///
    /// # Errors
    /// A bad name; too many counters; an overflow, which leaves the value as it was.
    pub fn increment(self, name: &str, by: i64) -> Result<i64, Error> {
        name::check("counter", name)?;
        self.engine.counters().add(name, i128::from(by))
    }

    /// Subtracts `by` and returns the new value.
    ///
    /// # Errors
    /// A bad name; too many counters; an overflow, which leaves the value as it was.
    pub fn decrement(self, name: &str, by: i64) -> Result<i64, Error> {
        name::check("counter", name)?;
        self.engine.counters().add(name, -i128::from(by))
    }

    /// All counters as they were at one moment, sorted by name.
    ///
    /// # Errors
    /// None under `memory:`.
    pub fn all(self) -> Result<BTreeMap<String, i64>, Error> {
        let all = self.engine.counters().all()?;
        Ok(all.into_iter().map(|(name, value)| (name.as_ref().to_owned(), value)).collect())
    }

    /// All counters as they were at one moment, with the revision to watch from. From the first snapshot or watch on,
    /// changes of counters are noted for watchers, which makes each a little slower.
    ///
    /// # Errors
    /// None under `memory:`.
    pub fn snapshot(self) -> Result<CounterSnapshot, Error> {
        let (values, revision) = self.engine.counters().snapshot()?;
        let values = values.into_iter().map(|(name, value)| (name.as_ref().to_owned(), value)).collect();
        Ok(CounterSnapshot { values, revision })
    }

    /// Follows changes: those after the revision `from`, or from now on. No change is lost or told twice.
    ///
    /// # Errors
    /// `FellBehind` when the store does not know all changes since `from`: it keeps the newest 4,096 since the first
    /// snapshot or watch; a bad name.
    pub fn watch(self, filter: NameFilter, from: Option<u64>) -> Result<CounterWatcher, Error> {
        filter.check("counter")?;
        let queue = self.engine.counters().watch(filter, from)?;
        Ok(CounterWatcher::new(self.engine.clone(), queue))
    }

    /// Removes the counter; true when there was one. It reads as 0 from then on.
    ///
    /// # Errors
    /// A bad name.
    pub fn delete(self, name: &str) -> Result<bool, Error> {
        name::check("counter", name)?;
        self.engine.counters().remove(name)
    }
}
