//! What the web server shows of the instance around it: by name what the control socket tells, and pictures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dropstar::{EventKind, Failure, FailureKind, Graph, Sink};
use unidist::timeseries::{Consolidation, GraphFormat, GraphSpec, Measure, Window};
use unidist::{Stop, Unidist};

use crate::control::{page_value, status, status_of, threads};
use crate::happenings::Happening;
use crate::host::{BoxFuture, HostError};
use crate::instance::Instance;
use crate::load::nearest;
use crate::logging::{Page, RING_LINES_MAX, hidden, ring};
use crate::series::{self, Series, SeriesClient, SeriesFailure, SeriesStatus, find_files};
use crate::serve::inside;
use crate::thread::RunThread;
use crate::value::{Map, Value};

/// What may be asked for.
const CALLS: &[&str] =
    &["about", "status", "threads", "thread", "durations", "logs", "series", "series.info", "series.fetch", "sources"];

/// Lines of `logs` unless told otherwise.
const LOG_LINES: u64 = 100;

/// Lines in one event of the log.
const LOG_EVENT_LINES: usize = 100;

/// How far back `series.fetch` reads unless told, in seconds.
const WINDOW_DEFAULT: i64 = 86_400;

/// A larger source is not shown, in bytes.
const SOURCE_MAX: u64 = 1024 * 1024;

/// The instance, as the server sees it.
pub(super) struct Shown {
    instance: Arc<Instance>,
    /// The folder that names of series are relative to.
    folder: PathBuf,
}

impl Shown {
    pub(super) fn new(instance: Arc<Instance>, folder: PathBuf) -> Self {
        Shown { instance, folder }
    }

    async fn ask(&self, name: &str, arguments: &Map) -> Result<Value, Failure> {
        let text = |key: &str| arguments.get(key).and_then(Value::as_str);
        let number = |key: &str| arguments.get(key).and_then(Value::as_u64);
        match name {
            "about" => Ok(self.about()),
            "status" => match text("name") {
                Some(name) => status_of(&self.instance, name).map_err(refused),
                None => Ok(status(&self.instance, &self.instance.hello())),
            },
            "threads" => Ok(threads(&self.instance)),
            "durations" => {
                let names = arguments.get("names").and_then(Value::as_array);
                let names = names.ok_or_else(|| failed("durations takes {names}"))?;
                Ok(inside::durations(&self.instance, names.iter().filter_map(Value::as_str)))
            }
            "thread" => {
                let name = text("name").ok_or_else(|| failed("thread takes {name}"))?;
                inside::thread(&self.instance, name, |path| self.name_of(path)).map_err(refused)
            }
            "logs" => {
                let count = number("lines").unwrap_or(LOG_LINES).min(RING_LINES_MAX as u64);
                let count = usize::try_from(count).unwrap_or(RING_LINES_MAX);
                let ring = ring();
                let page = number("after").map_or_else(|| ring.newest(count), |after| ring.read(after, count));
                Ok(page_value(&page))
            }
            "series" => self.series().await,
            "series.info" => self.info(text("series").ok_or_else(|| failed("series.info takes {series}"))?).await,
            "series.fetch" => self.fetch(arguments).await,
            "sources" => self.sources(text("file")).await,
            _ => {
                let near = nearest(name, CALLS.iter().copied());
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                Err(failed(format!("there is no call {name:?}; there are: {}{hint}", CALLS.join(", "))))
            }
        }
    }

    fn about(&self) -> Value {
        let version = ("procblock".to_string(), Value::from(env!("CARGO_PKG_VERSION")));
        Value::Object(Map::from_iter([
            ("name".to_string(), self.instance.name.clone().into()),
            ("versions".to_string(), Value::Object(Map::from_iter([version]))),
        ]))
    }

    /// A series, its file's structure, and what stores to it.
    async fn info(&self, name: &str) -> Result<Value, Failure> {
        let path = self.path_of(name)?;
        let stored = self.instance.series.status().into_iter().find(|status| status.path == path);
        let mut map = match stored.map(|status| self.series_value(&status)) {
            Some(Value::Object(map)) => map,
            _ => self.unstored(&path),
        };
        match self.instance.series.info(&path).await {
            Ok(definition) => {
                map.insert("file".into(), serde_json::to_value(definition).unwrap_or_default());
                map.insert("size".into(), std::fs::metadata(&path).ok().map(|metadata| metadata.len()).into());
            }
            Err(error) if error.kind == series::FailureKind::Missing => {}
            Err(error) => {
                map.insert("file_error".into(), error.to_string().into());
            }
        }
        map.extend(inside::storing(&self.instance, &path));
        Ok(Value::Object(map))
    }

    /// A series that lies in the folder without this run storing to it.
    fn unstored(&self, path: &Path) -> Map {
        let mut map = Map::new();
        map.insert("name".into(), self.name_of(path).into());
        map.insert("path".into(), path.to_string_lossy().into());
        map.insert("is_stored".into(), false.into());
        map
    }

    /// A series' name: its file relative to the folder, without `.rrd`.
    fn name_of(&self, path: &Path) -> String {
        name_in(&self.folder, path)
    }

    /// The file of a series that this run stores, or that lies in its folder.
    fn path_of(&self, name: &str) -> Result<PathBuf, Failure> {
        let stored = self.instance.series.status();
        if let Some(status) = stored.iter().find(|status| self.name_of(&status.path) == name) {
            return Ok(status.path.clone());
        }
        let is_inside = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let path = self.folder.join(format!("{name}.rrd"));
        let real = path.canonicalize().ok().zip(self.folder.canonicalize().ok());
        if is_inside && real.is_some_and(|(path, folder)| path.starts_with(folder) && path.is_file()) {
            return Ok(path);
        }
        let names: Vec<String> = stored.iter().map(|status| self.name_of(&status.path)).collect();
        let near = nearest(name, names.iter().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        Err(Failure { kind: FailureKind::Missing, ..failed(format!("there is no series {name:?}{hint}")) })
    }

    async fn series(&self) -> Result<Value, Failure> {
        let stored = self.instance.series.status();
        let mut all: Vec<Value> = stored.iter().map(|status| self.series_value(status)).collect();
        let folder = [self.folder.clone()];
        let others = tokio::task::spawn_blocking(move || find_files(&folder, |_| {})).await;
        let others = others.map_err(|error| failed(error.to_string()))?;
        for path in others.iter().filter(|path| !stored.iter().any(|status| status.path == **path)) {
            all.push(Value::Object(self.unstored(path)));
        }
        Ok(Value::Array(all))
    }

    fn series_value(&self, status: &SeriesStatus) -> Value {
        let mut map = Map::new();
        map.insert("name".into(), self.name_of(&status.path).into());
        map.insert("path".into(), status.path.to_string_lossy().into());
        map.insert("is_stored".into(), true.into());
        map.insert("last_time".into(), status.last_time.into());
        let last = status.last.iter().map(|(field, value)| (field.clone(), Value::from(*value)));
        map.insert("last".into(), Value::Object(last.collect()));
        map.insert("stored".into(), status.stored.into());
        map.insert("late".into(), status.late.into());
        map.insert("dropped".into(), status.dropped.into());
        map.insert("error".into(), status.last_error.as_ref().map(|error| hidden(error).into_owned()).into());
        Value::Object(map)
    }

    async fn fetch(&self, arguments: &Map) -> Result<Value, Failure> {
        let name = arguments.get("series").and_then(Value::as_str);
        let name = name.ok_or_else(|| failed("series.fetch takes {series, from, to, resolution, consolidation}"))?;
        let path = self.path_of(name)?;
        let now = seconds(SystemTime::now());
        let moment = |key: &str, default: i64| match arguments.get(key).and_then(Value::as_i64) {
            Some(seconds) if seconds <= 0 => now.saturating_add(seconds),
            Some(seconds) => seconds,
            None => now.saturating_add(default),
        };
        let mut window = Window::new(moment("from", -WINDOW_DEFAULT), moment("to", 0));
        window.resolution = arguments.get("resolution").and_then(Value::as_u64);
        let word = arguments.get("consolidation").and_then(Value::as_str).unwrap_or("AVERAGE");
        let consolidation = Consolidation::from_name(word)
            .ok_or_else(|| failed(format!("consolidation is {word:?}; expected AVERAGE, MIN, MAX or LAST")))?;
        let table = self.instance.series.fetch(&path, consolidation, window).await;
        table.map(|table| table.to_json()).map_err(|error| unread(&error))
    }

    /// The files of the instance and of its sites; the text of one of them.
    async fn sources(&self, file: Option<&str>) -> Result<Value, Failure> {
        let configs = self.instance.servers.configs().await;
        let mut files = self.instance.sources();
        let served = tokio::task::spawn_blocking(move || inside::site_files(&configs)).await;
        for path in served.map_err(|error| failed(error.to_string()))? {
            if !files.contains(&path) {
                files.push(path);
            }
        }
        let Some(wanted) = file else {
            return Ok(files.iter().map(|path| Value::from(path.to_string_lossy())).collect());
        };
        let path = files.into_iter().find(|path| path.to_string_lossy() == wanted);
        let path = path.ok_or_else(|| failed(format!("{wanted:?} is no file of this instance")))?;
        let read = tokio::task::spawn_blocking(move || read_source(&path)).await;
        read.map_err(|error| failed(error.to_string()))?.map(Value::from).map_err(failed)
    }

    async fn picture(&self, graph: &Graph) -> Result<Vec<u8>, Failure> {
        let path = self.path_of(&graph.series)?;
        let stored = self.instance.series.status().into_iter().find(|status| status.path == path);
        let declared = stored.and_then(|status| status.graph).map(|spec| GraphSpec::clone(&spec));
        let declared = declared.unwrap_or_else(|| GraphSpec { title: graph.series.clone(), ..GraphSpec::default() });
        let (width, height) = (graph.width, graph.height);
        let spec = GraphSpec { width, height, is_dark: graph.is_dark, interval: None, period: None, ..declared };
        spec.validate().map_err(failed)?;
        let window = Window::new(seconds(graph.from), seconds(graph.to));
        let format = match graph.format {
            dropstar::GraphFormat::Png => GraphFormat::Png,
            dropstar::GraphFormat::Svg => GraphFormat::Svg,
        };
        let drawn = self.instance.series.graph_bytes(&path, spec, window, format).await;
        drawn.map_err(|error| unread(&error))
    }
}

impl dropstar::Instance for Shown {
    fn unidist(&self) -> &Unidist {
        &self.instance.unidist
    }

    fn call<'a>(&'a self, name: &'a str, arguments: Map) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move { self.ask(name, &arguments).await })
    }

    fn draw<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(self.picture(graph))
    }

    fn follow(&self, sink: Sink) {
        let sink = Arc::new(sink);
        let (told, folder, client) = (Arc::clone(&sink), self.folder.clone(), self.instance.series.clone());
        self.instance.happenings.listen(Box::new(move |happening| match happening {
            Happening::Ran(thread) => told(EventKind::Thread, &thread.name, &|| thread_event(thread)),
            Happening::Sampled(series) => {
                let name = name_in(&folder, &series.spec().path);
                told(EventKind::Series, &name, &|| sample_event(&name, series, &client))
            }
        }));
        tokio::spawn(follow_log(sink, self.instance.stop.clone()));
    }

    fn newest(&self, kind: EventKind, name: &str) -> Option<Map> {
        match kind {
            EventKind::Thread => self.instance.threads.get(name).map(|thread| thread_event(&thread)),
            EventKind::Series => {
                let client = &self.instance.series;
                client.find(|path| self.name_of(path) == name).map(|series| sample_event(name, &series, client))
            }
            EventKind::Log => Some(log_event(&ring().newest(LOG_EVENT_LINES))),
            EventKind::Counter | EventKind::State | EventKind::Queue => None,
        }
    }
}

/// A series' name: its file relative to the folder, without `.rrd`.
fn name_in(folder: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(folder).unwrap_or(path);
    relative.with_extension("").to_string_lossy().trim_start_matches('/').to_string()
}

fn thread_event(thread: &RunThread) -> Map {
    let mut event = Map::new();
    event.insert("name".into(), thread.name.as_str().into());
    thread.with_state(|state| {
        let newest = state.newest();
        let result = newest.map_or(Value::Null, |kept| Value::Object(Map::clone(&kept.result)));
        event.insert("result".into(), result);
        event.insert("age".into(), newest.map(|kept| kept.finished.elapsed().as_secs_f64()).into());
        event.insert("runs".into(), state.runs.into());
        event.insert("failed".into(), state.failed.into());
        event.insert("is_failing".into(), state.is_failing.into());
        let error = state.last_error.as_ref().filter(|_| state.is_failing);
        event.insert("error".into(), error.map(|error| hidden(&error.to_string()).into_owned()).into());
    });
    event
}

/// The newest sample as its file will hold it: rates of a COUNTER. A rate whose beginning was not seen by this process
/// is not among the values; the file has it.
fn sample_event(name: &str, series: &Series, client: &SeriesClient) -> Map {
    let newest = client.newest(series);
    let fields = series.spec().fields.iter().map(|field| field.name.clone());
    let value_of = |measure| match measure {
        Measure::Known(number) => Some(Value::from(number)),
        Measure::Unknown => Some(Value::Null),
        Measure::Unseen => None,
    };
    let values = fields.zip(newest.values).filter_map(|(field, measure)| Some((field, value_of(measure)?)));
    let mut event = Map::new();
    event.insert("name".into(), name.into());
    event.insert("time".into(), newest.time.into());
    event.insert("values".into(), Value::Object(values.collect()));
    event
}

fn log_event(page: &Page) -> Map {
    let mut event = Map::new();
    event.insert("name".into(), "".into());
    event.insert("lines".into(), page.lines.iter().map(|line| line.to_value()).collect());
    event
}

/// Tells the lines of the log as they come, until nobody wants them or the instance ends.
async fn follow_log(sink: Arc<Sink>, stop: Stop) {
    let ring = ring();
    let mut next = ring.newest(0).next;
    loop {
        tokio::select! {
            () = ring.wait_for(next) => {}
            () = stop.requested() => return,
        }
        let page = ring.read(next, LOG_EVENT_LINES);
        next = page.next;
        if !sink(EventKind::Log, "", &|| log_event(&page)) {
            return;
        }
    }
}

fn read_source(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(told)?.len();
    if size > SOURCE_MAX {
        return Err(format!("{} is larger than 1 MiB", path.display()));
    }
    let bytes = std::fs::read(path).map_err(told)?;
    Ok(hidden(&String::from_utf8_lossy(&bytes)).into_owned())
}

fn seconds(moment: SystemTime) -> i64 {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn failed(text: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Failed, text: text.into(), place: None }
}

/// A series that can't be read or drawn. Before its first sample it has no file.
fn unread(failure: &SeriesFailure) -> Failure {
    let is_missing = failure.kind == series::FailureKind::Missing;
    let kind = if is_missing { FailureKind::Missing } else { FailureKind::Failed };
    Failure { kind, ..failed(failure.to_string()) }
}

fn refused(error: HostError) -> Failure {
    failed(error.text)
}
