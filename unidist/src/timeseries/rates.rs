//! What a sample makes of its series: the number that the file will hold for each field, known without reading the file.
//!
//! A GAUGE is stored as it is; of the other types the file holds the rate since the sample before (rrdcreate(1), DST).

use super::spec::{FieldSpec, FieldType, SeriesSpec};

/// How a field stands at a sample.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Measure {
    /// The file holds this number.
    Known(f64),
    /// The file holds no number.
    Unknown,
    /// Only the file knows: it may hold an earlier sample that was not seen here.
    #[default]
    Unseen,
}

/// The newest sample of a series, as its file holds it. It sees the samples one after the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measures {
    /// Seconds since 1970, a multiple of the interval; none before the first sample.
    pub time: Option<i64>,
    /// One for each field, in its order.
    pub values: Vec<Measure>,
    last: Vec<f64>,
}

impl Measures {
    /// Takes a sample: its moment in seconds since 1970 and a value for each field, not finite if unknown. One that is
    /// not newer than the one before is left out, as the file leaves it out.
    pub fn take(&mut self, spec: &SeriesSpec, time: i64, values: &[f64]) {
        let time = spec.floor(time);
        let before = self.time;
        if before.is_some_and(|before| time <= before) {
            return;
        }
        let is_first = before.is_none();
        if is_first {
            self.values = vec![Measure::Unseen; spec.fields.len()];
            self.last = vec![f64::NAN; spec.fields.len()];
        }
        let fields = spec.fields.iter().zip(values);
        for (((field, value), last), measure) in fields.zip(&mut self.last).zip(&mut self.values) {
            let step = before.map(|before| Step { seconds: time - before, last: *last, value: *value });
            *measure = of_field(spec, field, *value, step);
            *last = *value;
        }
        self.time = Some(time);
    }
}

/// From one sample to the next.
#[derive(Clone, Copy)]
struct Step {
    seconds: i64,
    last: f64,
    value: f64,
}

fn of_field(spec: &SeriesSpec, field: &FieldSpec, value: f64, step: Option<Step>) -> Measure {
    let number = if field.kind == FieldType::Gauge {
        value
    } else {
        let Some(step) = step else { return Measure::Unseen };
        let is_gap = step.seconds.unsigned_abs() > field.heartbeat_seconds(spec.interval);
        if is_gap { f64::NAN } else { rate(field.kind, step) }
    };
    let is_within = field.min.is_none_or(|min| number >= min) && field.max.is_none_or(|max| number <= max);
    if number.is_finite() && is_within { Measure::Known(number) } else { Measure::Unknown }
}

#[expect(clippy::cast_precision_loss, reason = "seconds between two samples")]
fn rate(kind: FieldType, Step { seconds, last, value }: Step) -> f64 {
    let seconds = seconds as f64;
    match kind {
        FieldType::Gauge => value,
        FieldType::Absolute => value / seconds,
        FieldType::Derive => (value.round() - last.round()) / seconds,
        FieldType::DDerive => (value - last) / seconds,
        FieldType::Counter if is_reset(last, value) || value < 0.0 => f64::NAN,
        FieldType::Counter => overflowed(value.round() - last.round()) / seconds,
        FieldType::DCounter if value < last => f64::NAN,
        FieldType::DCounter => (value - last) / seconds,
    }
}

/// The increase of a counter that may have begun again at 0 after 2^32 or 2^64.
fn overflowed(difference: f64) -> f64 {
    const SMALL: f64 = 4_294_967_296.0;
    const LARGE: f64 = 18_446_744_073_709_551_616.0;
    match difference {
        under if under < -SMALL => under + LARGE,
        under if under < 0.0 => under + SMALL,
        other => other,
    }
}

/// A counter that went down without having been near 2^32 or 2^64 was restarted: librrd would add 2^32 and store a
/// peak. The top and bottom quarter are believed to be an overflow.
pub(super) fn is_reset(last: f64, value: f64) -> bool {
    let overflowed = |limit: f64| last < limit && last > 0.75 * limit && value < 0.25 * limit;
    value < last && !overflowed(4_294_967_296.0) && !overflowed(18_446_744_073_709_551_616.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spec(kind: FieldType, max: Option<f64>) -> SeriesSpec {
        let field = FieldSpec { kind, min: Some(0.0), max, ..FieldSpec::gauge("a") };
        SeriesSpec::new("/a.rrd", Duration::from_secs(5), vec![field])
    }

    fn seen(spec: &SeriesSpec, samples: &[(i64, f64)]) -> Measure {
        let mut measures = Measures::default();
        samples.iter().for_each(|(time, value)| measures.take(spec, *time, &[*value]));
        measures.values[0]
    }

    #[test]
    fn each_type_is_what_the_file_holds() {
        use FieldType::{Absolute, Counter, DCounter, DDerive, Derive, Gauge};
        use Measure::{Known, Unknown, Unseen};
        let nan = f64::NAN;
        for (kind, samples, expected) in [
            (Gauge, &[(10, 7.0)][..], Known(7.0)),
            (Gauge, &[(10, -7.0)], Unknown),
            (Gauge, &[(10, nan)], Unknown),
            (Derive, &[(10, 100.0)], Unseen),
            (Derive, &[(12, 100.0), (17, 150.0)], Known(10.0)),
            (Derive, &[(10, 100.0), (20, 150.0)], Known(5.0)),
            (Derive, &[(10, 100.0), (15, 90.0)], Unknown),
            (Derive, &[(10, 100.0), (15, nan)], Unknown),
            (Derive, &[(10, nan), (15, 100.0)], Unknown),
            (Derive, &[(10, 100.0), (15, nan), (20, 100.0)], Unknown),
            (Derive, &[(10, 100.0), (135, 200.0)], Unknown),
            (Derive, &[(10, 1.4), (15, 10.6)], Known(2.0)),
            (DDerive, &[(10, 1.5), (15, 4.0)], Known(0.5)),
            (Counter, &[(10, 100.0), (15, 150.0)], Known(10.0)),
            (Counter, &[(10, 100.0), (15, 50.0)], Unknown),
            (Counter, &[(10, 4_294_967_290.0), (15, 4.0)], Known(2.0)),
            (DCounter, &[(10, 1.0), (15, 2.5)], Known(0.3)),
            (DCounter, &[(10, 2.0), (15, 1.5)], Unknown),
            (Absolute, &[(10, 3.0), (15, 20.0)], Known(4.0)),
        ] {
            assert_eq!(seen(&spec(kind, None), samples), expected, "{kind:?} {samples:?}");
        }
        assert_eq!(seen(&spec(Derive, Some(9.0)), &[(10, 0.0), (15, 50.0)]), Unknown);
    }

    #[test]
    fn what_is_not_newer_is_left_out() {
        let spec = spec(FieldType::Derive, None);
        for late in [(16, 900.0), (14, 900.0), (3, 0.0)] {
            assert_eq!(seen(&spec, &[(10, 0.0), (15, 50.0), late]), Measure::Known(10.0));
        }
        let mut measures = Measures::default();
        measures.take(&spec, 13, &[1.0]);
        assert_eq!(measures.time, Some(10));
    }
}
