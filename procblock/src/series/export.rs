//! Everything that a file keeps, archive by archive, in pieces of bounded size.

use std::path::Path;

use unidist::timeseries::{Archive, Definition, Table, Window};

use super::{SeriesClient, SeriesFailure};

/// The most numbers read at once.
const NUMBERS_AT_ONCE: i64 = 200_000;

/// A walk through the rows of one archive, oldest first. Rows from before the file's first known number are left out.
#[derive(Debug)]
pub struct ArchiveRows<'a> {
    client: &'a SeriesClient,
    path: &'a Path,
    archive: &'a Archive,
    /// Seconds of one row.
    seconds: i64,
    /// Everything up to here was read.
    at: i64,
    end: i64,
    rows_at_once: i64,
    has_begun: bool,
}

impl<'a> ArchiveRows<'a> {
    /// The rows of `archive`, one of those of `definition`, which is that of the file at `path`.
    pub fn new(client: &'a SeriesClient, path: &'a Path, definition: &Definition, archive: &'a Archive) -> Self {
        let step = i64::try_from(definition.step).unwrap_or(i64::MAX);
        let seconds = step.saturating_mul(archive.steps.into()).max(1);
        let end = definition.last_update.saturating_sub(definition.last_update.rem_euclid(seconds));
        let at = end.saturating_sub(seconds.saturating_mul(archive.rows.into())).max(0);
        let columns = i64::try_from(definition.columns.len()).unwrap_or(1).max(1);
        let rows_at_once = (NUMBERS_AT_ONCE / columns).max(1);
        ArchiveRows { client, path, archive, seconds, at, end, rows_at_once, has_begun: false }
    }

    /// Seconds of one row.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// As [`SeriesClient::fetch`].
    pub async fn next(&mut self) -> Result<Option<Table>, SeriesFailure> {
        while self.at < self.end {
            let to = self.at.saturating_add(self.seconds.saturating_mul(self.rows_at_once)).min(self.end);
            let window = Window { resolution: Some(self.seconds.unsigned_abs()), ..Window::new(self.at, to) };
            let mut table = self.client.fetch(self.path, self.archive.consolidation, window).await?;
            self.at = to;
            if !self.has_begun {
                let is_known = |row: &unidist::timeseries::Row| row.values.iter().any(Option::is_some);
                let first = table.rows.iter().position(is_known).unwrap_or(table.rows.len());
                table.rows.drain(..first);
            }
            if !table.rows.is_empty() {
                self.has_begun = true;
                return Ok(Some(table));
            }
        }
        Ok(None)
    }
}
