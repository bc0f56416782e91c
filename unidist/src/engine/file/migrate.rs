//! From the tables of an older version to those of this one, when a store is opened.

use rusqlite::{Connection, TransactionBehavior};

use super::encode;
use super::store::{Fault, Summary, write_summary};

/// Brings the tables from one version to the next, inside the transaction that also raises the version.
pub(super) type Migration = fn(&Connection) -> Result<(), rusqlite::Error>;

/// `MIGRATIONS[n]` leads from version `n + 1` to `n + 2`.
pub(super) const MIGRATIONS: &[Migration] = &[];

/// Brings a store of version `from` to the one after the last of the migrations, whole or not at all.
pub(super) fn migrate(connection: &mut Connection, from: u32, migrations: &[Migration]) -> Result<(), Fault> {
    let done = usize::try_from(from).unwrap_or(0).saturating_sub(1);
    if done >= migrations.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in migrations.iter().skip(done) {
        migration(&transaction)?;
    }
    let version = migrations.len() + 1;
    let text: Vec<u8> =
        transaction.query_row("SELECT value FROM meta WHERE name = x'73756d6d617279'", [], |row| row.get(0))?;
    let mut summary: Summary = encode::parse(&text).map_err(Fault::Damaged)?;
    summary.version = u32::try_from(version).unwrap_or(u32::MAX);
    write_summary(&transaction, &summary)?;
    transaction.execute_batch(&format!("PRAGMA user_version = {version}"))?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_of_version_1() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let columns = "name BLOB, part BLOB, revision INTEGER, time INTEGER, value BLOB, sum INTEGER";
        let tables = format!("CREATE TABLE meta ({columns}, PRIMARY KEY (name, part)); CREATE TABLE t (x)");
        connection.execute_batch(&tables).unwrap();
        write_summary(&connection, &Summary { version: 1, revision: 7, ..Summary::default() }).unwrap();
        connection
    }

    fn versions(connection: &Connection) -> (u32, u32, u64) {
        let text: Vec<u8> = connection.query_row("SELECT value FROM meta", [], |row| row.get(0)).unwrap();
        let summary: Summary = encode::parse(&text).unwrap();
        let header = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        (header, summary.version, summary.revision)
    }

    #[test]
    fn migrations_that_are_missing_run_once_and_in_order() {
        let migrations: &[Migration] = &[
            |connection| connection.execute_batch("INSERT INTO t VALUES (2)"),
            |connection| connection.execute_batch("INSERT INTO t SELECT max(x) + 1 FROM t"),
        ];
        let mut connection = store_of_version_1();
        migrate(&mut connection, 1, migrations).unwrap();
        migrate(&mut connection, 3, migrations).unwrap();
        assert_eq!(versions(&connection), (3, 3, 7));
        let sum: i64 = connection.query_row("SELECT sum(x) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 5);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_store_as_it_was() {
        let migrations: &[Migration] = &[
            |connection| connection.execute_batch("INSERT INTO t VALUES (2)"),
            |connection| connection.execute_batch("INSERT INTO none VALUES (2)"),
        ];
        let mut connection = store_of_version_1();
        assert!(migrate(&mut connection, 1, migrations).is_err());
        assert_eq!(versions(&connection), (0, 1, 7));
        let rows: i64 = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0);
    }
}
