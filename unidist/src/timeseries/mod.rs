//! Time series in round-robin files (RRD): what they are, how they are stored, read back and drawn.
//!
//! The plain types ([`SeriesSpec`], [`GraphSpec`], [`Table`] and their validation) are always there, so that a
//! program may describe series without linking librrd. With the feature `timeseries` the module also stores, reads
//! and draws, through librrd: the only place that names the crate `rrd`. Every call there blocks on the disk.
//!
//! One invariant: a sample stands on a multiple of its series' interval, and what is not known is unknown, never 0.
//!
#![cfg_attr(feature = "timeseries", doc = "```")]
#![cfg_attr(not(feature = "timeseries"), doc = "```text")]
//! use std::time::Duration;
//! use unidist::timeseries::{Consolidation, FieldSpec, Sample, SeriesFile, SeriesSpec, Window, fetch};
//!
//! let folder = tempfile::tempdir()?;
//! let spec = SeriesSpec::new(folder.path().join("load.rrd"), Duration::from_secs(5), vec![FieldSpec::gauge("load")]);
//! let mut file = SeriesFile::open(&spec, 1_700_000_000)?;
//! file.update_many(&[Sample { time: 1_700_000_000, values: vec![0.5] }])?;
//! let table = fetch(&spec.path, Consolidation::Average, &Window::new(1_699_999_995, 1_700_000_000))?;
//! assert_eq!(table.rows[0].values, [Some(0.5)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod graph_spec;
mod name;
mod rates;
mod spec;
mod structure;
mod table;

#[cfg(feature = "timeseries")]
mod definition;
#[cfg(feature = "timeseries")]
mod draw;
#[cfg(feature = "timeseries")]
mod error;
#[cfg(feature = "timeseries")]
mod file;
#[cfg(feature = "timeseries")]
mod layout;
#[cfg(feature = "timeseries")]
mod read;
#[cfg(feature = "timeseries")]
mod rrdcached;
#[cfg(feature = "timeseries")]
mod undo;
#[cfg(feature = "timeseries")]
mod update;

#[cfg(all(test, feature = "timeseries"))]
mod tests;

pub use graph_spec::{GraphFormat, GraphMethod, GraphSpec};
pub use name::{FIELD_NAME_MAX, field_name_in_file, safe_key};
pub use rates::{Measure, Measures};
pub use spec::{Archive, Consolidation, FieldSpec, FieldType, SeriesSpec, default_archives, validate_rrdcached};
pub use structure::{Column, Definition};
pub use table::{Row, Table, Window, format_number};

#[cfg(feature = "timeseries")]
pub use draw::{draw, draw_to_file};
#[cfg(feature = "timeseries")]
pub use error::SeriesError;
#[cfg(feature = "timeseries")]
pub use file::{Sample, SeriesFile};
#[cfg(feature = "timeseries")]
pub use layout::Stored;
#[cfg(feature = "timeseries")]
pub use read::{fetch, info, last};
#[cfg(feature = "timeseries")]
pub use rrdcached::{CachedBatch, CachedSeries, Rrdcached};
#[cfg(feature = "timeseries")]
pub use undo::{Noted, Undo};
