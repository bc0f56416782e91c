//! Series as text for people: aligned columns, local times, `-` for unknown.

use std::path::Path;

use unidist::timeseries::{Column, Definition, Table, format_number};

use super::moment::show_moment;
use crate::logging::for_terminal;
use crate::units::format_duration;

/// Stands for what is unknown.
const UNKNOWN: &str = "-";

/// The rows of a table under the names of its fields.
pub fn table_to_text(table: &Table) -> String {
    let header = std::iter::once("time".to_owned()).chain(table.fields.iter().cloned()).collect();
    let rows = table.rows.iter().map(|row| {
        let values = row.values.iter().map(|value| number(*value));
        std::iter::once(show_moment(row.time)).chain(values).collect()
    });
    aligned(std::iter::once(header).chain(rows).collect())
}

/// The structure of a file: its interval and newest sample, its fields, and what it keeps.
pub fn definition_to_text(path: &Path, definition: &Definition) -> String {
    let mut text = aligned(vec![
        vec!["file".into(), path.display().to_string()],
        vec!["interval".into(), interval(definition.step)],
        vec!["last sample".into(), last_sample(definition)],
    ]);
    let header = ["field", "type", "heartbeat", "min", "max", "last"].map(String::from).to_vec();
    let fields = definition.columns.iter().map(|column: &Column| {
        let kind = column.kind.map_or("COMPUTE", |kind| kind.as_str());
        let limits = [number(column.min), number(column.max), number(column.last)];
        [column.name.clone(), kind.into(), interval(column.heartbeat)].into_iter().chain(limits).collect()
    });
    text.push('\n');
    text.push_str(&aligned(std::iter::once(header).chain(fields).collect()));
    let header = ["archive", "a row", "rows", "reaches back"].map(String::from).to_vec();
    let archives = definition.archives.iter().map(|archive| {
        let seconds = definition.step.saturating_mul(archive.steps.into());
        let reach = interval(seconds.saturating_mul(archive.rows.into()));
        vec![archive.consolidation.as_str().into(), interval(seconds), archive.rows.to_string(), reach]
    });
    text.push('\n');
    text.push_str(&aligned(std::iter::once(header).chain(archives).collect()));
    text
}

/// One line for each file: its interval, newest sample and fields.
pub fn list_to_text(files: &[(&Path, &Definition)]) -> String {
    let rows = files.iter().map(|(path, definition)| {
        let fields: Vec<&str> = definition.columns.iter().map(|column| column.name.as_str()).collect();
        let shown = path.display().to_string();
        vec![shown, interval(definition.step), last_sample(definition), fields.join(" ")]
    });
    aligned(rows.collect())
}

/// Ten digits are enough to look at; the noise of floating point stands behind them.
fn number(value: Option<f64>) -> String {
    let rounded = |value: f64| format!("{value:.9e}").parse().unwrap_or(value);
    value.map_or_else(|| UNKNOWN.into(), |value| format_number(rounded(value)))
}

fn interval(seconds: u64) -> String {
    format_duration(std::time::Duration::from_secs(seconds))
}

fn last_sample(definition: &Definition) -> String {
    // A file that was only created carries a time, but no sample.
    let has_sample = definition.columns.iter().any(|column| column.last.is_some());
    if has_sample { show_moment(definition.last_update) } else { UNKNOWN.into() }
}

/// Columns two blanks apart; no blanks at the end of a line.
fn aligned(rows: Vec<Vec<String>>) -> String {
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| row.iter().map(|cell| for_terminal(cell).into_owned()).collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use unidist::timeseries::{Archive, Consolidation, FieldType, Row};

    #[test]
    fn a_table_is_aligned_and_unknown_is_a_dash() {
        let row = |time, values: &[Option<f64>]| Row { time, values: values.to_vec() };
        let rows = vec![row(5, &[Some(1.5), None]), row(10, &[Some(100.000_000_000_01), Some(2.0)])];
        let text = table_to_text(&Table { fields: vec!["a".into(), "b\u{1b}[1m".into()], step: 5, rows });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("time ") && lines[0].ends_with("  a    b\\x1b[1m"), "{text}");
        assert!(lines[1].starts_with(&show_moment(5)) && lines[1].ends_with("  1.5  -"), "{text}");
        assert!(lines[2].ends_with("  100  2"), "{text}");
    }

    #[test]
    fn a_structure_is_told_with_units() {
        let column = Column {
            name: "load".into(),
            kind: Some(FieldType::Gauge),
            heartbeat: 120,
            min: Some(0.0),
            max: None,
            last: None,
        };
        let definition = Definition {
            step: 5,
            last_update: 5,
            columns: vec![column],
            archives: vec![Archive::new(Consolidation::Max, 12, 60)],
            header_bytes: 0,
        };
        let expected = "\
file         a.rrd
interval     5s
last sample  -

field  type   heartbeat  min  max  last
load   GAUGE  2m         0    -    -

archive  a row  rows  reaches back
MAX      1m     60    1h
";
        assert_eq!(definition_to_text(Path::new("a.rrd"), &definition), expected);
        assert_eq!(list_to_text(&[(Path::new("a.rrd"), &definition)]), "a.rrd  5s  -  load\n");
    }
}
