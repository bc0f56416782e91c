//! The way from run-threads, pages and commands to procblock-series.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use unidist::Stop;
use unidist::timeseries::{
    Consolidation, Definition, GraphFormat, GraphSpec, Measures, SeriesSpec, Table, Window, validate_rrdcached,
};

use super::driver;
use super::failure::SeriesFailure;
use super::helper::Reply;
use super::pending::{Entry, Pending};
use super::protocol::{Answer, Request, Source};
use super::status::{Record, SeriesStatus, SeriesTotals};
use crate::value::{Map, Value};

/// A sample is on its way to the helper after at most this, while the helper keeps up.
pub const FLUSH_WINDOW: Duration = Duration::from_secs(1);

/// So many samples do not wait for the window: they are on their way 20 ms later.
pub const FLUSH_SAMPLES: usize = 1_000;

/// After a quiet time the first sample waits only for others of the same moment.
const GATHER: Duration = Duration::from_millis(20);

/// The most series, graphs that wait and questions that wait.
const SERIES_MAX: usize = 100_000;
const GRAPHS_MAX: usize = 10_000;
const QUESTIONS_MAX: usize = 1_000;

/// A declared series: what samples are stored to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Series {
    number: u32,
    spec: Arc<SeriesSpec>,
}

impl Series {
    /// What it was declared as.
    pub fn spec(&self) -> &SeriesSpec {
        &self.spec
    }
}

/// Stores samples and draws graphs through procblock-series, which is started with the first of them. A clone is the
/// same client. Await [`SeriesClient::shutdown`] before the process ends: dropping the last clone only lets a thread
/// store what waits, for as long as the process lives.
#[derive(Debug, Clone)]
pub struct SeriesClient {
    shared: Arc<Shared>,
    _last: Arc<Last>,
}

#[derive(Debug)]
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.stop(Duration::from_secs(10));
    }
}

/// What the client and its thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) executable: PathBuf,
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
    /// Requested when the thread has ended.
    pub(super) ended: Stop,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) pending: Pending,
    pub(super) records: Vec<Record>,
    by_path: HashMap<PathBuf, u32>,
    /// The rrdcached of files that are not declared.
    read_through: Option<String>,
    pub(super) graphs: IndexMap<PathBuf, Graph>,
    pub(super) questions: VecDeque<Question>,
    pub(super) totals: SeriesTotals,
    /// When what waits is to be sent; none when nothing waits.
    pub(super) flush_at: Option<Instant>,
    pub(super) last_flush: Option<Instant>,
    /// When held samples are tried again.
    pub(super) retry_at: Option<Instant>,
    /// How long the last ones were left alone.
    pub(super) retry_after: Duration,
    /// A stop was asked for, and this is its deadline.
    pub(super) stop_by: Option<Instant>,
    /// Graphs that still wait are given up then.
    pub(super) graphs_until: Option<Instant>,
    /// Why graphs can't be drawn, by path.
    pub(super) graph_errors: HashMap<PathBuf, String>,
    /// Series whose file can't be written, and why.
    pub(super) failing: BTreeMap<u32, String>,
    /// Files of which it was told at the start that they can't be written.
    pub(super) announced: HashSet<PathBuf>,
    /// Samples that were not stored when the thread ended.
    pub(super) lost_at_end: usize,
    pub(super) helper_id: Option<u32>,
    has_thread: bool,
}

/// A graph to be drawn when the samples before it are stored.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    pub(super) series: u32,
    pub(super) spec: Arc<GraphSpec>,
    pub(super) now: i64,
    pub(super) mark: u64,
}

/// Something to be answered when the samples before it are stored.
#[derive(Debug)]
pub(super) struct Question {
    /// None asks only that the samples are stored.
    pub(super) request: Option<Request>,
    pub(super) mark: u64,
    pub(super) answer: oneshot::Sender<Result<Reply, SeriesFailure>>,
}

impl SeriesClient {
    /// A client of the helper at that path; nothing is started yet.
    pub fn new(executable: PathBuf) -> Self {
        let shared = Arc::new(Shared { executable, state: Mutex::default(), wake: Condvar::new(), ended: Stop::new() });
        SeriesClient { _last: Arc::new(Last(shared.clone())), shared }
    }

    /// A client of the `procblock-series` beside the running program.
    ///
    /// # Errors
    /// When the running program's path is not known.
    pub fn beside_current() -> std::io::Result<Self> {
        Ok(Self::new(std::env::current_exe()?.with_file_name("procblock-series")))
    }

    /// Reads files that no series is declared for through the rrdcached at that address, `unix:/PATH` or `HOST:PORT`:
    /// what it holds of them is written first.
    ///
    /// # Errors
    /// The address is none.
    pub fn read_through(&self, rrdcached: Option<String>) -> Result<(), SeriesFailure> {
        if let Some(address) = &rrdcached {
            validate_rrdcached(address).map_err(SeriesFailure::invalid)?;
        }
        self.shared.state.lock().read_through = rrdcached;
        Ok(())
    }

    fn source(&self, path: &Path) -> Source {
        let state = self.shared.state.lock();
        let number = state.by_path.get(path).and_then(|number| state.records.get(*number as usize));
        let rrdcached = number.map_or_else(|| state.read_through.clone(), |record| record.spec.rrdcached.clone());
        Source { path: path.to_owned(), rrdcached }
    }

    /// Makes a series known. The same description again is the same series; another one for the same file takes the
    /// file over, with a warning. Touches no file.
    ///
    /// # Errors
    /// When the description is wrong, or there are 100,000 series.
    pub fn declare(&self, spec: SeriesSpec) -> Result<Series, SeriesFailure> {
        let path = spec.path.display();
        spec.validate().map_err(|text| SeriesFailure::invalid(format!("series {path}: {text}")))?;
        let mut state = self.shared.state.lock();
        if let Some(number) = state.by_path.get(&spec.path).copied()
            && let Some(record) = state.records.get(number as usize)
        {
            if *record.spec == spec {
                return Ok(Series { number, spec: record.spec.clone() });
            }
            log::warn!("series {path} is declared again, differently: the newer declaration changes its file");
        }
        let number = u32::try_from(state.records.len()).unwrap_or(u32::MAX);
        if state.records.len() >= SERIES_MAX {
            let text = format!("series {path}: there are {SERIES_MAX} series already; use fewer keys");
            return Err(SeriesFailure::invalid(text));
        }
        let spec = Arc::new(spec);
        state.by_path.insert(spec.path.clone(), number);
        state.records.push(Record::new(spec.clone()));
        Ok(Series { number, spec })
    }

    /// Warns of a file that can't be written, before the first sample; the same is not told again with that.
    /// Touches no file. Blocks for a few system calls.
    pub fn announce(&self, path: &Path) {
        if let Some(why) = super::unwritable(path)
            && self.shared.state.lock().announced.insert(path.to_owned())
        {
            log::warn!("the series {} can't be stored: {why}; samples wait until it can", path.display());
        }
    }

    /// Stores one value for each field of the series, in its order; what is not finite is unknown. `time` is in
    /// seconds since 1970. Never blocks; when too much waits, the oldest samples are dropped, counted and told.
    pub fn store(&self, series: &Series, time: f64, values: &[f64]) {
        let width = u32::try_from(series.spec.fields.len()).unwrap_or(u32::MAX);
        let entry = Entry { series: series.number, width, time };
        let mut state = self.shared.state.lock();
        if let Some(record) = state.records.get_mut(series.number as usize) {
            record.given.take(&series.spec, super::pending::whole_seconds(time), values);
        }
        let was_empty = state.pending.len() == 0;
        let dropped = if values.len() == width as usize {
            state.pending.push(entry, values)
        } else {
            let padded: Vec<f64> =
                values.iter().copied().chain(std::iter::repeat(f64::NAN)).take(width as usize).collect();
            state.pending.push(entry, &padded)
        };
        for series in dropped {
            state.dropped(series, 1, "too many samples wait");
        }
        if was_empty {
            state.flush_at = Some(state.next_flush());
            self.shared.start(&mut state);
            self.shared.wake.notify_one();
        } else if state.pending.len() == FLUSH_SAMPLES {
            // The rest of a burst comes along: the more samples of a file together, the faster.
            let soon = Instant::now() + GATHER;
            if state.flush_at.is_none_or(|at| at > soon) {
                state.flush_at = Some(soon);
                self.shared.wake.notify_one();
            }
        }
    }

    /// Stores a script's result: the declared fields by name, everything else in it is ignored. A field that is not
    /// there, or is no number, is unknown; it is warned of once, a field that never came with the nearest key.
    pub fn store_result(&self, series: &Series, time: f64, result: &Map) {
        let values: Vec<f64> =
            series.spec.fields.iter().map(|field| result.get(&field.name).map_or(f64::NAN, number)).collect();
        if values.iter().any(|value| value.is_nan()) {
            self.tell_missing(series, result);
        }
        self.store(series, time, &values);
    }

    fn tell_missing(&self, series: &Series, result: &Map) {
        let mut state = self.shared.state.lock();
        let Some(record) = state.records.get_mut(series.number as usize) else { return };
        for (field, seen) in series.spec.fields.iter().zip(&record.seen) {
            let name = &field.name;
            let path = series.spec.path.display();
            match result.get(name) {
                None if !seen && !record.told.missing.contains(name) => {
                    let hint = nearest(name, result).map(|key| format!("; did you mean {key:?}?")).unwrap_or_default();
                    log::warn!("series {path}: the result has no {name:?}, stored as unknown{hint}");
                    record.told.missing.push(name.clone());
                }
                Some(value) if number(value).is_nan() && !value.is_null() && !record.told.kinds.contains(name) => {
                    log::warn!("series {path}: {name:?} is {}, not a number, stored as unknown", kind(value));
                    record.told.kinds.push(name.clone());
                }
                _ => {}
            }
        }
    }

    /// Draws a graph of the series to the graph's path when the samples stored before are in the file. Of several
    /// for one path only the newest is drawn. Never blocks.
    pub fn graph(&self, series: &Series, spec: Arc<GraphSpec>, time: f64) {
        let mut state = self.shared.state.lock();
        if state.graphs.len() >= GRAPHS_MAX && !state.graphs.contains_key(&spec.path) {
            return;
        }
        let mark = state.pending.mark();
        let now = super::pending::whole_seconds(time);
        if let Some(record) = state.records.get_mut(series.number as usize) {
            record.status.graph.get_or_insert_with(|| Arc::clone(&spec));
        }
        state.graphs.insert(spec.path.clone(), Graph { series: series.number, spec, now, mark });
        self.shared.start(&mut state);
        self.shared.wake.notify_one();
    }

    /// Rows of a file. What was stored before is in it.
    ///
    /// # Errors
    /// When the file is missing or no RRD, the window makes no sense, or the helper fails.
    pub async fn fetch(
        &self,
        path: &Path,
        consolidation: Consolidation,
        window: Window,
    ) -> Result<Table, SeriesFailure> {
        self.ask_value(Request::Fetch { series: self.source(path), consolidation, window }).await
    }

    /// The newest sample of a file as it was given, one row. What was stored before is in it.
    ///
    /// # Errors
    /// As [`SeriesClient::fetch`].
    pub async fn last(&self, path: &Path) -> Result<Table, SeriesFailure> {
        self.ask_value(Request::Last { series: self.source(path) }).await
    }

    /// The structure of a file.
    ///
    /// # Errors
    /// As [`SeriesClient::fetch`].
    pub async fn info(&self, path: &Path) -> Result<Definition, SeriesFailure> {
        self.ask_value(Request::Info { series: self.source(path) }).await
    }

    /// A picture of any window of a file. What was stored before is in it.
    ///
    /// # Errors
    /// As [`SeriesClient::fetch`], or when the graph makes no sense.
    pub async fn graph_bytes(
        &self,
        path: &Path,
        graph: GraphSpec,
        window: Window,
        format: GraphFormat,
    ) -> Result<Vec<u8>, SeriesFailure> {
        let request = Request::Picture { series: self.source(path), graph, window, format };
        match self.ask(Some(request)).await? {
            Reply::Picture(bytes) => Ok(bytes),
            Reply::Json(_) => Err(SeriesFailure::helper("procblock-series answered with something else")),
        }
    }

    /// Waits until everything stored before is in its file, or held because its file can't be written.
    ///
    /// # Errors
    /// When the helper can't be started.
    pub async fn flush(&self) -> Result<(), SeriesFailure> {
        self.ask(None).await.map(|_| ())
    }

    async fn ask_value<T: serde::de::DeserializeOwned>(&self, request: Request) -> Result<T, SeriesFailure> {
        match self.ask(Some(request)).await? {
            Reply::Json(Answer::Result(value)) => {
                serde_json::from_value(value).map_err(|error| SeriesFailure::helper(error.to_string()))
            }
            _ => Err(SeriesFailure::helper("procblock-series answered with something else")),
        }
    }

    async fn ask(&self, request: Option<Request>) -> Result<Reply, SeriesFailure> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.shared.state.lock();
            if state.stop_by.is_some() {
                return Err(SeriesFailure::helper("the time series are being closed"));
            }
            if state.questions.len() >= QUESTIONS_MAX {
                let text = format!("{QUESTIONS_MAX} questions for time series wait; ask less often");
                return Err(SeriesFailure::helper(text));
            }
            let mark = state.pending.mark();
            state.questions.push_back(Question { request, mark, answer });
            self.shared.start(&mut state);
            self.shared.wake.notify_one();
        }
        answered.await.unwrap_or_else(|_| Err(SeriesFailure::helper("the time series are being closed")))
    }

    /// Stores what waits and ends the helper, within `limit`; true when everything is in its file. After the limit
    /// the helper goes on with what it was given, alone.
    pub async fn shutdown(&self, limit: Duration) -> bool {
        self.shared.stop(limit);
        self.shared.ended.requested().await;
        self.shared.state.lock().lost_at_end == 0
    }

    /// The newest sample given to a series, as its file will hold it.
    pub fn newest(&self, series: &Series) -> Measures {
        let state = self.shared.state.lock();
        state.records.get(series.number as usize).map(|record| record.given.clone()).unwrap_or_default()
    }

    /// A series of this process, by its file.
    pub fn find(&self, is_wanted: impl Fn(&Path) -> bool) -> Option<Series> {
        let state = self.shared.state.lock();
        let mut records = state.by_path.iter().filter(|(path, _)| is_wanted(path));
        let (_, number) = records.next()?;
        let record = state.records.get(*number as usize)?;
        Some(Series { number: *number, spec: record.spec.clone() })
    }

    /// Every series of this process.
    pub fn status(&self) -> Vec<SeriesStatus> {
        self.shared.state.lock().records.iter().map(|record| record.status.clone()).collect()
    }

    /// All series together.
    pub fn totals(&self) -> SeriesTotals {
        let state = self.shared.state.lock();
        let held = state.pending.held() as u64;
        let series = state.records.len() as u64;
        SeriesTotals { series, held, waiting: state.pending.len() as u64 + held, ..state.totals }
    }

    /// The helper's process, while there is one.
    pub fn helper_id(&self) -> Option<u32> {
        self.shared.state.lock().helper_id
    }
}

impl Shared {
    /// Starts the thread with the first thing it has to do.
    fn start(self: &Arc<Self>, state: &mut State) {
        if state.has_thread || state.stop_by.is_some() {
            return;
        }
        let shared = self.clone();
        match std::thread::Builder::new().name("series".into()).spawn(move || driver::run(&shared)) {
            Ok(_) => state.has_thread = true,
            Err(error) => log::error!("cannot start the thread of the time series: {error}"),
        }
    }

    fn stop(&self, limit: Duration) {
        let mut state = self.state.lock();
        if state.stop_by.is_none() {
            state.stop_by = Instant::now().checked_add(limit);
        }
        if !state.has_thread {
            self.ended.request();
        }
        self.wake.notify_one();
    }
}

impl State {
    fn next_flush(&self) -> Instant {
        let soon = Instant::now() + GATHER;
        self.last_flush.map_or(soon, |last| soon.max(last + FLUSH_WINDOW))
    }

    /// Counts lost samples and tells of the first.
    pub(super) fn dropped(&mut self, series: u32, count: u64, reason: &str) {
        self.totals.dropped += count;
        let Some(record) = self.records.get_mut(series as usize) else { return };
        record.status.dropped += count;
        if !std::mem::replace(&mut record.told.dropped, true) {
            log::warn!("series {}: samples are dropped, the oldest first: {reason}", record.spec.path.display());
        }
    }
}

/// A result's value as a number; text that is wholly a number counts, as everywhere.
fn number(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::String(text) => text.trim().parse().ok().filter(|value: &f64| value.is_finite()).unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
        Value::String(_) => "text",
        _ => "something else",
    }
}

/// The key that a field's name was perhaps meant to be.
fn nearest<'a>(name: &str, result: &'a Map) -> Option<&'a str> {
    let near = |key: &&String| strsim::damerau_levenshtein(name, key) <= 2.max(name.chars().count() / 3);
    let keys = result.keys().take(1_000).filter(|key| key.len() <= 200);
    keys.filter(near).min_by_key(|key| strsim::damerau_levenshtein(name, key)).map(String::as_str)
}
