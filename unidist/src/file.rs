//! Stores in a folder: `file:FOLDER` and `file:FOLDER?sync=interval`, with the feature `file`.
//!
//! **What is acknowledged is on disk.** A change returns when the transaction it is in has been synced; the changes of
//! all threads that wait at one moment share one transaction and one sync. Under `sync=interval` a change returns at
//! once and is on disk within about a second: a kill or a power failure loses at most what came since.
//!
//! **What survives** the process, also kill -9 at any moment: counters; state with its revisions and times to live;
//! queues with their settings, counts, claims, delays, attempts and dead letters; logs with their offsets. Leases, delays
//! and times to live go on by the machine's date while the store is closed. Fencing numbers and revisions never go back;
//! they jump when a store is opened. Locks do not survive their holder, and names that begin with `__` are not stored.
//!
//! **Order.** A change is applied to the memory and queued for the disk in one step, so the disk has every change that an
//! acknowledged change could be based on. What one call changes (a message moving to the dead letters, a whole bucket) is
//! in one transaction. Reads come from memory and may show a change a moment before it is on disk; entries of a log and
//! messages delivered to a waiting consumer are shown only when they are.
//!
//! **A disk that refuses** (full, failing, or the store's own size limit) makes the change an error, `NotWritten`; all
//! that was not on disk is taken back, watchers are told of values that go back as of changes, reading goes on, and
//! later changes are tried anew. A consumer that waited gets the error. A change that was refused may be there all the
//! same if the process is killed directly after. Under `sync=interval` what was acknowledged is tried again each second
//! until it is on disk, and new changes are refused until then.
//!
//! **Damage.** Every row has a checksum over its table, key, revision, time and value, and every table the number and sum
//! of its rows; all are checked when the store is opened. A damaged store is refused with the damaged table and key
//! named; [`check`] names all, [`salvage`] copies what is whole, [`restore`] brings back a backup. A damaged part of the
//! write-ahead log of a store that was killed can't be told from the end of the log: it ends there.
//!
//! **Several processes**: the first one to open the store has it and serves the others through the socket in the folder,
//! with the same contract; processes of other users are refused, and the folder is made for its user alone. When the
//! owner ends or is killed, the next process that asks has it, and the others find that one. A change that was under way
//! is made once and answered. Locks of living processes stay theirs, with their fencing numbers; those of the owner are
//! free, as are at once those of any process that ends. Waits go on, in an order of their own. A watch is told that it
//! fell behind: read the state anew. All of it while the store can be opened: within 30 s, else `Unreachable`, or
//! `UnknownOutcome` for a change. `check`, `restore` and `salvage` need a store that no process has open.
//!
//! **Bounds.** The file grows to `Limits::file_bytes_max`; free pages are used again, and given back when they are a
//! fourth of the file. The write-ahead log is copied into the store at 16 MiB. Everything is in memory, too.

use std::path::Path;

use crate::engine::file as engine;
use crate::error::Error;

pub use crate::engine::file::{Damage, Report};

/// Reads and checks every row of a store that no process has open, and changes nothing.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let url = format!("file:{}", folder.path().display());
/// unidist::Unidist::open(&url)?.sharedcounter().increment("requests", 1)?;
/// assert!(unidist::file::check(folder.path())?.is_whole());
/// # Ok::<(), unidist::Error>(())
/// ```
///
/// # Errors
/// `Store` when there is no store or it can't be read at all, `StoreOwned`. Damage is no error but in the report.
pub fn check(folder: &Path) -> Result<Report, Error> {
    engine::check(folder)
}

/// Copies a store that no process has open, such as a backup, to another folder, which must not exist or be empty.
///
/// # Errors
/// `StoreDamaged` when the store is not whole, and nothing is copied; `Store`, `StoreOwned`.
pub fn restore(from: &Path, to: &Path) -> Result<(), Error> {
    engine::restore(from, to)
}

/// Copies what is whole of a damaged store to another folder, which must not exist or be empty, and reports what is not.
/// The damaged store is left as it is.
///
/// # Errors
/// `Store` when nothing of it can be read, or the other folder can't be used; `StoreOwned`.
pub fn salvage(from: &Path, to: &Path) -> Result<Report, Error> {
    engine::salvage(from, to)
}
