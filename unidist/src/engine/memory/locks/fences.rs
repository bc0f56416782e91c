//! Fencing numbers: given so that they never go back, and compared when a write carries one.

use std::sync::Arc;

use super::MemoryLocks;
use super::record::Record;
use crate::engine::journal::Change;
use crate::error::Error;
use crate::sharedlock::Fence;
use crate::sync::Ordering;

/// Fencing numbers that are reserved with one write to the disk, where they are kept.
const FENCES_RESERVED: u64 = 65_536;

/// Numbers that a lock takes at once, so that threads on different locks do not meet at the count.
const FENCES_TAKEN: u64 = 32;

impl MemoryLocks {
    /// Larger than every number that the lock had before, and no other lock's.
    pub(super) fn next_fence(&self, record: &mut Record) -> Result<u64, Error> {
        if let Some(fence) = record.fences.next() {
            return Ok(fence);
        }
        let first = self.fences.fetch_add(FENCES_TAKEN, Ordering::Relaxed) + 1;
        let end = first.saturating_add(FENCES_TAKEN);
        if end > self.fences_reserved.load(Ordering::Relaxed) {
            let last = end.saturating_add(FENCES_RESERVED);
            if let Some(reserved) = self.records.reserve_fences(last) {
                reserved?;
                self.fences_reserved.fetch_max(last, Ordering::Relaxed);
            }
        }
        record.fences = first + 1..end;
        Ok(first)
    }

    /// Numbers go on after this one.
    #[cfg(feature = "file")]
    pub(crate) fn begin_after(&self, fence: u64) {
        self.fences.store(fence, Ordering::Relaxed);
        self.fences_reserved.store(fence, Ordering::Relaxed);
    }

    /// Runs `change` unless a larger number of the lock is known; from then on smaller ones are stale.
    ///
    /// The lock's mark stays locked meanwhile, so that no change under a smaller number comes after one under a larger.
    pub(crate) fn fenced<T>(&self, fence: &Fence, change: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let mut marks = self.marks.lock(&*fence.lock);
        let seen = marks.get(&*fence.lock).copied().unwrap_or(0);
        let newest = seen.max(self.number_held(&fence.lock));
        if fence.number < newest {
            return Err(Error::StaleFence { lock: fence.lock.clone(), number: fence.number, newest });
        }
        if fence.number == seen {
            return change();
        }
        let is_new = !marks.contains_key(&*fence.lock);
        *self.marks.get_or_insert(&mut marks, &fence.lock, || 0)? = fence.number;
        let changed = match change() {
            Ok(changed) => changed,
            Err(error) if is_new => {
                self.marks.remove(&mut marks, &fence.lock);
                return Err(error);
            }
            Err(error) => {
                *self.marks.get_or_insert(&mut marks, &fence.lock, || seen)? = seen;
                return Err(error);
            }
        };
        let (lock, number) = (Arc::from(fence.lock.as_str()), fence.number);
        self.records.add(&fence.lock, || Change::Fence { lock, number });
        Ok(changed)
    }

    /// The number under which a lock of one permit is held here; else 0. Hands nothing over, whatever is due.
    fn number_held(&self, name: &str) -> u64 {
        let shard = self.shards(name).lock(name);
        let record = shard.get(name).filter(|record| record.permits == 1);
        record.and_then(|record| record.holders.first()).map_or(0, |holder| holder.fence)
    }

    /// Makes the largest number that a change carried what was kept of it, without a record.
    #[cfg(feature = "file")]
    pub(crate) fn restore_mark(&self, lock: &str, number: u64) {
        let mut marks = self.marks.lock(lock);
        self.marks.remove(&mut marks, lock);
        if number > 0 {
            self.marks.insert_kept(&mut marks, Arc::from(lock), number);
        }
    }
}
