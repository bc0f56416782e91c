//! Rows read back from a series, and their forms as JSON and CSV.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Which part of a series is read: both ends in seconds since 1970, and how coarse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Rows after this moment.
    pub from: i64,
    /// Rows up to and with this moment.
    pub to: i64,
    /// Seconds a row should sum up at least; the nearest archive is read. Default: the finest.
    pub resolution: Option<u64>,
}

impl Window {
    /// The finest rows after `from` up to `to`.
    pub fn new(from: i64, to: i64) -> Self {
        Window { from, to, resolution: None }
    }
}

/// Rows of a series, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Names of the fields as they stand in the file, in its order.
    pub fields: Vec<String>,
    /// Seconds between rows.
    pub step: u64,
    /// One for each step.
    pub rows: Vec<Row>,
}

/// The numbers of one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The end of the row's time, in seconds since 1970.
    pub time: i64,
    /// One for each field; none is unknown.
    pub values: Vec<Option<f64>>,
}

impl Table {
    /// `{"step": 5, "fields": ["a"], "rows": [[1700000000, 1.5], [1700000005, null]]}`.
    pub fn to_json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let values = row.values.iter().map(|value| value.map_or(Value::Null, Value::from));
                Value::Array(std::iter::once(Value::from(row.time)).chain(values).collect())
            })
            .collect();
        json!({"step": self.step, "fields": self.fields, "rows": rows})
    }

    /// A header line `time,a,b` and one line for each row; unknown is empty. RFC 4180 with `\n`.
    pub fn to_csv(&self) -> String {
        let mut text = String::from("time");
        for field in &self.fields {
            text.push(',');
            push_cell(&mut text, field);
        }
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "{}", row.time);
            for value in &row.values {
                text.push(',');
                if let Some(value) = value {
                    text.push_str(&format_number(*value));
                }
            }
            text.push('\n');
        }
        text
    }

    /// Drops the rows at either end in which every field is unknown.
    pub fn trimmed(mut self) -> Self {
        let is_known = |row: &Row| row.values.iter().any(Option::is_some);
        let end = self.rows.iter().rposition(is_known).map_or(0, |last| last + 1);
        self.rows.truncate(end);
        let start = self.rows.iter().position(is_known).unwrap_or(0);
        self.rows.drain(..start);
        self
    }
}

/// A number with as many digits as it takes to read it back, in scientific form where that is much shorter.
pub fn format_number(value: f64) -> String {
    let is_plain = value == 0.0 || (1e-5..1e16).contains(&value.abs());
    if is_plain { format!("{value}") } else { format!("{value:e}") }
}

/// Adds a cell of CSV, quoted where RFC 4180 asks for it.
fn push_cell(text: &mut String, cell: &str) {
    if cell.contains([',', '"', '\n', '\r']) {
        let _ = write!(text, "\"{}\"", cell.replace('"', "\"\""));
    } else {
        text.push_str(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |time, values: &[Option<f64>]| Row { time, values: values.to_vec() };
        let rows = vec![row(5, &[None, None]), row(10, &[Some(1.5), None]), row(15, &[None, None])];
        Table { fields: vec!["a".into(), "b,\"c\"".into()], step: 5, rows }
    }

    #[test]
    fn unknown_is_null_in_json_and_empty_in_csv() {
        let json = r#"{"step":5,"fields":["a","b,\"c\""],"rows":[[10,1.5,null]]}"#;
        assert_eq!(table().trimmed().to_json().to_string(), json);
        assert_eq!(table().to_csv(), "time,a,\"b,\"\"c\"\"\"\n5,,\n10,1.5,\n15,,\n");
    }

    #[test]
    fn numbers_read_back_and_stay_short() {
        for (value, text) in [(93.0, "93"), (0.1, "0.1"), (-0.0, "-0"), (1e300, "1e300"), (2.5e-9, "2.5e-9")] {
            assert_eq!(format_number(value), text);
            assert_eq!(text.parse::<f64>().unwrap(), value);
        }
    }

    #[test]
    fn a_table_without_known_values_trims_to_nothing() {
        let mut unknown = table();
        unknown.rows.remove(1);
        assert!(unknown.trimmed().rows.is_empty());
    }
}
