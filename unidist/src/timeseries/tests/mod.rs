//! Files and pictures as others see them: the system's own `rrdtool` reads what was written here.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod drawing;
mod storing;
mod undoing;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Archive, Consolidation, FieldSpec, FieldType, Sample, SeriesSpec};

/// A multiple of 5, 60 and 300.
const START: i64 = 1_700_000_100;

/// What `rrdtool` prints.
fn rrdtool(arguments: &[&str]) -> String {
    let output = Command::new("rrdtool").args(arguments).env("TZ", "UTC").output().expect("rrdtool is installed");
    assert!(output.status.success(), "rrdtool {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("rrdtool prints text")
}

/// The rows that `rrdtool fetch` prints for a window, as (time, numbers).
fn fetched(path: &Path, from: i64, to: i64) -> Vec<(i64, Vec<Option<f64>>)> {
    let text = rrdtool(&["fetch", path.to_str().unwrap(), "AVERAGE", "-s", &from.to_string(), "-e", &to.to_string()]);
    let row = |line: &str| {
        let (time, values) = line.split_once(':')?;
        let known = |value: &str| value.parse::<f64>().ok().filter(|value| value.is_finite());
        Some((time.parse().ok()?, values.split_whitespace().map(known).collect()))
    };
    text.lines().filter_map(row).filter(|(time, _)| *time <= to).collect()
}

/// The numbers of the first field, by `rrdtool`.
fn column(path: &Path, from: i64, to: i64) -> Vec<Option<f64>> {
    fetched(path, from, to).into_iter().map(|(_, values)| values[0]).collect()
}

fn small(path: &Path, fields: Vec<FieldSpec>) -> SeriesSpec {
    let archives = vec![Archive::new(Consolidation::Average, 1, 100), Archive::new(Consolidation::Max, 10, 20)];
    SeriesSpec { archives, ..SeriesSpec::new(path, Duration::from_secs(5), fields) }
}

fn one(path: &Path, kind: FieldType) -> SeriesSpec {
    small(path, vec![FieldSpec::new("n", kind)])
}

fn samples(values: &[f64]) -> Vec<Sample> {
    (0..).zip(values).map(|(index, value)| Sample { time: START + index * 5, values: vec![*value] }).collect()
}
