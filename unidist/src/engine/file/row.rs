//! Rows as they lie on disk: all tables have the same columns, and each row carries a checksum over all of them.
//!
//! Beside it each table has a [`Digest`], the number and the sum of its rows' checksums, which is written with every
//! change: a row that is lost or there twice is known even when every row that can be read is whole.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// A table of the store. Its position is on disk, in checksums and in the digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Table {
    /// name; value.
    Counters,
    /// bucket, key; revision, when it expires, value.
    State,
    /// name; settings and counts.
    Queues,
    /// queue, number; when it was added, its id, priority and message.
    Messages,
    /// queue, number: of a message that is delayed, claimed or was tried; attempts, until when, reasons.
    Standings,
    /// name; settings and the next offset.
    Logs,
    /// log, offset; when it was appended, value.
    Entries,
    /// One row, the summary.
    Meta,
}

/// The tables of the shared things, each with a digest in the summary.
pub(super) const TABLES: usize = 7;

impl Table {
    pub(super) const ALL: [Table; TABLES] =
        [Table::Counters, Table::State, Table::Queues, Table::Messages, Table::Standings, Table::Logs, Table::Entries];

    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Counters => "counters",
            Table::State => "state",
            Table::Queues => "queues",
            Table::Messages => "messages",
            Table::Standings => "standings",
            Table::Logs => "logs",
            Table::Entries => "entries",
            Table::Meta => "meta",
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Whether the second part of the key is a number.
    fn is_numbered(self) -> bool {
        matches!(self, Table::Messages | Table::Standings | Table::Entries)
    }
}

/// Where a row is. Ordered as the rows of a table are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) table: Table,
    pub(super) name: Vec<u8>,
    /// A key of the state, or a number with its highest byte first; empty for things that have but a name.
    pub(super) part: Vec<u8>,
}

impl Key {
    pub(super) fn named(table: Table, name: &str) -> Self {
        Key { table, name: name.as_bytes().to_vec(), part: Vec::new() }
    }

    pub(super) fn keyed(table: Table, name: &str, key: &str) -> Self {
        Key { table, name: name.as_bytes().to_vec(), part: key.as_bytes().to_vec() }
    }

    pub(super) fn numbered(table: Table, name: &str, number: u64) -> Self {
        Key { table, name: name.as_bytes().to_vec(), part: number.to_be_bytes().to_vec() }
    }

    /// For people: `"bucket" "key"` or `"queue" 17`.
    pub(super) fn describe(&self) -> String {
        describe(self.table, &self.name, &self.part)
    }
}

/// As `Key::describe`, of a row that was only looked at.
pub(super) fn describe(table: Table, name: &[u8], part: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    match <[u8; 8]>::try_from(part) {
        _ if part.is_empty() => format!("{name:?}"),
        Ok(number) if table.is_numbered() => format!("{name:?} {}", u64::from_be_bytes(number)),
        _ => format!("{name:?} {:?}", String::from_utf8_lossy(part)),
    }
}

/// What a row holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cells {
    /// Of a value of the state; attempts of a standing.
    pub(super) revision: i64,
    /// Nanoseconds since 1970; 0: none.
    pub(super) time: i64,
    /// JSON.
    pub(super) value: Vec<u8>,
}

/// The checksum of a row.
pub(super) fn checksum(table: Table, key: (&[u8], &[u8]), numbers: (i64, i64), value: &[u8]) -> i64 {
    let mut hash = Xxh3::new();
    hash.update(&[table.index() as u8]);
    for part in [key.0, key.1, value] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update(&numbers.0.to_le_bytes());
    hash.update(&numbers.1.to_le_bytes());
    hash.digest().cast_signed()
}

/// The rows of a table as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest {
    pub(super) rows: u64,
    pub(super) sum: u64,
}

impl Digest {
    pub(super) fn add(&mut self, checksum: i64) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(mix(checksum));
    }

    pub(super) fn remove(&mut self, checksum: i64) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(mix(checksum));
    }
}

/// So that two damaged checksums hardly ever make up for each other: by splitmix64's finalizer (Steele et al. 2014).
fn mix(checksum: i64) -> u64 {
    let mut z = checksum.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_covers_table_key_numbers_and_value() {
        let sum = |table, name: &str, part: &str, revision, time, value: &str| {
            checksum(table, (name.as_bytes(), part.as_bytes()), (revision, time), value.as_bytes())
        };
        let all = [
            sum(Table::State, "ab", "c", 1, 2, "v"),
            sum(Table::Counters, "ab", "c", 1, 2, "v"),
            sum(Table::State, "a", "bc", 1, 2, "v"),
            sum(Table::State, "ab", "cv", 1, 2, ""),
            sum(Table::State, "ab", "c", 2, 1, "v"),
            sum(Table::State, "ab", "c", 1, 2, "w"),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn a_digest_forgets_what_is_removed_in_any_order() {
        let mut digest = Digest::default();
        for sum in [5, -7, 9] {
            digest.add(sum);
        }
        for sum in [9, 5, -7] {
            digest.remove(sum);
        }
        assert_eq!(digest, Digest::default());
    }
}
