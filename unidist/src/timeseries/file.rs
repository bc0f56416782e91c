//! One file that samples are stored in: created when missing, rebuilt with its history when its fields change.

use std::fs::{self, Metadata};
use std::io::Read;
use std::iter::Peekable;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rrd::ops::create::{self, DataSource, DataSourceName};

use super::error::SeriesError;
use super::field_name_in_file;
use super::layout::{Layout, Rows, Stored};
use super::read::{time_stamp, way};
use super::spec::{Archive, FILE_BYTES_MAX, FieldSpec, FieldType, SeriesSpec, default_archives};
use super::structure::{Column, Definition};
use super::undo::Noted;
use super::update;

/// The most rows handed to librrd in one call; each is two small allocations.
const ROWS_IN_CALL_MAX: usize = 10_000;

/// One moment's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Seconds since 1970; stored at the multiple of the interval at or before it.
    pub time: i64,
    /// One for each field of the series, in its order; anything not finite is unknown.
    pub values: Vec<f64>,
}

/// An open series. Nothing is cached but the structure: every update is in the file when it returns, so the process
/// may be killed at any time.
#[derive(Debug)]
pub struct SeriesFile {
    layout: Layout,
    identity: (u64, u64),
    is_created: bool,
}

impl SeriesFile {
    /// Opens the file of `spec`; creates it, ready for samples from `first` (seconds since 1970), when it is missing;
    /// rebuilds it with its history when fields, interval or archives differ. A field that is no longer declared
    /// keeps its history and gets unknown. Blocks on the disk.
    ///
    /// # Errors
    /// `Invalid` when `spec` is; `System` or `Library` when the file can't be created, read or replaced.
    pub fn open(spec: &SeriesSpec, first: i64) -> Result<Self, SeriesError> {
        spec.validate().map_err(|text| SeriesError::invalid(&spec.path, text))?;
        let mut is_created = false;
        let definition = match Definition::read(&spec.path) {
            Ok(definition) if definition.holds(spec) => definition,
            Ok(definition) => rebuild(spec, &definition)?,
            Err(SeriesError::Missing { .. }) => {
                is_created = true;
                create_new(spec, first)?
            }
            Err(error) => return Err(error),
        };
        let metadata = fs::metadata(&spec.path).map_err(SeriesError::system("read", &spec.path))?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(SeriesFile { layout: Layout::new(spec, definition), identity, is_created })
    }

    /// What it was opened with.
    pub fn spec(&self) -> &SeriesSpec {
        &self.layout.spec
    }

    /// The newest sample's time, in seconds since 1970.
    pub fn last_update(&self) -> i64 {
        self.layout.definition.last_update
    }

    /// Bytes before the first row: everything that an update changes besides rows.
    pub fn header_bytes(&self) -> u64 {
        self.layout.definition.header_bytes
    }

    /// Whether the file was missing and was created, since this was asked last: at the opening, or by an update.
    pub fn take_created(&mut self) -> bool {
        std::mem::take(&mut self.is_created)
    }

    /// Whether the path still names the file that was opened.
    pub fn is_current(&self) -> bool {
        fs::metadata(&self.layout.spec.path).is_ok_and(|metadata| self.is(&metadata))
    }

    /// Whether this is the file that was opened.
    pub(super) fn is(&self, metadata: &Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == self.identity
    }

    /// Stores samples, oldest first; see [`SeriesFile::update`]. Blocks on the disk.
    ///
    /// # Errors
    /// As [`SeriesFile::update`].
    pub fn update_many(&mut self, samples: &[Sample]) -> Result<Stored, SeriesError> {
        self.update(samples.iter().map(|sample| (sample.time, sample.values.as_slice())))
    }

    /// Stores samples in one librrd call for each 10,000. Late and repeated ones are counted, not errors; missing
    /// values are unknown. Opens anew when the file was replaced or removed. Blocks on the disk.
    ///
    /// # Errors
    /// `Library` or `System` when the file can't be written; samples before the failing one may be stored, so that
    /// storing all of them again afterwards is right.
    pub fn update<'a, I>(&mut self, samples: I) -> Result<Stored, SeriesError>
    where
        I: IntoIterator<Item = (i64, &'a [f64])>,
    {
        let mut samples = samples.into_iter().peekable();
        if !self.is_current() {
            let first = samples.peek().map_or(self.layout.definition.last_update, |(time, _)| *time);
            *self = Self::open(&self.layout.spec, first)?;
        }
        self.append(samples)
    }

    /// As [`SeriesFile::update`], after its header was noted: what the note has seen is not looked at again.
    ///
    /// # Errors
    /// As [`SeriesFile::update`].
    pub fn update_noted<'a, I>(&mut self, samples: I, noted: &Noted) -> Result<Stored, SeriesError>
    where
        I: IntoIterator<Item = (i64, &'a [f64])>,
    {
        if noted.is_current() { self.append(samples.into_iter().peekable()) } else { self.update(samples) }
    }

    fn append<'a, I>(&mut self, mut samples: Peekable<I>) -> Result<Stored, SeriesError>
    where
        I: Iterator<Item = (i64, &'a [f64])>,
    {
        let mut stored = Stored::default();
        while samples.peek().is_some() {
            let mut rows = self.layout.rows(samples.size_hint().0.min(ROWS_IN_CALL_MAX));
            for (time, values) in samples.by_ref() {
                self.layout.plan(time, values, &mut rows, &mut stored);
                if rows.times.len() >= ROWS_IN_CALL_MAX {
                    break;
                }
            }
            if let Err(error) = self.write(&rows) {
                // What is in the file is not known any more: the next update reads it.
                self.identity = (0, 0);
                return Err(error);
            }
        }
        Ok(stored)
    }

    fn write(&self, rows: &Rows) -> Result<(), SeriesError> {
        if rows.times.is_empty() {
            return Ok(());
        }
        update::store(&self.layout.spec.path, rows, self.layout.columns())
    }
}

fn create_new(spec: &SeriesSpec, first: i64) -> Result<Definition, SeriesError> {
    let path = &spec.path;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(SeriesError::system("create the folder", folder))?;
    }
    let archives = if spec.archives.is_empty() { default_archives() } else { spec.archives.clone() };
    let start = spec.floor(first).saturating_sub(spec.step());
    let sources = data_sources(spec, &[])?;
    let kept = rows_kept(path, &archives)?;
    create::create(path, time_stamp(start), spec.interval, true, None, &[], &sources, &kept)
        .map_err(|error| reason_for(error, "create", path, bytes_of(&archives, sources.len())))?;
    Definition::read(path)
}

fn bytes_of(archives: &[Archive], columns: usize) -> u64 {
    archives.iter().map(|archive| u64::from(archive.rows)).sum::<u64>().saturating_mul(8 * columns as u64)
}

/// librrd says nothing when it can't write a new file: then a file of that size is tried, for the system's reason.
fn reason_for(error: rrd::error::RrdError, action: &'static str, path: &Path, bytes: u64) -> SeriesError {
    let error = SeriesError::library(action, path)(error);
    if !matches!(&error, SeriesError::Library { reason, .. } if reason.is_empty()) {
        return error;
    }
    let part = beside(path, ".part");
    let written = fs::File::create(&part)
        .and_then(|mut file| std::io::copy(&mut std::io::repeat(0).take(bytes.min(FILE_BYTES_MAX)), &mut file));
    let _ = fs::remove_file(&part);
    match written {
        Err(source) => SeriesError::system(action, path)(source),
        Ok(_) => SeriesError::Library { action, path: path.to_owned(), reason: "librrd gives no reason".into() },
    }
}

/// A hidden name in the same folder.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ending);
    path.with_file_name(name)
}

/// Writes a new file with the new structure and the old one's history beside it, then renames it over the old one:
/// at every moment one whole file is there.
fn rebuild(spec: &SeriesSpec, old: &Definition) -> Result<Definition, SeriesError> {
    let path = &spec.path;
    let new = beside(path, ".new");
    let _ = fs::remove_file(&new);
    let archives = if spec.archives.is_empty() { &old.archives } else { &spec.archives };
    let sources = data_sources(spec, &old.columns)?;
    let kept = rows_kept(path, archives)?;
    // In the middle of a new interval librrd would count the part before as 0.
    let start = spec.floor(old.last_update);
    create::create(&new, time_stamp(start), spec.interval, false, None, &[path.as_path()], &sources, &kept)
        .map_err(|error| reason_for(error, "change the fields of", path, bytes_of(archives, sources.len())))?;
    let finish = || {
        fs::set_permissions(&new, fs::metadata(path)?.permissions())?;
        fs::File::open(&new)?.sync_all()?;
        fs::rename(&new, path)
    };
    finish().map_err(|error| {
        let _ = fs::remove_file(&new);
        SeriesError::system("replace", path)(error)
    })?;
    Definition::read(path)
}

/// The series' fields, and behind them the file's fields that are no longer declared.
fn data_sources(spec: &SeriesSpec, old: &[Column]) -> Result<Vec<DataSource>, SeriesError> {
    let mut sources = Vec::new();
    let mut names = Vec::new();
    for field in &spec.fields {
        let name = field_name_in_file(&field.name);
        let heartbeat = field.heartbeat_seconds(spec.interval);
        sources.push(data_source(spec, &FieldSpec { name: name.clone(), ..field.clone() }, heartbeat)?);
        names.push(name);
    }
    for column in old.iter().filter(|column| !names.contains(&column.name)) {
        let Some(kind) = column.kind else {
            let text = format!("{} is computed by librrd and can't be kept; give the series another path", column.name);
            return Err(SeriesError::invalid(&spec.path, text));
        };
        let field = FieldSpec { name: column.name.clone(), kind, heartbeat: None, min: column.min, max: column.max };
        sources.push(data_source(spec, &field, column.heartbeat)?);
    }
    Ok(sources)
}

fn data_source(spec: &SeriesSpec, field: &FieldSpec, heartbeat: u64) -> Result<DataSource, SeriesError> {
    let invalid = |text: &dyn std::fmt::Display| SeriesError::invalid(&spec.path, format!("{}: {text}", field.name));
    let name = DataSourceName::new(field.name.as_str()).map_err(|error| invalid(&error))?;
    let heartbeat = u32::try_from(heartbeat).map_err(|_| invalid(&"the heartbeat is too long"))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "validated as whole, from 0 to 9e15")]
    let whole = |limit: Option<f64>| limit.filter(|limit| *limit >= 0.0).map(|limit| limit as u64);
    Ok(match field.kind {
        FieldType::Gauge => DataSource::gauge(&name, heartbeat, field.min, field.max),
        FieldType::DCounter => DataSource::dcounter(&name, heartbeat, field.min, field.max),
        FieldType::DDerive => DataSource::dderive(&name, heartbeat, field.min, field.max),
        FieldType::Counter => DataSource::counter(&name, heartbeat, whole(field.min), whole(field.max)),
        FieldType::Derive => DataSource::derive(&name, heartbeat, whole(field.min), whole(field.max)),
        FieldType::Absolute => DataSource::absolute(&name, heartbeat, whole(field.min), whole(field.max)),
    })
}

fn rows_kept(path: &Path, archives: &[Archive]) -> Result<Vec<create::Archive>, SeriesError> {
    let kept = |archive: &Archive| {
        create::Archive::new(way(archive.consolidation), archive.unknown_max, archive.steps, archive.rows)
            .map_err(|error| SeriesError::invalid(path, error.to_string()))
    };
    archives.iter().map(kept).collect()
}
