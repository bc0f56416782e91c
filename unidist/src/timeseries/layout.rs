//! What samples become before they are written: rows with a number for each column of the file, at whole multiples of
//! the interval, in order of time.

use rrd::ops::update::Datum;

use super::field_name_in_file;
use super::rates::is_reset;
use super::spec::{FieldType, SeriesSpec};
use super::structure::{Column, Definition};

/// The latest sample time accepted, in the year 5138: far enough, and no sum of times overflows.
pub(super) const TIME_MAX: i64 = 100_000_000_000;

/// What became of samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// They are in the file.
    pub stored: u64,
    /// Older than the newest in the file, which RRD cannot take: dropped.
    pub late: u64,
    /// At the time of the newest in the file: dropped, the first one counts.
    pub repeated: u64,
    /// Numbers with a fraction in a COUNTER or DERIVE: rounded.
    pub rounded: u64,
}

/// How the samples of a series fill the columns of its file, and what the newest one was.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) spec: SeriesSpec,
    pub(super) definition: Definition,
    /// For each column of the file, which field of the series fills it.
    sources: Vec<Option<usize>>,
    /// For each column, the newest sample as it was given; NaN is unknown.
    newest: Vec<f64>,
}

/// Rows for librrd, flat: [`Layout::columns`] datums for each time.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) times: Vec<i64>,
    pub(super) data: Vec<Datum>,
}

impl Layout {
    pub(super) fn new(spec: &SeriesSpec, definition: Definition) -> Self {
        let fields: Vec<String> = spec.fields.iter().map(|field| field_name_in_file(&field.name)).collect();
        let source = |column: &Column| fields.iter().position(|name| *name == column.name);
        Layout {
            sources: definition.columns.iter().map(source).collect(),
            newest: definition.columns.iter().map(|column| column.last.unwrap_or(f64::NAN)).collect(),
            definition,
            spec: spec.clone(),
        }
    }

    /// How many numbers a row has.
    pub(super) fn columns(&self) -> usize {
        self.sources.len()
    }

    /// Room for so many.
    pub(super) fn rows(&self, count: usize) -> Rows {
        Rows { times: Vec::with_capacity(count), data: Vec::with_capacity(count * self.columns()) }
    }

    /// Appends the rows for one sample, or counts why there are none.
    pub(super) fn plan(&mut self, time: i64, values: &[f64], rows: &mut Rows, stored: &mut Stored) {
        let time = self.spec.floor(time);
        let newest = self.definition.last_update;
        if time == newest {
            stored.repeated += 1;
            return;
        }
        if time < newest || !(1..=TIME_MAX).contains(&time) {
            stored.late += 1;
            return;
        }
        let start = rows.data.len();
        let mut has_reset = false;
        for ((column, source), last) in self.definition.columns.iter().zip(&self.sources).zip(&self.newest) {
            let value = value_of(source, values);
            match column.kind {
                Some(kind) => {
                    has_reset |= kind == FieldType::Counter && is_reset(*last, value);
                    let (datum, was_rounded) = datum(kind, value);
                    stored.rounded += u64::from(was_rounded);
                    rows.data.push(datum);
                }
                // Computed by librrd itself: it takes no value.
                None => rows.data.push(Datum::Unspecified),
            }
        }
        if has_reset {
            self.hide_reset(time, start, values, rows);
        }
        for (newest, source) in self.newest.iter_mut().zip(&self.sources) {
            *newest = value_of(source, values);
        }
        rows.times.push(time);
        self.definition.last_update = time;
        stored.stored += 1;
    }

    /// Makes the interval that ends at `time` unknown for the counters that were restarted in it, and only that one:
    /// a row one second earlier in which they are unknown lets the next interval begin from the sample itself. At an
    /// interval of 1 s there is no room for it, and two intervals are unknown.
    fn hide_reset(&self, time: i64, start: usize, values: &[f64], rows: &mut Rows) {
        let has_room = self.spec.step() > 1 && self.definition.last_update < time - 1;
        let mut marker: Vec<Datum> = rows.data.get(start..).unwrap_or_default().to_vec();
        let row = rows.data.get_mut(start..).unwrap_or_default();
        let changes =
            marker.iter_mut().zip(row).zip(&self.definition.columns).zip(self.newest.iter().zip(&self.sources));
        for (((earlier, later), column), (last, source)) in changes {
            match column.kind {
                Some(FieldType::Counter) if is_reset(*last, value_of(source, values)) => {
                    *if has_room { earlier } else { later } = Datum::Unspecified;
                }
                // Counted in the earlier row already.
                Some(FieldType::Absolute) if has_room && *later != Datum::Unspecified => *later = Datum::Int(0),
                _ => {}
            }
        }
        if has_room {
            rows.times.push(time - 1);
            rows.data.splice(start..start, marker);
        }
    }
}

fn value_of(source: &Option<usize>, values: &[f64]) -> f64 {
    source.and_then(|index| values.get(index)).copied().unwrap_or(f64::NAN)
}

/// A number in the form that is written fastest.
fn plain(value: f64) -> Datum {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, from 0 to 2^53")]
    let whole = value as u64;
    #[expect(clippy::cast_precision_loss, reason = "compared with what it came from")]
    let is_whole = (0.0..=9_007_199_254_740_992.0).contains(&value) && whole as f64 == value;
    if is_whole { Datum::Int(whole) } else { Datum::Float(value) }
}

/// A number as librrd accepts it for that type, and whether it had to be rounded.
fn datum(kind: FieldType, value: f64) -> (Datum, bool) {
    if !value.is_finite() {
        return (Datum::Unspecified, false);
    }
    match kind {
        FieldType::Gauge | FieldType::Absolute | FieldType::DCounter | FieldType::DDerive => (plain(value), false),
        FieldType::Counter if !(0.0..18_446_744_073_709_551_616.0).contains(&value) => (Datum::Unspecified, false),
        // -0.0 would be written "-0", which a COUNTER refuses.
        FieldType::Counter | FieldType::Derive => (plain(value.round() + 0.0), value.fract() != 0.0),
    }
}
