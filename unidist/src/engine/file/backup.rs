//! Copies of stores: a backup of one that is open, a restore, and what can be saved of a damaged one.
//!
//! A copy is made beside its place, synced and then renamed: a folder has a whole store or none.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::encode::{Batch, Step};
use super::folder::{FolderLock, IfMissing};
use super::inspect::{self, Report};
use super::refuse;
use super::row::{Key, Table};
use super::store::{Direction, Fault, Store};
use super::writer::Writer;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;

/// Rows that are salvaged in one transaction.
const ROWS_AT_ONCE: usize = 10_000;

/// Copies an open store.
pub(super) fn backup(writer: &Writer, to: &Path) -> Result<(), Error> {
    let target = FolderLock::take_new(to)?;
    writer.with_store(|store| store.copy_to(&target.unfinished_path()))?;
    target.finish()
}

/// See `unidist::file::restore`.
pub(crate) fn restore(from: &Path, to: &Path) -> Result<(), Error> {
    let store = open_closed(from)?;
    let report = inspect::inspect(&store, &mut |_, _, _| ());
    if !report.is_whole() {
        return Err(Error::StoreDamaged { folder: from.to_owned(), damage: report.summary() });
    }
    let target = FolderLock::take_new(to)?;
    store.copy_to(&target.unfinished_path()).map_err(|fault| refuse(to, fault))?;
    store.close_untouched();
    target.finish()
}

/// See `unidist::file::check`.
pub(crate) fn check(folder: &Path) -> Result<Report, Error> {
    let mut report = match open_closed(folder) {
        Ok(store) => {
            let report = inspect::inspect(&store, &mut |_, _, _| ());
            store.close_untouched();
            report
        }
        Err(Error::StoreDamaged { damage, .. }) => {
            let mut report = Report::default();
            report.add("store", None, damage);
            report
        }
        Err(error) => return Err(error),
    };
    report.folder = folder.to_owned();
    Ok(report)
}

fn open_closed(folder: &Path) -> Result<Store, Error> {
    let lock = FolderLock::take(folder, IfMissing::Refuse)?;
    Store::open(lock, u64::MAX).map_err(|fault| refuse(folder, fault))
}

/// See `unidist::file::salvage`.
pub(crate) fn salvage(from: &Path, to: &Path) -> Result<Report, Error> {
    let lock = FolderLock::take(from, IfMissing::Refuse)?;
    let damaged = Store::open_damaged(lock).map_err(|fault| refuse(from, fault))?;
    let mut report = inspect::inspect(&damaged, &mut |_, _, _| ());
    report.folder = from.to_owned();
    let target = FolderLock::take_new(to)?;
    let unfinished = target.unfinished_path();
    let mut saved = Saved {
        store: Store::create_at(&unfinished).map_err(|fault| refuse(to, fault))?,
        rows: 0,
        batch: Batch::default(),
    };
    let copied = Table::ALL.iter().try_for_each(|table| saved.take_table(&damaged, *table));
    copied.and_then(|()| saved.finish(&damaged)).map_err(|fault| refuse(to, fault))?;
    damaged.close_untouched();
    target.finish()?;
    Ok(report)
}

/// The store that what is whole is put into.
struct Saved {
    store: Store,
    rows: usize,
    batch: Batch,
}

impl Saved {
    /// From the front to the damage, if there is any, and from the back to it.
    fn take_table(&mut self, damaged: &Store, table: Table) -> Result<(), Fault> {
        for direction in [Direction::Forwards, Direction::Backwards] {
            let mut result = Ok(());
            let read = damaged.each_row(table, direction, |raw| {
                if result.is_ok()
                    && let Ok((_, _, _)) = inspect::examine(table, raw, None)
                {
                    let key = Key { table, name: raw.name.to_vec(), part: raw.part.to_vec() };
                    self.batch.revision = self.batch.revision.max(raw.numbers.0.cast_unsigned());
                    self.batch.steps.push(Step::Rows(BTreeMap::from([(key, Some(raw.cells()))])));
                    self.rows += 1;
                    if self.rows >= ROWS_AT_ONCE {
                        result = self.write();
                    }
                }
            });
            result?;
            if read.is_ok() {
                break;
            }
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), Fault> {
        self.rows = 0;
        self.store.write(std::mem::take(&mut self.batch))
    }

    /// Numbers that must never go back: as they were, or if that is lost beyond what could have been.
    fn finish(mut self, damaged: &Store) -> Result<(), Fault> {
        let summary = damaged.summary;
        let beyond = if summary.version == 0 { microseconds(SystemClock::new().unix_time()) } else { 0 };
        self.batch.revision = summary.revision.max(beyond);
        self.batch.message_number = summary.message_number.max(beyond);
        self.batch.fence = summary.fence.max(beyond);
        self.write()?;
        self.store.close()
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
