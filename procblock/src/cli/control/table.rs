//! Columns of text for people.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::logging::for_terminal;
use crate::units::format_duration;

/// Rows under a heading, columns as wide as needed; no terminal acts on what they hold.
pub(in crate::cli) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(in crate::cli) fn new(heading: &[&str]) -> Self {
        Table { rows: vec![heading.iter().map(ToString::to_string).collect()] }
    }

    pub(in crate::cli) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| for_terminal(&cell).into_owned()).collect());
    }

    pub(in crate::cli) fn to_text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |cell: Option<&String>| cell.map_or(0, |cell| cell.chars().count());
        let widths: Vec<usize> =
            (0..columns).map(|column| self.rows.iter().map(|row| width(row.get(column))).max().unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Seconds since 1970 as local time, `2010-08-18 09:04:08`; `-` for none.
pub(in crate::cli) fn time(seconds: Option<f64>) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "checked by jiff: out of range is an error")]
    let time = seconds.and_then(|seconds| Timestamp::from_millisecond((seconds * 1e3) as i64).ok());
    time.map_or_else(|| "-".into(), |time| time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Seconds as a duration in at most two units, `-` for none.
pub(super) fn duration(seconds: Option<f64>) -> String {
    let Some(duration) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else {
        return "-".into();
    };
    let rounded = match duration.as_secs() {
        0 => Duration::from_micros(u64::from(duration.subsec_micros()) / 10 * 10),
        seconds @ 1..60 => Duration::from_millis(seconds * 1000 + u64::from(duration.subsec_millis()) / 10 * 10),
        seconds @ 60..3600 => Duration::from_secs(seconds),
        seconds @ 3600..86_400 => Duration::from_secs(seconds / 60 * 60),
        seconds => Duration::from_secs(seconds / 3600 * 3600),
    };
    format_duration(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", "FILE"]);
        table.add(["ü".into(), "/x\u{1b}[2J".into()]);
        table.add(["longer name".into()]);
        assert_eq!(table.to_text(), "NAME         FILE\nü            /x\\x1b[2J\nlonger name\n");
    }

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (0.0, "0s"),
            (0.000_123, "0.12ms"),
            (0.012_345, "12.34ms"),
            (5.256, "5.25s"),
            (65.9, "1m5s"),
            (3661.0, "1h1m"),
            (90_000.0, "1d1h"),
            (-1.0, "-"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(duration(Some(seconds)), text);
        }
        assert_eq!((duration(None), time(None)), ("-".into(), "-".into()));
    }
}
