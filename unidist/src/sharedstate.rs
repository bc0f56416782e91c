//! Shared state: JSON values under a key, in buckets.
//!
//! Each write has a revision, no other's and larger than all before it of its key; compare-and-set goes by it. From the
//! first `revision`, `bucket`, `keys`, `search` or `watch` on, which `memory:` and `file:` note, it is larger than all
//! before it in the store, too, and changes are kept for watches that begin in the past. A bucket exists while it has a
//! key. A key with a time to live is gone at its time. What is read is a copy or shared and never changes
//! under the reader. Reads of several keys (`bucket`, `keys`, `search`) show one moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{Condition, Engine, StateWrite};
use crate::error::Error;
use crate::name;
use crate::watch::{WatchFilter, Watcher};

/// How deep `search` looks into lists and mappings.
pub const SEARCH_DEPTH_MAX: usize = 10;

/// How to write a key. The default has no time to live.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetOptions {
    /// After how long the key is removed; a later write without one ends it. None: never.
    pub time_to_live: Option<Duration>,
}

const PLAIN: SetOptions = SetOptions { time_to_live: None };

/// A key as it was at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateEntry {
    /// Its bucket.
    pub bucket: Arc<str>,
    /// Its name in the bucket.
    pub key: Arc<str>,
    /// Its value, shared with the store.
    pub value: Arc<Value>,
    /// The revision of its last write.
    pub revision: u64,
    /// The rest of its time to live; none: it stays.
    pub remaining: Option<Duration>,
}

/// A bucket at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bucket {
    /// Its entries by key; empty when there is no such bucket.
    pub entries: BTreeMap<String, StateEntry>,
    /// The store's revision at that moment: watch from here to miss nothing and see nothing twice.
    pub revision: u64,
}

/// What a compare-and-set or compare-and-remove did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compared<T> {
    /// It was done: the revision of the change, and what the operation returns.
    Set(u64, T),
    /// The key has another revision (0: it does not exist); nothing was changed.
    Differs(u64),
}

/// What `search` looks for. All three are regular expressions, case-insensitive, and match anywhere in the text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Search {
    /// In the texts, numbers and booleans of values, down to a depth of 10.
    pub pattern: String,
    /// Only buckets whose name it matches; none: all.
    pub bucket: Option<String>,
    /// Only keys whose name it matches; none: all.
    pub key: Option<String>,
}

/// Which keys a scan returns.
pub(crate) struct KeyFilter<'a> {
    pub(crate) bucket: &'a dyn Fn(&str) -> bool,
    pub(crate) key: &'a dyn Fn(&str) -> bool,
    /// Set when exactly one bucket passes.
    pub(crate) one_bucket: Option<&'a str>,
}

/// The state of a store.
///
/// ```
/// use serde_json::json;
/// let shared = unidist::Unidist::open("memory:")?;
/// let state = shared.sharedstate();
/// state.set("hosts", "web1", json!({"city": "Columbus, Ohio"}))?;
/// assert_eq!(state.get("hosts", "web1")?, Some(json!({"city": "Columbus, Ohio"})));
/// assert_eq!(state.get("hosts", "web2")?, None);
/// let search = unidist::Search { pattern: "ohio".into(), ..Default::default() };
/// assert_eq!(state.search(&search)?.len(), 1);
/// # Ok::<(), unidist::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SharedState<'a> {
    pub(crate) engine: &'a Arc<dyn Engine>,
}

impl SharedState<'_> {
    /// A copy of the value; none when there is no such key.
    ///
    /// # Errors
    /// A bad name.
    pub fn get(self, bucket: &str, key: &str) -> Result<Option<Value>, Error> {
        Ok(self.get_shared(bucket, key)?.map(|value| Value::clone(&value)))
    }

    /// The value, shared with the store instead of copied.
    ///
    /// # Errors
    /// A bad name.
    pub fn get_shared(self, bucket: &str, key: &str) -> Result<Option<Arc<Value>>, Error> {
        check(bucket, key)?;
        self.engine.state().get(bucket, key)
    }

    /// The value, or `default`, which is not stored. Ancestor: stored it.
    ///
    /// # Errors
    /// A bad name.
    pub fn get_or(self, bucket: &str, key: &str, default: Value) -> Result<Value, Error> {
        Ok(self.get(bucket, key)?.unwrap_or(default))
    }

    /// The value with its revision and time to live.
    ///
    /// # Errors
    /// A bad name.
    pub fn entry(self, bucket: &str, key: &str) -> Result<Option<StateEntry>, Error> {
        check(bucket, key)?;
        self.engine.state().entry(bucket, key)
    }

    /// Whether the key exists; false also when its bucket does not.
    ///
    /// # Errors
    /// A bad name.
    pub fn exists(self, bucket: &str, key: &str) -> Result<bool, Error> {
        Ok(self.get_shared(bucket, key)?.is_some())
    }

    /// Writes the key and returns the write's revision.
    ///
    /// # Errors
    /// A bad name; a value past the limits; too many keys.
    pub fn set(self, bucket: &str, key: &str, value: Value) -> Result<u64, Error> {
        self.set_with(bucket, key, value, &SetOptions::default())
    }

    /// `set` with options.
    ///
    /// # Errors
    /// As `set`.
    pub fn set_with(self, bucket: &str, key: &str, value: Value, options: &SetOptions) -> Result<u64, Error> {
        self.write(StateWrite { bucket, key, value, bytes: 0, options, wants_before: false }, Condition::Always).map(
            |compared| match compared {
                Compared::Set(revision, _) | Compared::Differs(revision) => revision,
            },
        )
    }

    /// Writes the key and returns the value before: none for a new key, which is distinct from null.
    ///
    /// # Errors
    /// As `set`.
    pub fn get_set(self, bucket: &str, key: &str, value: Value) -> Result<Option<Value>, Error> {
        match self.write(
            StateWrite { bucket, key, value, bytes: 0, options: &PLAIN, wants_before: true },
            Condition::Always,
        )? {
            Compared::Set(_, before) => Ok(before.map(|value| Value::clone(&value))),
            Compared::Differs(_) => Ok(None),
        }
    }

    /// Writes the key unless it exists; true when it wrote.
    ///
    /// # Errors
    /// As `set`.
    pub fn set_if_missing(self, bucket: &str, key: &str, value: Value, options: &SetOptions) -> Result<bool, Error> {
        let written = self
            .write(StateWrite { bucket, key, value, bytes: 0, options, wants_before: false }, Condition::Revision(0))?;
        Ok(matches!(written, Compared::Set(..)))
    }

    /// Writes the key if its revision is still `revision`; 0 stands for a key that does not exist.
    ///
    /// # Errors
    /// As `set`.
    pub fn compare_and_set(self, bucket: &str, key: &str, revision: u64, value: Value) -> Result<Compared<()>, Error> {
        self.compare_and_set_with(bucket, key, revision, (value, &PLAIN))
    }

    /// `compare_and_set` with options: of a write that is not done, the key keeps its time to live.
    ///
    /// # Errors
    /// As `set`.
    pub fn compare_and_set_with(
        self,
        bucket: &str,
        key: &str,
        revision: u64,
        (value, options): (Value, &SetOptions),
    ) -> Result<Compared<()>, Error> {
        let write = StateWrite { bucket, key, value, bytes: 0, options, wants_before: false };
        Ok(match self.write(write, Condition::Revision(revision))? {
            Compared::Set(revision, _) => Compared::Set(revision, ()),
            Compared::Differs(found) => Compared::Differs(found),
        })
    }

    /// Removes the key and returns what it was.
    ///
    /// # Errors
    /// A bad name.
    pub fn remove(self, bucket: &str, key: &str) -> Result<Option<Value>, Error> {
        check(bucket, key)?;
        let removed = self.engine.state().remove(bucket, key)?;
        Ok(removed.map(|value| Arc::try_unwrap(value).unwrap_or_else(|value| Value::clone(&value))))
    }

    /// Removes the key if its revision is still `revision`, and returns the revision of the removal and the value. A key
    /// that does not exist is never removed: it has the revision 0, also for who asks for that.
    ///
    /// # Errors
    /// A bad name.
    pub fn compare_and_remove(self, bucket: &str, key: &str, revision: u64) -> Result<Compared<Value>, Error> {
        check(bucket, key)?;
        Ok(match self.engine.state().compare_and_remove(bucket, key, revision)? {
            Compared::Set(revision, Some(value)) => {
                Compared::Set(revision, Arc::try_unwrap(value).unwrap_or_else(|value| Value::clone(&value)))
            }
            Compared::Set(..) => Compared::Differs(0),
            Compared::Differs(found) => Compared::Differs(found),
        })
    }

    /// Removes all keys of the bucket and returns how many.
    ///
    /// # Errors
    /// A bad name.
    pub fn remove_bucket(self, bucket: &str) -> Result<usize, Error> {
        name::check("bucket", bucket)?;
        self.engine.state().remove_bucket(bucket)
    }

    /// The names of the bucket's keys, sorted; none when there is no such bucket.
    ///
    /// # Errors
    /// A bad name.
    pub fn keys(self, bucket: &str) -> Result<Vec<String>, Error> {
        Ok(self.bucket(bucket)?.entries.into_keys().collect())
    }

    /// The whole bucket.
    ///
    /// # Errors
    /// A bad name.
    pub fn bucket(self, bucket: &str) -> Result<Bucket, Error> {
        name::check("bucket", bucket)?;
        let filter = KeyFilter { bucket: &|name| name == bucket, key: &|_| true, one_bucket: Some(bucket) };
        let (entries, revision) = self.engine.state().scan(&filter)?;
        Ok(Bucket { entries: entries.into_iter().map(|entry| (entry.key.to_string(), entry)).collect(), revision })
    }

    /// The names of all buckets, sorted.
    ///
    /// # Errors
    /// None under `memory:`.
    pub fn buckets(self) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = self.engine.state().buckets()?.iter().map(|name| name.to_string()).collect();
        names.sort();
        Ok(names)
    }

    /// The entries in whose value the pattern is found, sorted by bucket and key.
    ///
    /// # Errors
    /// `Pattern` when one of the three is no regular expression.
    pub fn search(self, search: &Search) -> Result<Vec<StateEntry>, Error> {
        let pattern = compile(&search.pattern)?;
        let bucket = search.bucket.as_deref().map(compile).transpose()?;
        let key = search.key.as_deref().map(compile).transpose()?;
        let passes = |filter: &Option<Regex>, name: &str| filter.as_ref().is_none_or(|filter| filter.is_match(name));
        let filter =
            KeyFilter { bucket: &|name| passes(&bucket, name), key: &|name| passes(&key, name), one_bucket: None };
        let mut entries = match self.engine.state().search(search) {
            Some(found) => found?,
            None => self.engine.state().scan(&filter)?.0,
        };
        entries.retain(|entry| is_found(&pattern, &entry.value, SEARCH_DEPTH_MAX));
        entries.sort_by(|a, b| (&a.bucket, &a.key).cmp(&(&b.bucket, &b.key)));
        Ok(entries)
    }

    /// The store's newest revision: watch from here to see all that comes.
    ///
    /// # Errors
    /// None under `memory:`.
    pub fn revision(self) -> Result<u64, Error> {
        self.engine.state().revision()
    }

    /// Follows changes: those after the revision `from`, or from now on. No change is lost or told twice.
    ///
    /// # Errors
    /// `FellBehind` when the store no longer knows all changes since `from`, or nobody asked for its revision before
    /// that: ask (`revision`, `bucket`) first, then change something, then watch; a bad name.
    pub fn watch(self, filter: WatchFilter, from: Option<u64>) -> Result<Watcher, Error> {
        if let Some(bucket) = &filter.bucket {
            name::check("bucket", bucket)?;
        }
        let queue = self.engine.state().watch(filter, from)?;
        Ok(Watcher::new(self.engine.clone(), queue))
    }

    /// Checks the names and measures the value.
    fn write(self, mut write: StateWrite<'_>, condition: Condition) -> Result<Compared<Option<Arc<Value>>>, Error> {
        check(write.bucket, write.key)?;
        let what = || format!("the key {:?} of the bucket {:?}", write.key, write.bucket);
        write.bytes = self.engine.limits().check_value(what, &write.value)?;
        self.engine.state().set(write, condition)
    }
}

fn check(bucket: &str, key: &str) -> Result<(), Error> {
    name::check("bucket", bucket)?;
    name::check("key", key)
}

fn compile(pattern: &str) -> Result<Regex, Error> {
    RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build().map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or("it can't be read").trim_start_matches("error: ").to_owned();
        Error::Pattern { pattern: pattern.chars().take(200).collect(), reason }
    })
}

fn is_found(pattern: &Regex, value: &Value, depth: usize) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => pattern.is_match(if *truth { "true" } else { "false" }),
        Value::Number(number) => pattern.is_match(&number.to_string()),
        Value::String(text) => pattern.is_match(text),
        Value::Array(items) => depth > 0 && items.iter().any(|item| is_found(pattern, item, depth - 1)),
        Value::Object(map) => depth > 0 && map.values().any(|item| is_found(pattern, item, depth - 1)),
    }
}
