//! What is known of each series of a run, for `status`.

use std::path::PathBuf;
use std::sync::Arc;

use unidist::timeseries::{GraphSpec, Measures, SeriesSpec};

/// One series, as far as this process stored to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesStatus {
    /// Its file.
    pub path: PathBuf,
    /// Samples in the file.
    pub stored: u64,
    /// Dropped for being older than the newest in the file.
    pub late: u64,
    /// Dropped for having the newest one's time.
    pub repeated: u64,
    /// Dropped because too many waited, or because the helper died of them.
    pub dropped: u64,
    /// When the newest stored sample was taken, seconds since 1970.
    pub last_time: Option<f64>,
    /// The newest stored sample: each field and its value, none if unknown.
    pub last: Vec<(String, Option<f64>)>,
    /// Why storing or drawing fails at the moment.
    pub last_error: Option<String>,
    /// Its graph, the first of several.
    pub graph: Option<Arc<GraphSpec>>,
}

/// All series together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeriesTotals {
    /// Series declared.
    pub series: u64,
    /// Samples in files.
    pub stored: u64,
    /// Samples that wait to be stored.
    pub waiting: u64,
    /// Of these, samples whose file can't be written at the moment.
    pub held: u64,
    /// Dropped for their time.
    pub late: u64,
    /// Dropped for their time.
    pub repeated: u64,
    /// Dropped for want of room.
    pub dropped: u64,
    /// Graphs drawn.
    pub graphs: u64,
    /// How often the helper died and was started again.
    pub restarts: u64,
}

/// A series as the client keeps it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) spec: Arc<SeriesSpec>,
    pub(super) status: SeriesStatus,
    /// The newest sample as it was given, stored or not.
    pub(super) given: Measures,
    /// Which fields ever had a value.
    pub(super) seen: Vec<bool>,
    /// Samples of this run are in its file: when it has to be created again, they are lost.
    pub(super) has_file: bool,
    /// Told once, and again only after it was gone.
    pub(super) told: Told,
}

/// What was warned of already.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) missing: Vec<String>,
    pub(super) kinds: Vec<String>,
    pub(super) late: bool,
    pub(super) repeated: bool,
    pub(super) rounded: bool,
    pub(super) dropped: bool,
}

impl Record {
    pub(super) fn new(spec: Arc<SeriesSpec>) -> Self {
        let status = SeriesStatus { path: spec.path.clone(), ..SeriesStatus::default() };
        let seen = vec![false; spec.fields.len()];
        Record { given: Measures::default(), seen, status, has_file: false, told: Told::default(), spec }
    }

    /// Takes a stored sample as the newest.
    pub(super) fn stored(&mut self, time: f64, values: &[f64]) {
        self.status.last_time = Some(time);
        self.seen.iter_mut().zip(values).for_each(|(seen, value)| *seen |= value.is_finite());
        let known = |value: &f64| Some(*value).filter(|value| value.is_finite());
        if self.status.last.len() == values.len() {
            self.status.last.iter_mut().zip(values).for_each(|((_, last), value)| *last = known(value));
        } else {
            let names = self.spec.fields.iter().map(|field| field.name.clone());
            self.status.last = names.zip(values.iter().map(known)).collect();
        }
    }
}
