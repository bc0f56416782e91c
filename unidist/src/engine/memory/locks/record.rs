//! One lock: who holds it and who waits.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::memory::host_folder::HostFile;
use crate::engine::memory::shards::{Shard, Shards};
use crate::engine::{HolderKey, LockTicket, request};
use crate::sharedlock::{LockRequest, Owner};
use crate::timer::TimerId;

/// Free locks that a shard remembers, to be taken again without allocating.
const IDLE_MAX: usize = 64;

pub(super) struct Record {
    pub(super) name: Arc<str>,
    pub(super) permits: u32,
    pub(super) holders: Vec<Holder>,
    pub(super) waiters: VecDeque<Waiter>,
    /// The pause after the next try for another process's lock; none when no try is planned.
    pub(super) poll: Option<Duration>,
    /// Fencing numbers that are this lock's to give.
    pub(super) fences: Range<u64>,
}

pub(super) struct Holder {
    pub(super) owner: Owner,
    pub(super) fence: u64,
    pub(super) since: Duration,
    pub(super) lease: Option<TimerId>,
    pub(super) file: Option<HostFile>,
    /// None: this one.
    pub(super) process: Option<u32>,
}

pub(super) struct Waiter {
    pub(super) seat: Seat,
    pub(super) ticket: Arc<LockTicket>,
}

pub(super) struct Held {
    pub(super) name: Arc<str>,
    pub(super) fence: u64,
    pub(super) rank: Option<u32>,
}

impl Record {
    pub(super) fn new(name: Arc<str>) -> Self {
        Record { name, permits: 1, holders: Vec::with_capacity(1), waiters: VecDeque::new(), poll: None, fences: 0..0 }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.holders.is_empty() && self.waiters.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.holders.len() < self.permits as usize
    }
}

/// What a seat is asked for.
pub(super) struct Seat {
    /// None: the guard.
    pub(super) owner: Option<Owner>,
    pub(super) lease: Option<Duration>,
    pub(super) rank: Option<u32>,
    pub(super) process: Option<u32>,
}

pub(super) fn seat_of(request: &LockRequest<'_>) -> Seat {
    Seat { owner: request.owner.cloned(), lease: request.lease, rank: request.rank, process: request::process() }
}

pub(super) fn find(record: &Record, key: HolderKey<'_>) -> Option<usize> {
    record.holders.iter().position(|holder| match key {
        HolderKey::Fence(fence) => holder.fence == fence,
        HolderKey::Owner(owner) => holder.owner == *owner,
    })
}

pub(super) fn tidy(shards: &Shards<Record>, shard: &mut Shard<Record>, name: &str) {
    if shard.len() > IDLE_MAX && shard.get(name).is_some_and(Record::is_idle) {
        shards.remove(shard, name);
    }
}
