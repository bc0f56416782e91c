//! What can go wrong, one variant per cause. Each text names the thing and, where there is one, the remedy.

use std::path::PathBuf;

/// An operation on a shared thing was refused or ended without its result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine URL is not one that this build opens; use one of those the text names.
    #[error("cannot open the unidist url {url:?}: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A name is empty, too long or has a control character; choose another.
    #[error("the {kind} name {name:?} {reason}")]
    Name {
        /// What was to be named: `lock`, `counter`, `bucket`, `key`, `queue`, `log`, `owner`.
        kind: &'static str,
        /// As it was given, cut to 64 characters.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value is larger or deeper than the store takes.
    #[error("the value for {what} {reason}")]
    Value {
        /// What it was for.
        what: String,
        /// Which limit it passes.
        reason: String,
    },
    /// A setting that makes no sense; the text says what would.
    #[error("{what} {reason}")]
    Setting {
        /// What was to be set.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A limit on the number of things is reached; remove some or raise the limit when the store is opened.
    #[error("too many {what}: the limit is {max}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The lock was not free within the time that the caller would wait.
    #[error("the lock {name:?} is held by {holder}")]
    Busy {
        /// The lock.
        name: String,
        /// Owner, process and age of one holder.
        holder: String,
    },
    /// Nobody holds a lock of this name.
    #[error("the lock {name:?} does not exist: nobody holds it")]
    NoSuchLock {
        /// The lock.
        name: String,
    },
    /// Another owner holds the lock; only the holder, or a forced release, frees it.
    #[error("not the holder: the lock {name:?} is held by {holder}, not by {owner}")]
    NotHolder {
        /// The lock.
        name: String,
        /// Who tried.
        owner: String,
        /// Who holds it.
        holder: String,
    },
    /// The owner holds the lock already and would wait for itself; release first, or use another owner.
    #[error("the owner {owner} already holds the lock {name:?} and would wait for itself: release it first")]
    Reentrant {
        /// The lock.
        name: String,
        /// Who tried.
        owner: String,
    },
    /// A lock of a rank not above those held was asked for: take locks in the order of rising ranks.
    #[error(
        "lock order: {name:?} has rank {rank}, but its owner already holds {held:?} of rank {held_rank}; take locks in rising order of rank"
    )]
    LockOrder {
        /// The lock asked for.
        name: String,
        /// Its rank.
        rank: u32,
        /// The lock held.
        held: String,
        /// The held lock's rank.
        held_rank: u32,
    },
    /// The change carried a fencing number that is not the newest of its lock: the lock was lost, and nothing changed.
    #[error("stale: the lock {lock:?} was had under the number {newest} since {number}; nothing was changed")]
    StaleFence {
        /// The lock.
        lock: String,
        /// The number that the change carried.
        number: u64,
        /// The largest known.
        newest: u64,
    },
    /// An option of a lock does not fit: the text says which.
    #[error("the lock {name:?}: {reason}")]
    LockOption {
        /// The lock.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The host-wide lock file can't be used.
    #[error("cannot use {} for locks between processes: {reason}", path.display())]
    HostLock {
        /// File or folder.
        path: PathBuf,
        /// What is wrong and the remedy.
        reason: String,
    },
    /// A counter would leave the range of a signed 64-bit number; it keeps its value.
    #[error("the counter {name:?} would overflow: {value} changed by {by}")]
    Overflow {
        /// The counter.
        name: String,
        /// Its value, unchanged.
        value: i64,
        /// The change that was asked for.
        by: i128,
    },
    /// The bucket has no such key and no default was given.
    #[error("the bucket {bucket:?} has no key {key:?}")]
    NoSuchKey {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// Nothing was ever added to a queue or appended to a log of this name.
    #[error("the {kind} {name:?} does not exist")]
    NoSuchThing {
        /// `queue` or `log`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The queue is full and its policy is to reject, or the wait for room is over.
    #[error("the queue {name:?} is full: it holds {length_max} messages")]
    QueueFull {
        /// The queue.
        name: String,
        /// Its cap.
        length_max: usize,
    },
    /// The claim is over: it was acknowledged, failed, or its lease ran out and the message went on.
    #[error("the claim on message {id} of the queue {queue:?} is over: {reason}")]
    ClaimLost {
        /// The queue.
        queue: String,
        /// The message's id.
        id: String,
        /// Which of the cases it is.
        reason: String,
    },
    /// A watcher or follower was too slow; read the present state and begin again from there.
    #[error("fell behind on {what}: {reason}")]
    FellBehind {
        /// What was followed.
        what: String,
        /// How much was missed, or from where it can go on.
        reason: String,
    },
    /// A search pattern is no regular expression.
    #[error("the search pattern {pattern:?} is not a regular expression: {reason}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong, on one line.
        reason: String,
    },
    /// The folder of a store can't be used.
    #[error("cannot open the store {}: {reason}", folder.display())]
    Store {
        /// The folder.
        folder: PathBuf,
        /// What is wrong and, where there is one, the remedy.
        reason: String,
    },
    /// Another process, or this one, has the store open.
    #[error("the store {} is open in {}", folder.display(), owner_text(*process))]
    StoreOwned {
        /// The folder.
        folder: PathBuf,
        /// The process; 0 when it is not known.
        process: u32,
    },
    /// The store's files are not what was written. Nothing of it is served.
    #[error("the store {} is damaged: {damage}; restore a backup or salvage what is whole", folder.display())]
    StoreDamaged {
        /// The folder.
        folder: PathBuf,
        /// The damaged tables and keys, the first of them.
        damage: String,
    },
    /// A change could not be written to the store and was taken back; reading goes on, and later changes are tried.
    #[error("not written to the store {}: {reason}", folder.display())]
    NotWritten {
        /// The folder.
        folder: PathBuf,
        /// What is wrong and the remedy.
        reason: String,
    },
    /// The store's owner, another process, can't be reached or does not speak this library's protocol. Nothing was done.
    #[error("cannot reach the store {place}: {reason}")]
    Unreachable {
        /// Its socket or folder.
        place: String,
        /// What is wrong and, where there is one, the remedy.
        reason: String,
    },
    /// The store's owner ended while it worked on a change, and its successor does not know whether it was made: look
    /// before you repeat it.
    #[error("unknown outcome: the owner of the store {place} ended during {what}")]
    UnknownOutcome {
        /// Its socket or folder.
        place: String,
        /// What was asked.
        what: String,
    },
    /// An error of another process's store that this version does not know.
    #[error("{text}")]
    Remote {
        /// Its code.
        code: String,
        /// Its text.
        text: String,
    },
    /// A stop was requested while waiting.
    #[error("stopped while waiting for {what}")]
    Stopped {
        /// What was waited for.
        what: String,
    },
    /// No function of this name can be called.
    #[error("there is no function {name:?}: {remedy}")]
    UnknownFunction {
        /// As it was given.
        name: String,
        /// The names that exist.
        remedy: String,
    },
    /// An argument of a function called by name is missing, of the wrong kind or out of range.
    #[error("{function}: {reason}")]
    Argument {
        /// The function.
        function: String,
        /// Which argument, what was expected, what was found.
        reason: String,
    },
}

/// Codes that another process may send.
const CODES: [&str; 24] = [
    "bad_argument",
    "bad_request",
    "busy",
    "claim_lost",
    "damaged",
    "fell_behind",
    "full",
    "host_lock",
    "lock_order",
    "not_found",
    "not_holder",
    "not_written",
    "overflow",
    "owned",
    "reentrant",
    "remote",
    "stopped",
    "store",
    "timed_out",
    "too_large",
    "too_many",
    "unknown_function",
    "unknown_outcome",
    "unreachable",
];

fn owner_text(process: u32) -> String {
    match process {
        0 => "another process: end it first".to_owned(),
        own if own == std::process::id() => "this process: pass the open store along instead".to_owned(),
        other => format!("process {other}: end it first, or talk to it"),
    }
}

impl Error {
    /// A short fixed word for programs: `bad_argument`, `busy`, `full`, `not_found`, `not_holder`, `too_large`…
    pub fn code(&self) -> &'static str {
        match self {
            Error::Url { .. } | Error::Name { .. } | Error::Pattern { .. } | Error::Argument { .. } => "bad_argument",
            Error::LockOption { .. } | Error::Setting { .. } => "bad_argument",
            Error::Value { .. } => "too_large",
            Error::TooMany { .. } => "too_many",
            Error::Busy { .. } => "busy",
            Error::NoSuchLock { .. } | Error::NoSuchKey { .. } | Error::NoSuchThing { .. } => "not_found",
            Error::NotHolder { .. } => "not_holder",
            Error::Reentrant { .. } => "reentrant",
            Error::LockOrder { .. } => "lock_order",
            Error::StaleFence { .. } => "stale",
            Error::HostLock { .. } => "host_lock",
            Error::Overflow { .. } => "overflow",
            Error::QueueFull { .. } => "full",
            Error::ClaimLost { .. } => "claim_lost",
            Error::FellBehind { .. } => "fell_behind",
            Error::Store { .. } => "store",
            Error::StoreOwned { .. } => "owned",
            Error::StoreDamaged { .. } => "damaged",
            Error::NotWritten { .. } => "not_written",
            Error::Unreachable { .. } => "unreachable",
            Error::UnknownOutcome { .. } => "unknown_outcome",
            Error::Remote { code, .. } => CODES.iter().find(|known| *known == code).unwrap_or(&"remote"),
            Error::Stopped { .. } => "stopped",
            Error::UnknownFunction { .. } => "unknown_function",
        }
    }
}
