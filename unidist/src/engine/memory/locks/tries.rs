//! Permits on the host: taken, or tried for again while another process has them.

use std::sync::Arc;
use std::time::Duration;

use super::MemoryLocks;
use super::record::Record;
use crate::engine::memory::host_folder::HostFile;
use crate::error::Error;

/// The pause before the first try; it doubles each time.
pub(super) const POLL_FIRST: Duration = Duration::from_millis(1);
/// The longest pause.
const POLL_LAST: Duration = Duration::from_millis(20);

impl MemoryLocks {
    /// Takes the permit on the host, where one is needed. The outer none: another process has it.
    pub(super) fn take_file(&self, record: &Record, now: Duration) -> Result<Option<Option<HostFile>>, Error> {
        let Some(host) = self.host_of(&record.name) else { return Ok(Some(None)) };
        Ok(host.try_take(&record.name, record.permits, now)?.map(Some))
    }

    /// Tries for another process's lock after a pause that doubles each time.
    pub(super) fn plan_try(&self, record: &mut Record, first: Duration, now: Duration) {
        if record.poll.is_some() {
            return;
        }
        record.poll = Some(first);
        self.start_try(&record.name, now.saturating_add(first));
    }

    pub(super) fn start_try(&self, name: &Arc<str>, due: Duration) {
        let (me, name) = (self.me.clone(), name.clone());
        self.timers.at(due, move || {
            if let Some(me) = me.upgrade() {
                me.with(&name, |record| me.try_again(record));
            }
        });
    }

    pub(super) fn try_again(&self, record: &mut Record) {
        let Some(pause) = record.poll else { return };
        let now = self.timers.now();
        let held_before = record.holders.len();
        // While it is set, a lock that is still busy plans no second try.
        self.hand_over(record, None, now);
        record.poll = None;
        if !record.waiters.is_empty() && record.has_room() {
            let next = if record.holders.len() > held_before { POLL_FIRST } else { (pause * 2).min(POLL_LAST) };
            self.plan_try(record, next, now);
        }
    }
}
