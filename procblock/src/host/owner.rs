//! In whose name locks are held.

use std::sync::{Arc, OnceLock};

/// The owner of the locks that a block or request takes by functions, unique on this machine. Most take none: the name
/// is made when it is first asked for.
#[derive(Debug, Default)]
pub struct LockOwner {
    prefix: Arc<str>,
    number: u64,
    name: OnceLock<Arc<str>>,
}

impl LockOwner {
    /// The owner whose name is `prefix` and `number`, one behind the other.
    pub fn numbered(prefix: Arc<str>, number: u64) -> LockOwner {
        LockOwner { prefix, number, name: OnceLock::new() }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        self.name.get_or_init(|| format!("{}{}", self.prefix, self.number).into())
    }

    /// Its name, if anybody has asked for it: without, it holds nothing.
    pub fn known_name(&self) -> Option<&Arc<str>> {
        self.name.get()
    }
}
