//! Who holds a lock, here and in other processes, and how a refusal says so.

use super::MemoryLocks;
use super::record::{Holder, Record};
use crate::engine::HolderKey;
use crate::engine::memory::host_folder::Note;
use crate::error::Error;
use crate::sharedlock::LockInfo;

impl MemoryLocks {
    /// Copies of the files that keep the host's locks.
    pub(crate) fn keepers(&self) -> std::io::Result<Vec<std::fs::File>> {
        let mut files = Vec::new();
        for shard in self.shared.each() {
            for holder in shard.values().flat_map(|record| &record.holders) {
                if let Some(file) = &holder.file {
                    files.push(file.try_clone()?);
                }
            }
        }
        Ok(files)
    }

    pub(super) fn busy(&self, record: &Record) -> Error {
        let holder = self.infos(record).into_iter().chain(self.foreign(&record.name)).next();
        let holder = match holder {
            Some(holder) => holder.to_string(),
            None if record.waiters.is_empty() => "another until a moment ago".to_owned(),
            None => format!("another until a moment ago; {} wait for it", record.waiters.len()),
        };
        Error::Busy { name: record.name.as_ref().to_owned(), holder }
    }

    pub(super) fn infos(&self, record: &Record) -> Vec<LockInfo> {
        let now = self.timers.now();
        let info = |holder: &Holder| LockInfo {
            name: record.name.as_ref().to_owned(),
            owner: holder.owner.to_string(),
            fence: holder.fence,
            age: now.saturating_sub(holder.since),
            remaining: holder.lease.map(|id| id.due().saturating_sub(now)),
            process: holder.process.unwrap_or_else(std::process::id),
            waiting: record.waiters.len(),
        };
        record.holders.iter().map(info).collect()
    }

    /// Who holds it in other processes, or in other stores of this one.
    pub(super) fn foreign(&self, name: &str) -> Vec<LockInfo> {
        let notes = self.host_of(name).map(|host| host.holders(name)).unwrap_or_default();
        notes.into_iter().map(|note| self.info_of(note)).collect()
    }

    pub(super) fn info_of(&self, note: Note) -> LockInfo {
        let age = self.timers.unix_time().saturating_sub(note.since);
        let Note { name, owner, process, fence, .. } = note;
        LockInfo { name, owner, fence, age, remaining: None, process, waiting: 0 }
    }

    pub(super) fn not_held(&self, name: &str, holder: HolderKey<'_>, infos: Vec<LockInfo>) -> Error {
        match infos.into_iter().chain(self.foreign(name)).next() {
            None => Error::NoSuchLock { name: name.to_owned() },
            Some(info) => {
                let owner = match holder {
                    HolderKey::Fence(fence) => format!("the acquisition of fence {fence}, which is over"),
                    HolderKey::Owner(owner) => owner.to_string(),
                };
                Error::NotHolder { name: name.to_owned(), owner, holder: info.to_string() }
            }
        }
    }
}
