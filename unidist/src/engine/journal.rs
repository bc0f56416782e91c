//! What the memory engine tells of its changes, so that an engine which keeps them on disk can be built around it.
//!
//! A change is recorded while the thing that changed is locked: records are in the order of the changes. Names that
//! begin with `__` are never recorded. Times are on the store's clock.
#![cfg_attr(not(feature = "file"), expect(dead_code, reason = "only an engine that keeps changes reads them"))]

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::engine::request::{Answer, RequestKey};
use crate::error::Error;
use crate::messagequeue::QueueOptions;
use crate::name;
use crate::sharedlog::{LogEntry, LogOptions};
use crate::wait::Ticket;

/// Who keeps the changes.
pub(crate) trait Journal: Send + Sync {
    /// Takes note of a change. Never blocks on the disk.
    fn record(&self, change: Change);
    /// Gives an answer to a waiter once what was recorded before is on disk, or the error that kept it from there.
    fn hold(&self, answer: Arc<dyn Held>);
    /// Runs `act`, which nobody waits for, such that all that it records is kept together.
    fn enclose(&self, act: &mut dyn FnMut());
    /// Returns when no fencing number up to `last` will be given again after a restart. Blocks.
    fn reserve_fences(&self, last: u64) -> Result<(), Error>;
    /// The number of the group to which the records made just now belong.
    fn group(&self) -> u64;
}

/// One change. None in the place of a value: the thing is gone.
pub(crate) enum Change {
    Counter {
        name: Arc<str>,
        value: Option<i64>,
    },
    State {
        bucket: Arc<str>,
        key: Arc<str>,
        revision: u64,
        kept: Option<KeptValue>,
    },
    Queue {
        name: Arc<str>,
        header: QueueHeader,
    },
    /// With all its messages.
    QueueGone {
        name: Arc<str>,
        last_number: u64,
    },
    Message {
        queue: Arc<str>,
        number: u64,
        change: MessageChange,
    },
    Log {
        name: Arc<str>,
        header: LogHeader,
    },
    LogEntry {
        log: Arc<str>,
        entry: LogEntry,
    },
    LogEntryGone {
        log: Arc<str>,
        offset: u64,
    },
    /// All entries of the log.
    LogEntriesGone {
        log: Arc<str>,
    },
    /// The largest fencing number of a lock that a change carried.
    Fence {
        lock: Arc<str>,
        number: u64,
    },
    /// What another process was answered; none: it need not be remembered any more.
    Answer {
        request: RequestKey,
        answer: Option<Value>,
    },
}

/// A value of the state, without its names.
#[derive(Debug, Clone)]
pub(crate) struct KeptValue {
    pub(crate) value: Arc<Value>,
    pub(crate) revision: u64,
    pub(crate) expires: Option<Duration>,
}

/// What a queue is beside its messages.
#[derive(Debug, Clone)]
pub(crate) struct QueueHeader {
    pub(crate) options: QueueOptions,
    pub(crate) last_number: u64,
    pub(crate) added: u64,
    pub(crate) dropped: u64,
    pub(crate) dead: u64,
}

/// What happened to a message.
pub(crate) enum MessageChange {
    Added(KeptBody),
    Moved(Standing),
    Gone,
}

/// What does not change while a message is in its queue.
#[derive(Debug, Clone)]
pub(crate) struct KeptBody {
    pub(crate) id: Option<Arc<str>>,
    pub(crate) priority: i32,
    pub(crate) added: Duration,
    pub(crate) message: Arc<Value>,
}

/// Where a message stands. The default is that of a new one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    pub(crate) attempts: u32,
    pub(crate) reasons: Vec<String>,
    pub(crate) until: Until,
}

/// From when on a message can be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Until {
    #[default]
    Ready,
    Delayed(Duration),
    Claimed(Duration),
}

/// What a log is beside its entries.
#[derive(Debug, Clone)]
pub(crate) struct LogHeader {
    pub(crate) options: LogOptions,
    pub(crate) next: u64,
    pub(crate) is_deleted: bool,
}

/// An answer that waits for the disk.
pub(crate) trait Held: Send + Sync {
    /// The answer counts, or the error does in its place.
    fn settle(&self, outcome: &Result<(), Error>);
    /// The request that it answers, and the answer, when it is to be remembered with the change.
    fn remembered(&self) -> Option<Change>;
}

impl<T: Answer> Held for Ticket<Result<T, Error>> {
    fn remembered(&self) -> Option<Change> {
        let request = self.request()?.clone();
        let answer = self.peek(|held| held.as_ref().ok().and_then(Answer::to_answer))??;
        Some(Change::Answer { request, answer: Some(answer) })
    }

    fn settle(&self, outcome: &Result<(), Error>) {
        match outcome {
            Ok(()) => self.show(),
            Err(error) => self.show_instead(Err(error.clone())),
        }
    }
}

/// The memory engine's end of it: nothing is behind it under `memory:`.
#[derive(Clone, Default)]
pub(crate) struct Records(Option<Arc<dyn Journal>>);

impl Records {
    pub(crate) fn new(journal: Option<Arc<dyn Journal>>) -> Self {
        Records(journal)
    }

    /// Whether changes of the thing of this name are recorded.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.is_some() && !name::is_private(name)
    }

    /// Records the change that `make` describes, if the thing of this name is kept.
    pub(crate) fn add(&self, name: &str, make: impl FnOnce() -> Change) {
        if let Some(journal) = &self.0
            && !name::is_private(name)
        {
            journal.record(make());
        }
    }

    pub(crate) fn enclose(&self, mut act: impl FnMut()) {
        match &self.0 {
            Some(journal) => journal.enclose(&mut act),
            None => act(),
        }
    }

    pub(crate) fn hold(&self, answer: Arc<dyn Held>) {
        match &self.0 {
            Some(journal) => journal.hold(answer),
            None => answer.settle(&Ok(())),
        }
    }

    pub(crate) fn group(&self) -> u64 {
        self.0.as_ref().map_or(0, |journal| journal.group())
    }

    /// None: nobody needs to know.
    pub(crate) fn reserve_fences(&self, last: u64) -> Option<Result<(), Error>> {
        self.0.as_ref().map(|journal| journal.reserve_fences(last))
    }
}
