//! Locks in memory: a line of owners per name, under its shard's lock.
//!
//! A lock that is shared on the host keeps its file's flock in the holder's seat; both change together, under the same
//! shard lock, so the few system calls on lock files are made there. Locks of this process alone (`__NAME`) are in
//! another map, which never meets a file. Expiry and the tries for another process's lock run on the timer thread.

mod fences;
#[cfg(feature = "node")]
#[cfg_attr(not(feature = "file"), allow(dead_code, reason = "only the locks of a file: store outlive its owner"))]
mod kept;
mod look;
mod record;
mod tries;

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

#[cfg(feature = "node")]
pub(crate) use self::kept::KeptLock;
use self::record::{Held, Holder, Record, Seat, Waiter, find, seat_of, tidy};
use self::tries::POLL_FIRST;
use super::host_folder::{HostFile, HostFolder, Note};
use super::shards::Shards;
use crate::engine::journal::Records;
use crate::engine::{Grant, HolderKey, LockAnswer, LockTicket, Locks};
use crate::error::Error;
use crate::limits::Limits;
use crate::name;
use crate::sharedlock::{LockInfo, LockRequest, Owner};
use crate::sync::AtomicU64;
use crate::timer::{TimerId, Timers};
use crate::wait::Ticket;

/// How long this process hands a host-wide lock to its own waiters before it lets others try.
const HOST_TURN: Duration = Duration::from_secs(1);
/// Longer than `POLL_LAST`, so that every process that waits tries once meanwhile.
const HOST_PAUSE: Duration = Duration::from_millis(25);

pub(crate) struct MemoryLocks {
    private: Shards<Record>,
    shared: Shards<Record>,
    /// What the owners hold that are named or use ranks. Locked after a lock's shard, never before.
    owners: Shards<Vec<Held>>,
    /// The largest number of each lock that a change carried. Locked before anything that changes.
    marks: Shards<u64>,
    fences: AtomicU64,
    /// Numbers up to here will not be given again after a restart.
    fences_reserved: AtomicU64,
    records: Records,
    timers: Arc<Timers>,
    host: Option<HostFolder>,
    waiters_max: usize,
    /// Told of each holder that leaves, under the lock's shard.
    on_unseat: OnceLock<UnseatObserver>,
    me: Weak<MemoryLocks>,
}

/// Is told the lock and the fencing number of a holder that leaves.
pub(crate) type UnseatObserver = Box<dyn Fn(&str, u64) + Send + Sync>;

impl MemoryLocks {
    pub(super) fn new(timers: Arc<Timers>, host: Option<HostFolder>, limits: &Limits, records: Records) -> Arc<Self> {
        Arc::new_cyclic(|me| MemoryLocks {
            private: Shards::new("locks", limits.names_max),
            shared: Shards::new("locks", limits.names_max),
            owners: Shards::new("owners of locks", limits.names_max),
            marks: Shards::new("locks with fenced writes", limits.names_max),
            fences: AtomicU64::new(0),
            fences_reserved: AtomicU64::new(0),
            records,
            timers,
            host,
            waiters_max: limits.waiters_max,
            on_unseat: OnceLock::new(),
            me: me.clone(),
        })
    }

    fn shards(&self, name: &str) -> &Shards<Record> {
        if self.host_of(name).is_some() { &self.shared } else { &self.private }
    }

    fn host_of(&self, name: &str) -> Option<&HostFolder> {
        self.host.as_ref().filter(|_| !name::is_private(name))
    }

    /// Runs `act` on the lock's record, if it has one, after what is due; then forgets the record if it is idle.
    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Record) -> T) -> Option<T> {
        let shards = self.shards(name);
        let mut shard = shards.lock(name);
        let record = shard.get_mut(name)?;
        self.expire_due(record);
        let result = act(record);
        tidy(shards, &mut shard, name);
        Some(result)
    }

    /// Seats an owner; there is room and `file` is had.
    fn seat(&self, record: &mut Record, seat: Seat, file: Option<HostFile>, now: Duration) -> Result<Grant, Error> {
        let fence = match (&file, self.host_of(&record.name)) {
            (Some(_), Some(host)) => host.next_fence()?,
            _ => self.next_fence(record)?,
        };
        let owner = seat.owner.unwrap_or_else(|| Owner::guard(fence));
        if let Some(file) = &file {
            let (owner, process, since) =
                (owner.to_string(), seat.process.unwrap_or_else(std::process::id), self.timers.unix_time());
            file.write_note(&Note { name: record.name.as_ref().to_owned(), owner, process, fence, since });
        }
        if let Some(name) = owner.name() {
            let mut shard = self.owners.lock(&**name);
            let held = self.owners.get_or_insert(&mut shard, name, Vec::new)?;
            held.push(Held { name: record.name.clone(), fence, rank: seat.rank });
        }
        let lease = self.start_lease(&record.name, seat.lease, now);
        record.holders.push(Holder { owner, fence, since: now, lease, file, process: seat.process });
        Ok(Grant { name: record.name.clone(), fence })
    }

    fn start_lease(&self, name: &Arc<str>, lease: Option<Duration>, now: Duration) -> Option<TimerId> {
        let due = now.checked_add(lease?)?;
        let (me, name) = (self.me.clone(), name.clone());
        Some(self.timers.at(due, move || {
            if let Some(me) = me.upgrade() {
                me.with(&name, |_| ());
            }
        }))
    }

    /// Takes a holder out of its seat; the file, if any, is the caller's to hand on or drop.
    fn unseat(&self, record: &mut Record, index: usize) -> Option<HostFile> {
        let holder = record.holders.remove(index);
        if let Some(timer) = holder.lease {
            self.timers.cancel(timer);
        }
        if let Some(tell) = self.on_unseat.get() {
            tell(&record.name, holder.fence);
        }
        if let Some(name) = holder.owner.name() {
            let mut shard = self.owners.lock(&**name);
            let is_empty = shard.get_mut(&**name).is_some_and(|held| {
                held.retain(|held| held.fence != holder.fence || held.name != record.name);
                held.is_empty()
            });
            if is_empty {
                self.owners.remove(&mut shard, name);
            }
        }
        holder.file
    }

    fn expire_due(&self, record: &mut Record) {
        if record.holders.iter().all(|holder| holder.lease.is_none()) {
            return;
        }
        let now = self.timers.now();
        while let Some(index) = record.holders.iter().position(|holder| holder.lease.is_some_and(|id| id.due() <= now))
        {
            let file = self.unseat(record, index);
            self.hand_over(record, file, now);
        }
    }

    /// Seats those who wait while there is room. `file` is a permit on the host that just became free.
    fn hand_over(&self, record: &mut Record, file: Option<HostFile>, now: Duration) {
        let mut freed = file;
        while record.has_room() {
            let Some(waiter) = record.waiters.pop_front() else { return };
            if freed.as_ref().is_some_and(|file| now.saturating_sub(file.taken) > HOST_TURN) {
                record.waiters.push_front(waiter);
                drop(freed.take());
                return self.plan_try(record, HOST_PAUSE, now);
            }
            let file = match freed.take().map_or_else(|| self.take_file(record, now), |file| Ok(Some(Some(file)))) {
                Ok(Some(file)) => file,
                Ok(None) => {
                    record.waiters.push_front(waiter);
                    return self.plan_try(record, POLL_FIRST, now);
                }
                Err(error) => {
                    let _ = waiter.ticket.give(Err(error));
                    continue;
                }
            };
            let granted = self.seat(record, waiter.seat, file, now);
            let fence = granted.as_ref().map(|grant| grant.fence).ok();
            if waiter.ticket.give(granted).is_err() {
                let index = record.holders.iter().position(|holder| Some(holder.fence) == fence);
                freed = index.and_then(|index| self.unseat(record, index));
            }
        }
    }

    fn check_rank(&self, request: &LockRequest<'_>) -> Result<(), Error> {
        let (Some(rank), Some(owner)) = (request.rank, request.owner.and_then(Owner::name)) else { return Ok(()) };
        let shard = self.owners.lock(&**owner);
        let held = shard.get(&**owner).into_iter().flatten().filter_map(|held| Some((held.rank?, held)));
        match held.max_by_key(|(rank, _)| *rank) {
            Some((held_rank, held)) if held_rank >= rank && *held.name != *request.name => Err(Error::LockOrder {
                name: request.name.to_owned(),
                rank,
                held: held.name.as_ref().to_owned(),
                held_rank,
            }),
            _ => Ok(()),
        }
    }

    fn answer(&self, record: &mut Record, request: &LockRequest<'_>) -> Result<LockAnswer, Error> {
        self.expire_due(record);
        self.check_request(record, request)?;
        let now = self.timers.now();
        if record.has_room() && record.waiters.is_empty() {
            if let Some(file) = self.take_file(record, now)? {
                return self.seat(record, seat_of(request), file, now).map(LockAnswer::Granted);
            }
            if request.may_wait {
                self.plan_try(record, POLL_FIRST, now);
            }
        }
        if !request.may_wait {
            return Err(self.busy(record));
        }
        if record.waiters.len() >= self.waiters_max {
            return Err(Error::TooMany { what: "waiters for one lock", max: self.waiters_max });
        }
        let ticket = Ticket::new();
        record.waiters.push_back(Waiter { seat: seat_of(request), ticket: ticket.clone() });
        Ok(LockAnswer::Waiting(ticket))
    }

    fn check_request(&self, record: &mut Record, request: &LockRequest<'_>) -> Result<(), Error> {
        if record.is_idle() {
            record.permits = request.permits;
        } else if record.permits != request.permits {
            let (now, asked) = (record.permits, request.permits);
            let reason = format!("it is in use with {now} permits, asked for with {asked}: they must be the same");
            return Err(Error::LockOption { name: request.name.to_owned(), reason });
        }
        match request.owner.filter(|owner| record.holders.iter().any(|holder| holder.owner == **owner)) {
            Some(owner) => Err(Error::Reentrant { name: request.name.to_owned(), owner: owner.to_string() }),
            None => Ok(()),
        }
    }
}

impl Locks for MemoryLocks {
    fn request(&self, request: &LockRequest<'_>) -> Result<LockAnswer, Error> {
        self.check_rank(request)?;
        let shards = self.shards(request.name);
        let mut shard = shards.lock(request.name);
        if let Some(record) = shard.get_mut(request.name) {
            return self.answer(record, request);
        }
        let name: Arc<str> = Arc::from(request.name);
        let record = shards.get_or_insert(&mut shard, request.name, || Record::new(name))?;
        let answer = self.answer(record, request);
        tidy(shards, &mut shard, request.name);
        answer
    }

    fn cancel(&self, name: &str, ticket: &Arc<LockTicket>) -> Option<Result<Grant, Error>> {
        let leave = |record: &mut Record| {
            record.waiters.retain(|waiter| !Arc::ptr_eq(&waiter.ticket, ticket));
        };
        self.with(name, leave);
        ticket.close()
    }

    fn release(&self, name: &str, holder: HolderKey<'_>) -> Result<(), Error> {
        let released = self.with(name, |record| {
            let Some(index) = find(record, holder) else { return Err(self.infos(record)) };
            let file = self.unseat(record, index);
            if !record.waiters.is_empty() {
                self.hand_over(record, file, self.timers.now());
            }
            Ok(())
        });
        match released {
            Some(Ok(())) => Ok(()),
            Some(Err(infos)) => Err(self.not_held(name, holder, infos)),
            None => Err(self.not_held(name, holder, Vec::new())),
        }
    }

    fn release_all(&self, owner: &Owner) -> Result<usize, Error> {
        let Some(name) = owner.name() else { return Ok(0) };
        let held: Vec<(Arc<str>, u64)> = {
            let shard = self.owners.lock(&**name);
            shard.get(&**name).into_iter().flatten().map(|held| (held.name.clone(), held.fence)).collect()
        };
        Ok(held.iter().filter(|(name, fence)| self.release(name, HolderKey::Fence(*fence)).is_ok()).count())
    }

    fn force_release(&self, name: &str) -> Result<Vec<LockInfo>, Error> {
        let released = self.with(name, |record| {
            let infos = self.infos(record);
            // As many as hold it now, the longest first; those who get it meanwhile keep it.
            for info in &infos {
                let Some(index) = find(record, HolderKey::Fence(info.fence)) else { continue };
                let file = self.unseat(record, index);
                self.hand_over(record, file, self.timers.now());
            }
            infos
        });
        match released {
            Some(infos) if !infos.is_empty() => Ok(infos),
            _ => match self.foreign(name).into_iter().next() {
                Some(info) => {
                    let owner = format!("process {}; ending process {} frees it", std::process::id(), info.process);
                    Err(Error::NotHolder { name: name.to_owned(), owner, holder: info.to_string() })
                }
                None => Err(Error::NoSuchLock { name: name.to_owned() }),
            },
        }
    }

    fn renew(&self, name: &str, holder: HolderKey<'_>, lease: Option<Duration>) -> Result<(), Error> {
        let renewed = self.with(name, |record| {
            let Some(index) = find(record, holder) else { return Err(self.infos(record)) };
            let timer = self.start_lease(&record.name, lease, self.timers.now());
            let old = record.holders.get_mut(index).and_then(|holder| std::mem::replace(&mut holder.lease, timer));
            if let Some(old) = old {
                self.timers.cancel(old);
            }
            Ok(())
        });
        match renewed {
            Some(Ok(())) => Ok(()),
            Some(Err(infos)) => Err(self.not_held(name, holder, infos)),
            None => Err(self.not_held(name, holder, Vec::new())),
        }
    }

    fn has_holder(&self, name: &str, holder: HolderKey<'_>) -> bool {
        self.with(name, |record| find(record, holder).is_some()).unwrap_or(false)
    }

    fn holders(&self, name: &str) -> Result<Vec<LockInfo>, Error> {
        let ours = self.with(name, |record| self.infos(record)).unwrap_or_default();
        let known: Vec<u64> = ours.iter().map(|info| info.fence).collect();
        let foreign = self.foreign(name).into_iter().filter(|info| !known.contains(&info.fence));
        Ok(ours.into_iter().chain(foreign).collect())
    }

    fn waiting(&self, name: &str) -> Result<usize, Error> {
        Ok(self.with(name, |record| record.waiters.len()).unwrap_or(0))
    }

    fn all(&self) -> Result<Vec<LockInfo>, Error> {
        let mut all = Vec::new();
        for mut shard in self.private.each().chain(self.shared.each()) {
            for record in shard.values_mut() {
                self.expire_due(record);
                all.extend(self.infos(record));
            }
        }
        let known: std::collections::HashSet<(String, u64)> =
            all.iter().map(|info| (info.name.clone(), info.fence)).collect();
        let notes = self.host.as_ref().map(HostFolder::all).unwrap_or_default();
        let foreign = notes.into_iter().map(|note| self.info_of(note));
        all.extend(foreign.filter(|info| !known.contains(&(info.name.clone(), info.fence))));
        Ok(all)
    }
}
