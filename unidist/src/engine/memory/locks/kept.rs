//! Locks whose holders outlive the store's owner: noted while they are held, and seated again by the next owner.

use std::sync::Arc;
use std::time::Duration;

use super::record::{Held, Holder, Record, find};
use super::{MemoryLocks, UnseatObserver};
use crate::engine::HolderKey;
use crate::error::Error;
use crate::sharedlock::Owner;

/// A held lock as it is noted for the case that the store's owner ends before its holder. Times are dates.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct KeptLock {
    pub(crate) name: String,
    pub(crate) fence: u64,
    /// None: the guard.
    pub(crate) owner: Option<String>,
    pub(crate) permits: u32,
    pub(crate) rank: Option<u32>,
    pub(crate) ends: Option<Duration>,
    pub(crate) since: Duration,
    pub(crate) process: u32,
}

impl MemoryLocks {
    /// Seats one who held the lock in an earlier run, with the number it had then.
    pub(crate) fn seat_again(&self, held: &KeptLock) -> Result<(), Error> {
        let shards = self.shards(&held.name);
        let mut shard = shards.lock(&*held.name);
        let name: Arc<str> = Arc::from(held.name.as_str());
        let record = shards.get_or_insert(&mut shard, &held.name, || Record::new(name))?;
        record.permits = held.permits.max(1);
        let owner = match &held.owner {
            Some(name) => Owner::named(name)?,
            None => Owner::guard(held.fence),
        };
        if let Some(name) = owner.name() {
            let mut shard = self.owners.lock(&**name);
            let of_owner = self.owners.get_or_insert(&mut shard, name, Vec::new)?;
            of_owner.push(Held { name: record.name.clone(), fence: held.fence, rank: held.rank });
        }
        let (now, date) = (self.timers.now(), self.timers.unix_time());
        let rest = held.ends.map(|ends| ends.saturating_sub(date));
        let lease = self.start_lease(&record.name, rest, now);
        let since = now.saturating_sub(date.saturating_sub(held.since));
        record.holders.push(Holder { owner, fence: held.fence, since, lease, file: None, process: Some(held.process) });
        Ok(())
    }

    /// Has `tell` told of every holder that leaves; it must not call back. The first one stays.
    pub(crate) fn observe_unseat(&self, tell: UnseatObserver) {
        let _ = self.on_unseat.set(tell);
    }

    /// What `seat_again` needs of a holder.
    pub(crate) fn kept(&self, name: &str, fence: u64) -> Option<KeptLock> {
        let found = self.with(name, |record| {
            let index = find(record, HolderKey::Fence(fence))?;
            let holder = record.holders.get(index)?;
            let (now, date) = (self.timers.now(), self.timers.unix_time());
            Some(KeptLock {
                name: name.to_owned(),
                fence,
                owner: holder.owner.name().map(|owner| owner.to_string()),
                permits: record.permits,
                rank: self.rank_of(name, holder),
                ends: holder.lease.map(|id| date.saturating_add(id.due().saturating_sub(now))),
                since: date.saturating_sub(now.saturating_sub(holder.since)),
                process: holder.process.unwrap_or_else(std::process::id),
            })
        });
        found.flatten()
    }

    pub(super) fn rank_of(&self, name: &str, holder: &Holder) -> Option<u32> {
        let owner = holder.owner.name()?;
        let shard = self.owners.lock(&**owner);
        shard.get(&**owner)?.iter().find(|held| held.fence == holder.fence && &*held.name == name)?.rank
    }
}
