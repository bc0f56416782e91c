//! Reading a series back.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rrd::ConsolidationFn;

use super::error::SeriesError;
use super::spec::Consolidation;
use super::structure::Definition;
use super::table::{Row, Table, Window};

/// The most numbers one fetch returns.
const NUMBERS_MAX: u64 = 2_000_000;

/// The rows of a window, from the archive of that consolidation that fits it best. Blocks on the disk.
///
/// The window is first cut to what the file can know: rows older than every archive or newer than the newest sample
/// are not returned.
///
/// # Errors
/// `Missing` without a file; `Invalid` for a window that ends before it begins, would be more than 2 million numbers,
/// or when no archive has that consolidation; `Library` for a file that is not an RRD.
pub fn fetch(path: &Path, consolidation: Consolidation, window: &Window) -> Result<Table, SeriesError> {
    let definition = Definition::read(path)?;
    if window.to < window.from {
        let text = format!("the window ends at {} before it begins at {}; swap them", window.to, window.from);
        return Err(SeriesError::invalid(path, text));
    }
    let spans = definition.archives.iter().filter(|archive| archive.consolidation == consolidation);
    let Some(span) = spans.map(|archive| u64::from(archive.steps) * u64::from(archive.rows) * definition.step).max()
    else {
        let text = format!("no archive keeps {}; choose another or add one", consolidation.as_str());
        return Err(SeriesError::invalid(path, text));
    };
    let step = i64::try_from(definition.step).unwrap_or(i64::MAX);
    let newest = definition.last_update.saturating_sub(definition.last_update.rem_euclid(step));
    let oldest = newest.saturating_sub(i64::try_from(span).unwrap_or(i64::MAX)).max(0);
    let names: Vec<String> = definition.columns.iter().map(|column| column.name.clone()).collect();
    let (from, to) = (window.from.max(oldest), window.to.min(newest));
    if to <= from {
        return Ok(Table { fields: names, step: definition.step, rows: Vec::new() });
    }
    let resolution = window.resolution.unwrap_or(definition.step).max(1);
    let numbers = (to - from).unsigned_abs() / resolution.max(definition.step) * names.len() as u64;
    if numbers > NUMBERS_MAX {
        let text = format!("the window holds {numbers} numbers, more than {NUMBERS_MAX}; ask for a coarser resolution");
        return Err(SeriesError::invalid(path, text));
    }
    let ends = (time_stamp(from), time_stamp(to));
    let data = rrd::ops::fetch::fetch(path, way(consolidation), ends.0, ends.1, Duration::from_secs(resolution))
        .map_err(SeriesError::library("read", path))?;
    let known = |value: &f64| Some(*value).filter(|value| value.is_finite());
    // librrd adds a row after the window when the window ends on one.
    let row_seconds = i64::try_from(data.step().as_secs()).unwrap_or(i64::MAX);
    let rows = data
        .rows()
        .iter()
        .map(|row| Row { time: seconds(row.timestamp()), values: row.as_slice().iter().map(known).collect() })
        .filter(|row| row.time > window.from && row.time.saturating_sub(row_seconds) < to)
        .collect();
    Ok(Table { fields: data.ds_names().to_vec(), step: data.step().as_secs(), rows })
}

/// The newest sample as it was given, not as a rate: its time and the fields in the file's order. Blocks on the disk.
///
/// # Errors
/// `Missing` without a file, `Library` when it is not an RRD.
pub fn last(path: &Path) -> Result<Table, SeriesError> {
    let definition = Definition::read(path)?;
    let row = Row { time: definition.last_update, values: definition.columns.iter().map(|c| c.last).collect() };
    let fields = definition.columns.into_iter().map(|column| column.name).collect();
    Ok(Table { fields, step: definition.step, rows: vec![row] })
}

/// The structure of a file. Blocks on the disk.
///
/// # Errors
/// `Missing` without a file, `Library` when it is not an RRD.
pub fn info(path: &Path) -> Result<Definition, SeriesError> {
    Definition::read(path)
}

/// Tells a file that is not there, can't be read or is of another kind from one that is wrong inside.
pub(super) fn require(path: &Path) -> Result<(), SeriesError> {
    let other = |reason: &str| SeriesError::Library { action: "read", path: path.to_owned(), reason: reason.into() };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SeriesError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(SeriesError::system("read", path)(error)),
    };
    // Opening a pipe would wait for its other end.
    match metadata.file_type() {
        kind if kind.is_dir() => return Err(other("it is a folder, not a round-robin file")),
        kind if !kind.is_file() => return Err(other("it is no file")),
        _ => {}
    }
    let mut cookie = [0; 4];
    let read = File::open(path).and_then(|file| file.read_at(&mut cookie, 0));
    match read.map_err(SeriesError::system("read", path))? {
        4 if cookie == *b"RRD\0" => Ok(()),
        _ => Err(other("it is no round-robin file")),
    }
}

pub(super) fn way(consolidation: Consolidation) -> ConsolidationFn {
    match consolidation {
        Consolidation::Average => ConsolidationFn::Avg,
        Consolidation::Min => ConsolidationFn::Min,
        Consolidation::Max => ConsolidationFn::Max,
        Consolidation::Last => ConsolidationFn::Last,
    }
}

pub(super) fn time_stamp(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.clamp(0, super::layout::TIME_MAX).unsigned_abs())
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
}
