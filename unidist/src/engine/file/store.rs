//! The only module that names SQLite: a database in WAL mode with one connection, which nobody else can open.
//!
//! Every write is one transaction, synced before `write` returns. The summary row is written with each.

use std::io::ErrorKind;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::encode::{self, Batch, Step};
use super::folder::{FolderLock, create_private};
use super::migrate;
use super::reserve::Reserve;
use super::row::{Cells, Digest, Key, TABLES, Table, checksum};
use crate::error::Error;

/// The version of the tables. A store of an older one is migrated when it is opened.
pub(super) const VERSION: u32 = migrate::MIGRATIONS.len() as u32 + 1;
/// `unid`, in the database's header.
const APPLICATION_ID: i64 = 0x756e_6964;
const PAGE_BYTES: u64 = 4_096;
/// Pages in the write-ahead log after which it is copied into the database: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4_096;
/// Enough for the inner pages of a million rows; everything is in memory once more, so leaves are read again at most by
/// a change.
const CACHE_KIBIBYTES: u32 = 4_096;
/// A log that was larger for one write is cut to this.
const LOG_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// Free pages are given back to the file system when there are more than this and they are a fourth of the file.
const FREE_PAGES_MAX: i64 = 1_024;
/// Pages given back at a time, while writers wait.
const VACUUM_PAGES: u32 = 512;
const BACKUP_PAGES: i32 = 256;

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The disk or the size limit refuses to take more.
    Full { is_limit: bool },
    /// The file is damaged; the text says what is.
    Damaged(String),
    /// It is not ours, or newer than this program; the text says which and the remedy.
    Unfit(String),
    /// The system refuses; its own text.
    System(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Fault::Full { is_limit: false },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Fault::Damaged(error.to_string()),
            Some(_) => Fault::System(error.to_string()),
            None => Fault::Damaged(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Fault::Full { is_limit: false }
            }
            _ => Fault::System(error.to_string()),
        }
    }
}

/// What the store says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) version: u32,
    pub(super) revision: u64,
    pub(super) message_number: u64,
    pub(super) fence: u64,
    pub(super) digests: [Digest; TABLES],
}

pub(super) struct Store {
    connection: Connection,
    pub(super) summary: Summary,
    sql: [Sql; TABLES],
    pages_max: u64,
    reserve: Reserve,
    /// Released after the connection is closed.
    lock: Option<FolderLock>,
}

/// The statements of one table.
struct Sql {
    sum: String,
    put: String,
    delete: String,
    clear: String,
    get: String,
    named: String,
    all: String,
    all_backwards: String,
}

impl Sql {
    fn new(table: Table) -> Self {
        let name = table.name();
        let columns = "name, part, revision, time, value, sum";
        Sql {
            sum: format!("SELECT sum FROM {name} WHERE name = ?1 AND part = ?2"),
            put: format!("INSERT OR REPLACE INTO {name} ({columns}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            delete: format!("DELETE FROM {name} WHERE name = ?1 AND part = ?2 RETURNING sum"),
            clear: format!("DELETE FROM {name} WHERE name = ?1 RETURNING sum"),
            get: format!("SELECT {columns} FROM {name} WHERE name = ?1 AND part = ?2"),
            named: format!("SELECT {columns} FROM {name} WHERE name = ?1 ORDER BY part"),
            all: format!("SELECT {columns} FROM {name} ORDER BY name, part"),
            all_backwards: format!("SELECT {columns} FROM {name} ORDER BY name DESC, part DESC"),
        }
    }
}

/// From which end a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forwards,
    Backwards,
}

/// A row that was read: its cells are not checked yet.
pub(super) struct RawRow<'a> {
    pub(super) name: &'a [u8],
    pub(super) part: &'a [u8],
    pub(super) numbers: (i64, i64),
    pub(super) value: &'a [u8],
    pub(super) sum: i64,
}

impl<'a> RawRow<'a> {
    fn read(row: &'a Row<'_>) -> Result<Self, rusqlite::Error> {
        let blob = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_blob()?);
        Ok(RawRow {
            name: blob(0)?,
            part: blob(1)?,
            numbers: (row.get(2)?, row.get(3)?),
            value: blob(4)?,
            sum: row.get(5)?,
        })
    }

    /// Whether its checksum is right.
    pub(super) fn is_whole(&self, table: Table) -> bool {
        checksum(table, (self.name, self.part), self.numbers, self.value) == self.sum
    }

    pub(super) fn cells(&self) -> Cells {
        Cells { revision: self.numbers.0, time: self.numbers.1, value: self.value.to_vec() }
    }
}

impl Store {
    /// Opens the database, which is made when the file is empty, and reads its summary. `bytes_max` bounds it.
    pub(super) fn open(lock: FolderLock, bytes_max: u64) -> Result<Self, Fault> {
        let mut store = Self::over(&lock.store_path(), bytes_max)?;
        store.lock = Some(lock);
        if store.is_empty()? {
            store.create()?;
        }
        store.check_header()?;
        store.summary = store.read_summary()?;
        migrate::migrate(&mut store.connection, store.summary.version, migrate::MIGRATIONS)?;
        store.summary.version = VERSION;
        Ok(store)
    }

    /// Opens a store whose summary may be lost: then its version is 0.
    pub(super) fn open_damaged(lock: FolderLock) -> Result<Self, Fault> {
        let mut store = Self::over(&lock.store_path(), u64::MAX)?;
        store.lock = Some(lock);
        store.summary = store.read_summary().unwrap_or_default();
        Ok(store)
    }

    /// Makes a store at a path of its own.
    pub(super) fn create_at(path: &Path) -> Result<Self, Fault> {
        create_private(path)?;
        let mut store = Self::over(path, u64::MAX)?;
        store.create()?;
        store.summary = store.read_summary()?;
        Ok(store)
    }

    fn over(path: &Path, bytes_max: u64) -> Result<Self, Fault> {
        let connection = connect(path)?;
        let pages_max = (bytes_max / PAGE_BYTES).clamp(64, u64::from(u32::MAX - 2));
        let sql = Table::ALL.map(Sql::new);
        connection.query_row(&format!("PRAGMA max_page_count = {pages_max}"), [], |_| Ok(()))?;
        let reserve = Reserve::open(path)?;
        Ok(Store { connection, summary: Summary::default(), sql, pages_max, reserve, lock: None })
    }

    fn is_empty(&self) -> Result<bool, Fault> {
        Ok(self.number("PRAGMA page_count")? == 0 || self.number("SELECT count(*) FROM sqlite_schema")? == 0)
    }

    fn number(&self, sql: &str) -> Result<i64, Fault> {
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    fn create(&mut self) -> Result<(), Fault> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for table in Table::ALL.into_iter().chain([Table::Meta]) {
            transaction.execute_batch(&format!(
                "CREATE TABLE {} (name BLOB NOT NULL, part BLOB NOT NULL, revision INTEGER NOT NULL, time INTEGER NOT \
                 NULL, value BLOB NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (name, part)) WITHOUT ROWID",
                table.name()
            ))?;
        }
        transaction
            .execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}"))?;
        write_summary(&transaction, &Summary { version: VERSION, ..Summary::default() })?;
        Ok(transaction.commit()?)
    }

    fn check_header(&self) -> Result<(), Fault> {
        if self.number("PRAGMA application_id")? != APPLICATION_ID {
            return Err(Fault::Unfit("it is a database of another program: name another folder".to_owned()));
        }
        let version = self.number("PRAGMA user_version")?;
        // SQLite reads on, and would say so at the first write.
        if self.connection.is_readonly("main")? {
            let reason = "it can't be written to: this user may not, or the file's header is damaged".to_owned();
            return Err(Fault::Unfit(reason));
        }
        if version > i64::from(VERSION) {
            let reason =
                format!("it was written by a newer version (format {version}, this one knows {VERSION}): update");
            return Err(Fault::Unfit(reason));
        }
        Ok(())
    }

    fn read_summary(&self) -> Result<Summary, Fault> {
        let damaged = |what: &str| Fault::Damaged(format!("the summary of the store {what}"));
        let mut statement = self.connection.prepare("SELECT name, part, revision, time, value, sum FROM meta")?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Err(damaged("is missing")) };
        let raw = RawRow::read(row).map_err(|_| damaged("has cells of the wrong kind"))?;
        if !raw.is_whole(Table::Meta) {
            return Err(damaged("does not fit its checksum"));
        }
        let summary: Summary = encode::parse(raw.value).map_err(|_| damaged("can't be read"))?;
        if i64::from(summary.version) != self.number("PRAGMA user_version")? {
            return Err(damaged("is of another version than the file's header"));
        }
        if rows.next()?.is_some() {
            return Err(damaged("is there twice"));
        }
        Ok(summary)
    }

    /// What SQLite itself finds wrong: pages lost or used twice, keys out of order.
    pub(super) fn structure_faults(&self) -> Result<Vec<String>, Fault> {
        let mut statement = self.connection.prepare("PRAGMA quick_check(20)")?;
        let texts = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(texts.into_iter().filter(|text| text != "ok").collect())
    }

    /// Calls `visit` with each row of the table, in order; a text is returned for what can't be read.
    pub(super) fn each_row(
        &self,
        table: Table,
        direction: Direction,
        mut visit: impl FnMut(&RawRow<'_>),
    ) -> Result<(), Fault> {
        let Some(sql) = self.sql.get(table.index()) else { return Ok(()) };
        let text = if direction == Direction::Forwards { &sql.all } else { &sql.all_backwards };
        let mut statement = self.connection.prepare(text)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            visit(&RawRow::read(row).map_err(|error| Fault::Damaged(error.to_string()))?);
        }
        Ok(())
    }

    /// The row, if it is there; damaged when its checksum is wrong.
    pub(super) fn row(&self, key: &Key) -> Result<Option<Cells>, Fault> {
        let Some(sql) = self.sql.get(key.table.index()) else { return Ok(None) };
        let mut statement = self.connection.prepare_cached(&sql.get)?;
        let mut rows = statement.query(params![key.name, key.part])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let raw = RawRow::read(row)?;
        if raw.is_whole(key.table) {
            return Ok(Some(raw.cells()));
        }
        Err(Fault::Damaged(format!("the row {} of {} does not fit its checksum", key.describe(), key.table.name())))
    }

    /// The rows of this name, with the second part of their keys, in order.
    pub(super) fn rows_named(&self, table: Table, name: &str) -> Result<Vec<(Vec<u8>, Cells)>, Fault> {
        let Some(sql) = self.sql.get(table.index()) else { return Ok(Vec::new()) };
        let mut statement = self.connection.prepare_cached(&sql.named)?;
        let mut rows = statement.query(params![name.as_bytes()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let raw = RawRow::read(row)?;
            if !raw.is_whole(table) {
                return Err(Fault::Damaged(format!("a row of {name:?} in {} does not fit its checksum", table.name())));
            }
            found.push((raw.part.to_vec(), raw.cells()));
        }
        Ok(found)
    }

    /// Writes the batch, whole or not at all; it is on disk when this returns.
    pub(super) fn write(&mut self, batch: Batch) -> Result<(), Fault> {
        let mut summary = self.summary;
        summary.revision = summary.revision.max(batch.revision);
        summary.message_number = summary.message_number.max(batch.message_number);
        summary.fence = summary.fence.max(batch.fence);
        let pages = batch.bytes() / PAGE_BYTES;
        let digests = summary.digests;
        let mut written = self.transact(&batch, &mut summary);
        if matches!(written, Err(Fault::Full { .. })) && self.empty_log() {
            summary.digests = digests;
            written = self.transact(&batch, &mut summary);
        }
        match written {
            Ok(()) => {
                self.summary = summary;
                Ok(())
            }
            Err(Fault::Full { .. }) => Err(Fault::Full { is_limit: self.is_at_limit(pages) }),
            Err(fault) => Err(fault),
        }
    }

    /// Whether about so many pages more are too many; 16 for those that the tables need to point to them.
    fn is_at_limit(&self, pages: u64) -> bool {
        self.number("PRAGMA page_count").is_ok_and(|count| count.cast_unsigned() + pages + 16 >= self.pages_max)
    }

    /// Copies the write-ahead log into the database and gives its space back; false when there is no space even for
    /// that, or nothing to give.
    fn empty_log(&self) -> bool {
        let emptied =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0));
        emptied.unwrap_or(false)
    }

    fn transact(&mut self, batch: &Batch, summary: &mut Summary) -> Result<(), Fault> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for step in &batch.steps {
            match step {
                Step::Rows(rows) => {
                    for (key, cells) in rows {
                        let index = key.table.index();
                        let (Some(sql), Some(digest)) = (self.sql.get(index), summary.digests.get_mut(index)) else {
                            continue;
                        };
                        write_row(&transaction, sql, digest, key, cells.as_ref())?;
                    }
                }
                Step::Clear(table, name) => {
                    let (Some(sql), Some(digest)) =
                        (self.sql.get(table.index()), summary.digests.get_mut(table.index()))
                    else {
                        continue;
                    };
                    let mut statement = transaction.prepare_cached(&sql.clear)?;
                    let mut rows = statement.query(params![name.as_bytes()])?;
                    while let Some(row) = rows.next()? {
                        digest.remove(row.get(0)?);
                    }
                }
            }
        }
        write_summary(&transaction, summary)?;
        let pages: i64 = transaction.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?;
        self.reserve.hold(pages.cast_unsigned() * PAGE_BYTES)?;
        Ok(transaction.commit()?)
    }

    /// Gives some free pages back to the file system when there are many; true when there are more.
    pub(super) fn shrink(&mut self) -> Result<bool, Fault> {
        let free = self.number("PRAGMA freelist_count")?;
        if free <= FREE_PAGES_MAX || free * 4 < self.number("PRAGMA page_count")? {
            return Ok(false);
        }
        // Each row that the statement returns is a page; without asking for them nothing happens.
        let mut statement = self.connection.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(true)
    }

    /// Copies the database as it is into a new file. It is not synced.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), Fault> {
        let mut target = Connection::open(path)?;
        target.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF")?;
        let backup = Backup::new(&self.connection, &mut target)?;
        loop {
            match backup.step(BACKUP_PAGES)? {
                StepResult::Done => return Ok(()),
                _ => continue,
            }
        }
    }

    /// Copies the write-ahead log into the database and removes it.
    pub(super) fn close(self) -> Result<(), Fault> {
        self.connection.close().map_err(|(_, error)| Fault::from(error))
    }

    /// Leaves the write-ahead log as it is when the database is closed: nothing is written.
    pub(super) fn close_untouched(self) {
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }

    /// Notes in the folder that it has a store.
    pub(super) fn mark(&self) -> Result<(), Error> {
        self.lock.as_ref().map_or(Ok(()), FolderLock::mark)
    }
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(64);
    // On a database that has pages already it would write to it and change nothing.
    let is_new = std::fs::metadata(path).is_ok_and(|file| file.len() == 0);
    let vacuum = if is_new { "PRAGMA auto_vacuum = INCREMENTAL;" } else { "" };
    // Exclusive before the first look: then the index of the log is in memory, and there is no file for it that a full
    // disk could cut under a memory mapping.
    connection.execute_batch(&format!(
        "PRAGMA locking_mode = EXCLUSIVE; {vacuum} PRAGMA cache_size = -{CACHE_KIBIBYTES}; PRAGMA \
         temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL; \
         PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = \
         {LOG_BYTES_MAX}"
    ))?;
    Ok(connection)
}

fn write_row(
    connection: &Connection,
    sql: &Sql,
    digest: &mut Digest,
    key: &Key,
    cells: Option<&Cells>,
) -> Result<(), Fault> {
    let Some(cells) = cells else {
        let mut statement = connection.prepare_cached(&sql.delete)?;
        let mut rows = statement.query(params![key.name, key.part])?;
        while let Some(row) = rows.next()? {
            digest.remove(row.get(0)?);
        }
        return Ok(());
    };
    let mut before = connection.prepare_cached(&sql.sum)?;
    if let Some(sum) = before.query_row(params![key.name, key.part], |row| row.get(0)).optional()? {
        digest.remove(sum);
    }
    let sum = checksum(key.table, (&key.name, &key.part), (cells.revision, cells.time), &cells.value);
    let mut put = connection.prepare_cached(&sql.put)?;
    put.execute(params![key.name, key.part, cells.revision, cells.time, cells.value, sum])?;
    digest.add(sum);
    Ok(())
}

pub(super) fn write_summary(connection: &Connection, summary: &Summary) -> Result<(), Fault> {
    let value = serde_json::to_vec(summary).map_err(|error| Fault::System(error.to_string()))?;
    let sum = checksum(Table::Meta, (b"summary", b""), (0, 0), &value);
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO meta (name, part, revision, time, value, sum) VALUES (?1, x'', 0, 0, ?2, ?3)",
    )?;
    statement.execute(params![b"summary".as_slice(), value, sum])?;
    Ok(())
}
