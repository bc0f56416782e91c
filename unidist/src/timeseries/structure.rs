//! What an existing file holds.

use serde::{Deserialize, Serialize};

use super::spec::{Archive, FieldType};

/// The structure of a file and its newest sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Seconds between samples.
    pub step: u64,
    /// The newest sample, in seconds since 1970.
    pub last_update: i64,
    /// The file's fields, in its order.
    pub columns: Vec<Column>,
    /// What the file keeps.
    pub archives: Vec<Archive>,
    /// Bytes before the first row.
    pub header_bytes: u64,
}

/// A field of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// Its type; none for one that librrd computes or that is unknown here.
    pub kind: Option<FieldType>,
    /// Without a sample for so many seconds it is unknown.
    pub heartbeat: u64,
    /// Lower is unknown.
    pub min: Option<f64>,
    /// Higher is unknown.
    pub max: Option<f64>,
    /// The newest sample as it was given; none is unknown.
    pub last: Option<f64>,
}
