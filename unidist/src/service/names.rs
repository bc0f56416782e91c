//! Names in requests, which come from other programs: the same rule as for those that come through the library.

use serde_json::Value;

use crate::error::Error;
use crate::name::{self, is_private};
use crate::wire::ask::Ask;

/// Refuses a request with a name that is none, or that belongs to one process.
pub(super) fn check(ask: &Ask) -> Result<(), Error> {
    match ask {
        Ask::CounterGet { name }
        | Ask::CounterSwap { name, .. }
        | Ask::CounterAdd { name, .. }
        | Ask::CounterRemove { name } => shared("counter", name),
        Ask::Lock(ask) => shared("lock", &ask.name),
        Ask::LockRelease { name, .. }
        | Ask::LockForceRelease { name }
        | Ask::LockRenew { name, .. }
        | Ask::LockHas { name, .. }
        | Ask::LockHolders { name }
        | Ask::LockWaiting { name } => shared("lock", name),
        Ask::StateEntry { bucket, key }
        | Ask::StateRemove { bucket, key }
        | Ask::StateCompareAndRemove { bucket, key, .. } => in_bucket(bucket, key),
        Ask::StateSet(ask) => in_bucket(&ask.bucket, &ask.key),
        Ask::StateRemoveBucket { bucket } => shared("bucket", bucket),
        Ask::QueueAdd(ask) => {
            ask.id.as_ref().map_or(Ok(()), |id| name::check("message id", id))?;
            shared("queue", &ask.queue)
        }
        Ask::QueueRequest { queue, .. }
        | Ask::QueueGiveBack { queue, .. }
        | Ask::QueueSettle { queue, .. }
        | Ask::QueuePeek { queue, .. }
        | Ask::QueueEdge { queue, .. }
        | Ask::QueueRemove { queue, .. }
        | Ask::QueuePurge { queue }
        | Ask::QueueDelete { queue }
        | Ask::QueueConfigure { queue, .. }
        | Ask::QueueStatus { queue } => shared("queue", queue),
        Ask::QueueSnapshot { queue } => shared("queue", queue),
        Ask::CounterWatch { filter, .. } => filter.only().map_or(Ok(()), |name| shared("counter", name)),
        Ask::QueueWatch { filter, .. } => filter.only().map_or(Ok(()), |name| shared("queue", name)),
        Ask::LogAppend { log, .. }
        | Ask::LogRead { log, .. }
        | Ask::LogFollow { log }
        | Ask::LogUnfollow { log }
        | Ask::LogConfigure { log, .. }
        | Ask::LogStatus { log }
        | Ask::LogDelete { log } => shared("log", log),
        Ask::Fenced(fence, _) => shared("lock", fence.lock()),
        _ => Ok(()),
    }
}

/// Refuses arguments of a function by name whose first one names a thing of one process.
pub(super) fn check_arguments(args: &[Value]) -> Result<(), Error> {
    match args.first() {
        Some(Value::String(name)) if is_private(name) => shared("shared", name),
        _ => Ok(()),
    }
}

fn in_bucket(bucket: &str, key: &str) -> Result<(), Error> {
    shared("bucket", bucket)?;
    name::check("key", key)
}

fn shared(kind: &'static str, name: &str) -> Result<(), Error> {
    name::check(kind, name)?;
    if is_private(name) {
        let reason = "begins with __: such names belong to one process".to_owned();
        return Err(Error::Name { kind, name: name.chars().take(64).collect(), reason });
    }
    Ok(())
}
