//! What one store asks of another: the methods of an engine, with their arguments.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{Edge, Want};
use crate::messagequeue::{Delivery, QueueOptions};
use crate::sharedlock::{Fence, Owner};
use crate::sharedlog::LogOptions;
use crate::sharedstate::Search;
use crate::watch::{NameFilter, WatchFilter};

/// One request. A `wait` numbers, within the session, what is answered later; a request that has none never waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    CounterGet {
        name: String,
    },
    CounterSwap {
        name: String,
        value: i64,
    },
    CounterAdd {
        name: String,
        by: i128,
    },
    CounterRemove {
        name: String,
    },
    CounterAll {},
    CounterSnapshot {},
    CounterWatch {
        wait: u64,
        filter: NameFilter,
        from: Option<u64>,
    },
    Lock(LockAsk),
    LockCancel {
        wait: u64,
    },
    LockRelease {
        name: String,
        holder: HolderAsk,
    },
    LockReleaseAll {
        owner: String,
    },
    LockForceRelease {
        name: String,
    },
    LockRenew {
        name: String,
        holder: HolderAsk,
        lease: Option<Duration>,
    },
    LockHas {
        name: String,
        holder: HolderAsk,
    },
    LockHolders {
        name: String,
    },
    LockWaiting {
        name: String,
    },
    LockAll {},
    StateEntry {
        bucket: String,
        key: String,
    },
    StateSet(SetAsk),
    StateRemove {
        bucket: String,
        key: String,
    },
    StateCompareAndRemove {
        bucket: String,
        key: String,
        revision: u64,
    },
    StateRemoveBucket {
        bucket: String,
    },
    StateScan {
        bucket: Option<String>,
    },
    StateSearch {
        search: Search,
    },
    StateBuckets {},
    StateRevision {},
    Watch {
        wait: u64,
        filter: WatchFilter,
        from: Option<u64>,
    },
    WatchRead {
        wait: u64,
    },
    WatchEnd {
        wait: u64,
    },
    QueueAdd(AddAsk),
    QueueAddCancel {
        wait: u64,
    },
    QueueRequest {
        queue: String,
        want: Want,
        may_wait: bool,
        wait: u64,
    },
    QueueCancel {
        wait: u64,
    },
    QueueGiveBack {
        queue: String,
        delivery: Delivery,
    },
    QueueSettle {
        queue: String,
        id: String,
        attempt: Option<u32>,
        verdict: VerdictAsk,
    },
    QueuePeek {
        queue: String,
        limit: usize,
    },
    QueueEdge {
        queue: String,
        edge: Edge,
    },
    QueueRemove {
        queue: String,
        id: String,
    },
    QueuePurge {
        queue: String,
    },
    QueueDelete {
        queue: String,
    },
    QueueConfigure {
        queue: String,
        options: QueueOptions,
    },
    QueueStatus {
        queue: String,
    },
    QueueSnapshot {
        queue: String,
    },
    QueueWatch {
        wait: u64,
        filter: NameFilter,
        from: Option<u64>,
    },
    QueueNames {},
    LogAppend {
        log: String,
        value: Value,
    },
    LogRead {
        log: String,
        offset: u64,
        limit: usize,
    },
    LogFollow {
        log: String,
    },
    LogUnfollow {
        log: String,
    },
    LogConfigure {
        log: String,
        options: LogOptions,
    },
    LogStatus {
        log: String,
    },
    LogDelete {
        log: String,
    },
    LogNames {},
    Backup {
        folder: PathBuf,
    },
    /// A change that carries a fencing number.
    Fenced(Fence, Box<Ask>),
}

/// A lock is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LockAsk {
    pub(crate) name: String,
    /// None: the guard.
    pub(crate) owner: Option<String>,
    pub(crate) lease: Option<Duration>,
    pub(crate) permits: u32,
    pub(crate) rank: Option<u32>,
    pub(crate) may_wait: bool,
    pub(crate) wait: u64,
}

/// A key is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SetAsk {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) time_to_live: Option<Duration>,
    /// None: whatever is there; 0: no key.
    pub(crate) revision: Option<u64>,
    pub(crate) wants_before: bool,
}

/// A message is added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AddAsk {
    pub(crate) queue: String,
    pub(crate) message: Value,
    pub(crate) priority: i32,
    pub(crate) delay: Duration,
    pub(crate) id: Option<String>,
    pub(crate) may_wait: bool,
    pub(crate) wait: u64,
}

/// Which of a lock's holders is meant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HolderAsk {
    Fence(u64),
    Owner(String),
}

impl HolderAsk {
    /// One that no lock ever had when the owner's name is none.
    pub(crate) fn of(holder: crate::engine::HolderKey<'_>) -> Self {
        match holder {
            crate::engine::HolderKey::Fence(fence) => HolderAsk::Fence(fence),
            crate::engine::HolderKey::Owner(owner) => match owner.name() {
                Some(name) => HolderAsk::Owner(name.to_string()),
                None => HolderAsk::Fence(owner.fence().unwrap_or(0)),
            },
        }
    }

    /// The owner, if it is meant by its name.
    pub(crate) fn owner(&self) -> Result<Owner, crate::Error> {
        match self {
            HolderAsk::Fence(fence) => Ok(Owner::guard(*fence)),
            HolderAsk::Owner(name) => Owner::named(name),
        }
    }
}

/// What becomes of a claimed message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerdictAsk {
    Acknowledge,
    Fail { reason: String, delay: Duration },
    Extend(Duration),
}

/// Changes that were read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Changes<E> {
    pub(crate) events: Vec<E>,
    /// Why there are no more after these.
    pub(crate) fault: Option<Value>,
    /// Up to where nothing is missing.
    pub(crate) revision: u64,
}

/// What comes by itself over the connection that asked for `node.events`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Note {
    /// The answer to what waited.
    Done { wait: u64, answer: Value },
    /// It ended without one.
    Failed { wait: u64, error: Value },
    /// A watch has changes to read.
    Changed { wait: u64 },
    /// A log has entries to read.
    Appended { log: String },
}

impl Ask {
    /// Whether doing it twice is not the same as doing it once, or the second answer another.
    pub(crate) fn is_change(&self) -> bool {
        matches!(
            self,
            Ask::CounterSwap { .. }
                | Ask::CounterAdd { .. }
                | Ask::CounterRemove { .. }
                | Ask::StateSet(_)
                | Ask::StateRemove { .. }
                | Ask::StateCompareAndRemove { .. }
                | Ask::StateRemoveBucket { .. }
                | Ask::QueueAdd(_)
                | Ask::QueueRequest { .. }
                | Ask::QueueSettle { .. }
                | Ask::QueueRemove { .. }
                | Ask::QueuePurge { .. }
                | Ask::QueueDelete { .. }
                | Ask::LogAppend { .. }
                | Ask::LogDelete { .. }
        )
    }

    /// Whether a fencing number that the caller carries goes with it.
    pub(crate) fn is_fenced(&self) -> bool {
        self.is_change() || matches!(self, Ask::QueueConfigure { .. } | Ask::LogConfigure { .. })
    }
}
