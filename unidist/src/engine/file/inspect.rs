//! Reading a whole store with a look at every row: when it is opened, checked or salvaged.

use std::path::PathBuf;

use super::image::{self, Kept, LOAD_ORDER};
use super::row::{self, Digest, Table};
use super::store::{Direction, Fault, RawRow, Store};

/// Damages that are named one by one; more are counted.
const DAMAGES_MAX: usize = 100;

/// Something in a store that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// `counters`, `state`, `queues`, `messages`, `standings` (of messages that were claimed, delayed or tried), `logs`,
    /// `entries`, or `store` for the file as a whole.
    pub table: &'static str,
    /// The row's names, such as `"bucket" "key"`; none when the whole table is meant.
    pub key: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{} {key}: {}", self.table, self.reason),
            None => write!(f, "{}: {}", self.table, self.reason),
        }
    }
}

/// What a look at a store found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The folder.
    pub folder: PathBuf,
    /// Rows that are whole.
    pub rows: u64,
    /// The first hundred damages; none: the store is whole.
    pub damages: Vec<Damage>,
    /// Damages that are not in the list.
    pub more_damages: u64,
}

impl Report {
    /// Whether every row and the file itself are what was written.
    pub fn is_whole(&self) -> bool {
        self.damages.is_empty()
    }

    pub(super) fn add(&mut self, table: &'static str, key: Option<String>, reason: String) {
        if self.damages.len() < DAMAGES_MAX {
            self.damages.push(Damage { table, key, reason });
        } else {
            self.more_damages += 1;
        }
    }

    /// On one line: the first damages and how many there are.
    pub(super) fn summary(&self) -> String {
        let named: Vec<String> = self.damages.iter().take(3).map(Damage::to_string).collect();
        let more = self.more_damages + self.damages.len().saturating_sub(3) as u64;
        let named = named.join("; ");
        if more == 0 { named } else { format!("{named}; and {more} more") }
    }
}

/// Reads every row of the store; those that are whole are passed to `visit` with their names.
pub(super) fn inspect(store: &Store, visit: &mut dyn FnMut(&str, &str, Kept)) -> Report {
    let mut report = Report::default();
    match store.structure_faults() {
        Ok(faults) => faults.into_iter().for_each(|fault| report.add("store", None, fault)),
        Err(fault) => report.add("store", None, text_of(fault)),
    }
    for table in LOAD_ORDER {
        inspect_table(store, table, &mut report, visit);
    }
    report
}

fn inspect_table(store: &Store, table: Table, report: &mut Report, visit: &mut dyn FnMut(&str, &str, Kept)) {
    let mut digest = Digest::default();
    let mut last: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut bad_rows = 0_u64;
    let read = store.each_row(table, Direction::Forwards, |raw| {
        digest.add(raw.sum);
        let found = examine(table, raw, last.as_ref());
        let (name, part) = last.get_or_insert_default();
        raw.name.clone_into(name);
        raw.part.clone_into(part);
        match found {
            Ok((name, part, kept)) => {
                report.rows += 1;
                visit(name, part, kept);
            }
            Err(reason) => {
                bad_rows += 1;
                report.add(table.name(), Some(row::describe(table, raw.name, raw.part)), reason);
            }
        }
    });
    if let Err(fault) = read {
        let after =
            last.map_or_else(String::new, |(name, part)| format!(" after {}", row::describe(table, &name, &part)));
        report.add(table.name(), None, format!("it can't be read on{after}: {}", text_of(fault)));
        return;
    }
    let Some(written) = store.summary.digests.get(table.index()) else { return };
    if digest != *written && bad_rows == 0 {
        let reason =
            format!("it has {} rows, {} were written: some are lost or not the newest", digest.rows, written.rows);
        report.add(table.name(), None, reason);
    }
}

/// The row's names and what it holds; the error says what is wrong with it.
pub(super) fn examine<'a>(
    table: Table,
    raw: &RawRow<'a>,
    last: Option<&(Vec<u8>, Vec<u8>)>,
) -> Result<(&'a str, &'a str, Kept), String> {
    if !raw.is_whole(table) {
        return Err("it does not fit its checksum".to_owned());
    }
    if last.is_some_and(|(name, part)| (name.as_slice(), part.as_slice()) >= (raw.name, raw.part)) {
        return Err("it is out of order".to_owned());
    }
    let name = std::str::from_utf8(raw.name).map_err(|error| error.to_string())?;
    let part =
        if table == Table::State { std::str::from_utf8(raw.part).map_err(|error| error.to_string())? } else { "" };
    let kept = image::decode(table, raw.part, &raw.cells())?;
    Ok((name, part, kept))
}

pub(super) fn text_of(fault: Fault) -> String {
    match fault {
        Fault::Full { .. } => "the disk is full".to_owned(),
        Fault::Damaged(text) | Fault::Unfit(text) | Fault::System(text) => text,
    }
}
