//! What a series is: its file, interval, fields and archives.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::field_name_in_file;

/// The most fields of one series.
const FIELDS_MAX: usize = 200;

/// The most archives of one series.
const ARCHIVES_MAX: usize = 32;

/// The most bytes that the rows of one file may take: 1 GiB.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 30;

/// One round-robin file: created with the first sample, changed in place when this changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesSpec {
    /// The file, usually `NAME.rrd`; missing folders are created.
    pub path: PathBuf,
    /// Whole seconds between samples, and the RRD step: 1 s to 10 years.
    pub interval: Duration,
    /// What is stored, in this order. At least one, at most 200, with different names.
    pub fields: Vec<FieldSpec>,
    /// What is kept; empty is [`default_archives`] for a new file and leaves an existing file's as they are.
    #[serde(default)]
    pub archives: Vec<Archive>,
    /// A running rrdcached that stores the samples: `unix:/PATH` or `HOST:PORT`. Default: none, they go to the file.
    #[serde(default)]
    pub rrdcached: Option<String>,
}

/// One number of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldSpec {
    /// As the user wrote it, and as results carry it; see [`field_name_in_file`] for its name inside the file.
    pub name: String,
    /// How samples become the stored number. Default: [`FieldType::Gauge`].
    #[serde(rename = "type", default)]
    pub kind: FieldType,
    /// Without a sample for so long the number is unknown, whole seconds. Default: twice the interval, at least 120 s.
    #[serde(default)]
    pub heartbeat: Option<Duration>,
    /// A lower stored number is unknown. Default: none.
    #[serde(default)]
    pub min: Option<f64>,
    /// A higher stored number is unknown. Default: none.
    #[serde(default)]
    pub max: Option<f64>,
}

/// How the samples of a field become the number stored (rrdcreate(1), DST).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum FieldType {
    /// The sample itself.
    #[default]
    Gauge,
    /// Its increase a second; whole numbers. A restart from 0 makes one interval unknown, not a peak.
    Counter,
    /// Its change a second, down too; whole numbers.
    Derive,
    /// The sample divided by the time since the last one: counts that are reset by reading.
    Absolute,
    /// As `Counter`, for numbers with a fraction.
    DCounter,
    /// As `Derive`, for numbers with a fraction.
    DDerive,
}

/// Rows that each sum up some intervals (rrdcreate(1), RRA).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Archive {
    /// How intervals are summed up.
    pub consolidation: Consolidation,
    /// A row is unknown when a larger part of it was: 0 up to, not including, 1. Default: 0.5.
    pub unknown_max: f64,
    /// Intervals in a row, at least 1.
    pub steps: u32,
    /// Rows kept, at least 1.
    pub rows: u32,
}

/// How intervals are summed up in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Consolidation {
    /// Their mean.
    #[default]
    Average,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The newest.
    Last,
}

impl FieldType {
    /// Every type with its name in files and in YAML.
    pub const ALL: [(FieldType, &'static str); 6] = [
        (FieldType::Gauge, "GAUGE"),
        (FieldType::Counter, "COUNTER"),
        (FieldType::Derive, "DERIVE"),
        (FieldType::Absolute, "ABSOLUTE"),
        (FieldType::DCounter, "DCOUNTER"),
        (FieldType::DDerive, "DDERIVE"),
    ];

    /// Its name in files and in YAML: `GAUGE`.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("GAUGE", |(_, name)| name)
    }

    /// The type of that name; letters of either case.
    pub fn from_name(name: &str) -> Option<FieldType> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(kind, _)| *kind)
    }
}

impl Consolidation {
    /// Every way with its name in files and in YAML.
    pub const ALL: [(Consolidation, &'static str); 4] = [
        (Consolidation::Average, "AVERAGE"),
        (Consolidation::Min, "MIN"),
        (Consolidation::Max, "MAX"),
        (Consolidation::Last, "LAST"),
    ];

    /// Its name in files and in YAML: `AVERAGE`.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(way, _)| *way == self).map_or("AVERAGE", |(_, name)| name)
    }

    /// The way of that name; letters of either case.
    pub fn from_name(name: &str) -> Option<Consolidation> {
        Self::ALL.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(way, _)| *way)
    }
}

impl Archive {
    /// Rows that sum up `steps` intervals each, unknown when more than half of them are.
    pub fn new(consolidation: Consolidation, steps: u32, rows: u32) -> Self {
        Archive { consolidation, unknown_max: 0.5, steps, rows }
    }
}

/// What a new file keeps unless told: every interval 86,400 times, and 1,008 rows of ten as average, maximum and
/// minimum, and 8,544 of sixty as average; the ancestor's. At 5 s that is five days, 14 hours and 29 days, 790 kB a field.
pub fn default_archives() -> Vec<Archive> {
    vec![
        Archive::new(Consolidation::Average, 1, 86_400),
        Archive::new(Consolidation::Average, 10, 1_008),
        Archive::new(Consolidation::Max, 10, 1_008),
        Archive::new(Consolidation::Min, 10, 1_008),
        Archive::new(Consolidation::Average, 60, 8_544),
    ]
}

impl FieldSpec {
    /// A field of `kind` with every default.
    pub fn new(name: impl Into<String>, kind: FieldType) -> Self {
        FieldSpec { name: name.into(), kind, heartbeat: None, min: None, max: None }
    }

    /// A GAUGE with every default.
    pub fn gauge(name: impl Into<String>) -> Self {
        Self::new(name, FieldType::Gauge)
    }

    /// The heartbeat that holds in a series of that interval, in seconds.
    pub fn heartbeat_seconds(&self, interval: Duration) -> u64 {
        self.heartbeat.map_or_else(|| interval.as_secs().saturating_mul(2).max(120), |heartbeat| heartbeat.as_secs())
    }

    fn validate(&self) -> Result<(), String> {
        let name = &self.name;
        if name.is_empty() || name.len() > 200 {
            return Err(format!("a field has a name of {} bytes, expected 1 to 200", name.len()));
        }
        if let Some(heartbeat) = self.heartbeat
            && (heartbeat.subsec_nanos() != 0 || !(1..=u64::from(u32::MAX)).contains(&heartbeat.as_secs()))
        {
            return Err(format!(
                "field {name:?}: heartbeat is {} s, expected whole seconds from 1",
                heartbeat.as_secs_f64()
            ));
        }
        for (word, limit) in [("min", self.min), ("max", self.max)] {
            let Some(limit) = limit else { continue };
            if !limit.is_finite() {
                return Err(format!("field {name:?}: {word} is {limit}, expected a number, or none for no limit"));
            }
            let is_whole = limit >= 0.0 && limit.fract() == 0.0 && limit < 9e15;
            if !is_whole && matches!(self.kind, FieldType::Counter | FieldType::Derive | FieldType::Absolute) {
                let kind = self.kind.as_str();
                return Err(format!(
                    "field {name:?}: {word} of a {kind} is {limit}, expected a whole number from 0; \
                     use DCOUNTER or DDERIVE for other limits"
                ));
            }
        }
        match (self.min, self.max) {
            (Some(min), Some(max)) if min >= max => {
                Err(format!("field {name:?}: min {min} is not below max {max}, expected min below max"))
            }
            _ => Ok(()),
        }
    }
}

impl SeriesSpec {
    /// A series with the default archives.
    pub fn new(path: impl Into<PathBuf>, interval: Duration, fields: Vec<FieldSpec>) -> Self {
        SeriesSpec { path: path.into(), interval, fields, archives: Vec::new(), rrdcached: None }
    }

    /// The interval in seconds, at least 1.
    pub fn step(&self) -> i64 {
        i64::try_from(self.interval.as_secs()).unwrap_or(i64::MAX).max(1)
    }

    /// The sample time of a moment: the last multiple of the interval at or before it.
    pub fn floor(&self, time: i64) -> i64 {
        time.saturating_sub(time.rem_euclid(self.step()))
    }

    /// Checks everything that can be checked without the file.
    ///
    /// # Errors
    /// The first mistake: what was found, what is expected and what to do.
    pub fn validate(&self) -> Result<(), String> {
        validate_path(&self.path)?;
        let seconds = self.interval.as_secs();
        if self.interval.subsec_nanos() != 0 || !(1..=315_360_000).contains(&seconds) {
            return Err(format!(
                "the interval is {} s, expected whole seconds from 1; an RRD file keeps nothing shorter",
                self.interval.as_secs_f64()
            ));
        }
        if self.fields.is_empty() || self.fields.len() > FIELDS_MAX {
            return Err(format!("{} fields, expected 1 to {FIELDS_MAX}", self.fields.len()));
        }
        let mut inside = HashSet::new();
        for field in &self.fields {
            field.validate()?;
            if !inside.insert(field_name_in_file(&field.name)) {
                return Err(format!("two fields are named {:?} inside the file; rename one", field.name));
            }
        }
        if let Some(address) = &self.rrdcached {
            validate_rrdcached(address)?;
            // A line of its protocol is at most 4,096 bytes.
            let path = self.path.to_string_lossy();
            if path.len() > 1_000 || path.contains(char::is_control) {
                return Err("the path has a line break or more than 1,000 bytes, which rrdcached can't take".into());
            }
        }
        self.validate_archives()
    }

    fn validate_archives(&self) -> Result<(), String> {
        if self.archives.len() > ARCHIVES_MAX {
            return Err(format!("{} archives, expected at most {ARCHIVES_MAX}", self.archives.len()));
        }
        let mut rows_total = 0_u64;
        for archive in &self.archives {
            if archive.steps == 0 || archive.rows == 0 {
                return Err("an archive has 0 steps or 0 rows, expected at least 1 of each".into());
            }
            if !(0.0..1.0).contains(&archive.unknown_max) {
                return Err(format!(
                    "an archive's unknown part is {}, expected 0 up to, not including, 1",
                    archive.unknown_max
                ));
            }
            rows_total = rows_total.saturating_add(u64::from(archive.rows));
        }
        let bytes = rows_total.saturating_mul(8).saturating_mul(self.fields.len() as u64);
        if bytes > FILE_BYTES_MAX {
            return Err(format!(
                "the archives would take {bytes} bytes, expected at most {FILE_BYTES_MAX}; keep fewer rows"
            ));
        }
        Ok(())
    }
}

/// Checks the address of an rrdcached: `unix:/PATH` or `HOST:PORT`.
///
/// # Errors
/// What was found and what is expected.
pub fn validate_rrdcached(address: &str) -> Result<(), String> {
    let has_port =
        || address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let is_valid = match address.strip_prefix("unix:") {
        Some(path) => path.starts_with('/') && path.len() <= 100,
        None => has_port(),
    };
    match is_valid && !address.contains(char::is_control) {
        true => Ok(()),
        false => Err(format!("rrdcached is at {address:?}, expected unix:/PATH (at most 100 bytes) or HOST:PORT")),
    }
}

/// Refuses paths that librrd or the wire can't carry.
pub(super) fn validate_path(path: &Path) -> Result<(), String> {
    let Some(text) = path.to_str() else {
        return Err(format!("the path {} is not UTF-8; rename the folder or file", path.display()));
    };
    if text.contains('\0') || path.file_name().is_none() {
        return Err(format!("the path {text:?} names no file"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> SeriesSpec {
        SeriesSpec::new("a.rrd", Duration::from_secs(5), vec![FieldSpec::gauge("a")])
    }

    #[test]
    fn a_series_with_defaults_is_valid() {
        assert_eq!(spec().validate(), Ok(()));
        assert_eq!(spec().fields[0].heartbeat_seconds(Duration::from_secs(5)), 120);
        assert_eq!(spec().fields[0].heartbeat_seconds(Duration::from_secs(300)), 600);
    }

    #[test]
    fn a_moment_belongs_to_the_multiple_of_the_interval_before_it() {
        for (time, sample) in [(1_282_115_053, 1_282_115_050), (1_282_115_050, 1_282_115_050), (4, 0), (-1, -5)] {
            assert_eq!(spec().floor(time), sample);
        }
    }

    type Change = fn(&mut SeriesSpec);

    #[test]
    fn every_mistake_is_told_with_its_remedy() {
        let cases: [(&str, Change, &str); 14] = [
            ("address", |s| s.rrdcached = Some("here".into()), "expected unix:/PATH"),
            ("relative", |s| s.rrdcached = Some("unix:run/rrdcached.sock".into()), "expected unix:/PATH"),
            ("port", |s| s.rrdcached = Some("host:99999".into()), "HOST:PORT"),
            ("line", |s| (s.path, s.rrdcached) = ("a\nb".into(), Some("[::1]:42217".into())), "line break"),
            ("path", |s| s.path = "/".into(), "names no file"),
            ("zero", |s| s.interval = Duration::ZERO, "whole seconds from 1"),
            ("part", |s| s.interval = Duration::from_millis(1500), "1.5 s"),
            ("none", |s| s.fields.clear(), "0 fields"),
            ("twice", |s| s.fields.push(FieldSpec::gauge("a")), "rename one"),
            ("limits", |s| (s.fields[0].min, s.fields[0].max) = (Some(5.0), Some(5.0)), "min 5 is not below max 5"),
            ("nan", |s| s.fields[0].max = Some(f64::NAN), "expected a number"),
            (
                "negative",
                |s| (s.fields[0].kind, s.fields[0].min) = (FieldType::Derive, Some(-1.0)),
                "use DCOUNTER or DDERIVE",
            ),
            ("rows", |s| s.archives = vec![Archive::new(Consolidation::Max, 1, 0)], "at least 1"),
            ("size", |s| s.archives = vec![Archive::new(Consolidation::Max, 1, u32::MAX)], "keep fewer rows"),
        ];
        for (name, change, expected) in cases {
            let mut wrong = spec();
            change(&mut wrong);
            let told = wrong.validate().unwrap_err();
            assert!(told.contains(expected), "{name}: {told}");
        }
    }

    #[test]
    fn types_are_known_by_name() {
        for (kind, name) in FieldType::ALL {
            assert_eq!(FieldType::from_name(&name.to_lowercase()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
        assert_eq!(FieldType::from_name("GUAGE"), None);
    }
}
