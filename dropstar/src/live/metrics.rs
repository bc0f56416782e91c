//! `/metrics`: the numbers of the server, the store, the run-threads and the series, in Prometheus's text format.
//!
//! Things are labels, so there are at most [`NAMES_MAX`] of each kind; how many more there are is a number too.

use http::HeaderValue;
use http::Response;
use unidist::{Error, Unidist};

use super::exposition::{Exposition, Kind, MEDIA_TYPE};
use super::process::Process;
use crate::answer::{self, AnswerBody, Problem};
use crate::server::handle::Allowed;
use crate::{Map, Value};

/// Things of one kind that are told; past these only their number.
const NAMES_MAX: usize = 1000;

/// A family of run-threads: its name, kind, help and key in their state.
type Column = (&'static str, Kind, &'static str, &'static str);

/// What is told of each run-thread.
const THREADS: [Column; 8] = [
    ("procblock_run_thread_runs_total", Kind::Counter, "Runs finished, failed ones included.", "runs"),
    ("procblock_run_thread_failures_total", Kind::Counter, "Runs that failed.", "failed"),
    ("procblock_run_thread_late_total", Kind::Counter, "Runs that started late.", "late"),
    ("procblock_run_thread_skipped_total", Kind::Counter, "Starts left out.", "skipped"),
    ("procblock_run_thread_interval_seconds", Kind::Gauge, "Its period, from start to start.", "every"),
    ("procblock_run_thread_last_duration_seconds", Kind::Gauge, "How long the newest run took.", "last_duration"),
    ("procblock_run_thread_result_age_seconds", Kind::Gauge, "Time since the newest result.", "age"),
    ("procblock_run_thread_failing", Kind::Gauge, "1 if the newest run failed.", "is_failing"),
];

/// What is told of each stored series.
const SERIES: [Column; 3] = [
    ("procblock_series_stored_total", Kind::Counter, "Samples stored.", "stored"),
    ("procblock_series_dropped_total", Kind::Counter, "Samples that could not be stored.", "dropped"),
    ("procblock_series_last_time_seconds", Kind::Gauge, "Time of the newest sample, since 1970.", "last_time"),
];

/// Answers with all of them.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn answer(allowed: &Allowed<'_>) -> Result<Response<AnswerBody>, Problem> {
    let surroundings = &allowed.serving.surroundings;
    let instance = &surroundings.instance;
    let mut exposition = Exposition::default();
    surroundings.traffic.write(&mut exposition);
    programs(allowed, &mut exposition);
    // A server around which nothing runs has no run-threads to tell of.
    if let Ok(Value::Object(status)) = instance.call("status", Map::new()).await {
        threads(&status, &mut exposition);
        lateness(&status, &mut exposition);
    }
    if let Ok(Value::Array(all)) = instance.call("series", Map::new()).await {
        series(&all, &mut exposition);
    }
    let unidist = instance.unidist().clone();
    let reading = tokio::task::spawn_blocking(move || {
        Process::read().write(&mut exposition);
        store(&unidist, &mut exposition).map(|()| exposition.into_text())
    });
    let read = reading.await.map_err(|error| Problem::internal("the numbers could not be read", error.to_string()))?;
    let text = read.map_err(|error| Problem::internal("the store could not be read", error.to_string()))?;
    Ok(answer::made(text, HeaderValue::from_static(MEDIA_TYPE)))
}

fn programs(allowed: &Allowed<'_>, to: &mut Exposition) {
    let (running, waiting) = allowed.serving.turns.counts(allowed.serving.config.limits.programs);
    to.single("dropstar_programs_running", Kind::Gauge, "Programs of pages and RPCs under way.", number(running));
    to.single("dropstar_programs_waiting", Kind::Gauge, "Programs that wait for their turn.", number(waiting));
    let readers = allowed.serving.surroundings.hub.readers();
    to.single("dropstar_event_readers", Kind::Gauge, "Readers of /events.", number(readers));
}

fn threads(status: &Map, to: &mut Exposition) {
    let Some(Value::Object(threads)) = status.get("threads") else { return };
    to.single("procblock_run_threads", Kind::Gauge, "Run-threads.", number(threads.len()));
    for (name, kind, help, key) in THREADS {
        let mut family = to.family(name, kind, help);
        for (thread, state) in threads.iter().take(NAMES_MAX) {
            if let Some(value) = state.get(key).and_then(measure) {
                family.sample(&[("name", thread)], value);
            }
        }
    }
}

fn lateness(status: &Map, to: &mut Exposition) {
    let Some(lateness) = status.get("lateness") else { return };
    let mut family = to.family("procblock_run_thread_start_delay_seconds", Kind::Gauge, "How late runs start.");
    for (quantile, key) in [("0.5", "p50"), ("0.99", "p99")] {
        if let Some(value) = lateness.get(key).and_then(measure) {
            family.sample(&[("quantile", quantile)], value);
        }
    }
}

fn series(all: &[Value], to: &mut Exposition) {
    let stored = || all.iter().filter(|one| one.get("is_stored") == Some(&Value::Bool(true)));
    to.single("procblock_series", Kind::Gauge, "Series that are stored to.", number(stored().count()));
    let named = || stored().take(NAMES_MAX).filter_map(|one| Some((one.get("name")?.as_str()?, one)));
    for (name, kind, help, key) in SERIES {
        let mut family = to.family(name, kind, help);
        for (series, one) in named() {
            if let Some(value) = one.get(key).and_then(measure) {
                family.sample(&[("series", series)], value);
            }
        }
    }
    let mut family = to.family("procblock_series_value", Kind::Gauge, "The newest value of a field.");
    let values = named().filter_map(|(series, one)| Some((series, one.get("last")?.as_object()?)));
    let values = values.flat_map(|(series, last)| last.iter().map(move |(field, value)| (series, field, value)));
    for (series, field, value) in values.take(NAMES_MAX) {
        if let Some(value) = measure(value) {
            family.sample(&[("series", series), ("field", field)], value);
        }
    }
}

/// The store's counters, queues and locks. Blocks while the store does.
///
/// # Errors
/// The store can't be read.
fn store(unidist: &Unidist, to: &mut Exposition) -> Result<(), Error> {
    let counters = unidist.sharedcounter().all()?;
    to.single("unidist_counters", Kind::Gauge, "Counters.", number(counters.len()));
    let mut family = to.family("unidist_counter_value", Kind::Gauge, "The value of a counter.");
    for (name, value) in counters.iter().take(NAMES_MAX) {
        #[expect(clippy::cast_precision_loss, reason = "the format's numbers are floats, exact up to 2^53")]
        family.sample(&[("name", name)], *value as f64);
    }
    let held = unidist.sharedlock().find_all_locked()?;
    to.single("unidist_locks_held", Kind::Gauge, "Locks that are held.", number(held.len()));
    let waiting = held.iter().map(|lock| lock.waiting).sum();
    to.single("unidist_locks_waiting", Kind::Gauge, "Those who wait for a lock.", number(waiting));
    queues(unidist, to)
}

fn queues(unidist: &Unidist, to: &mut Exposition) -> Result<(), Error> {
    let names = unidist.messagequeue().list()?;
    to.single("unidist_queues", Kind::Gauge, "Queues.", number(names.len()));
    let mut states = Vec::new();
    for name in names.into_iter().take(NAMES_MAX) {
        if let Some(status) = unidist.messagequeue().status(&name)? {
            states.push((name, status));
        }
    }
    let mut family = to.family("unidist_queue_messages", Kind::Gauge, "Messages of a queue, by what they wait for.");
    for (name, status) in &states {
        for (state, count) in [("ready", status.ready), ("delayed", status.delayed), ("claimed", status.claimed)] {
            family.sample(&[("queue", name), ("state", state)], number(count));
        }
    }
    let mut family = to.family("unidist_queue_oldest_age_seconds", Kind::Gauge, "Age of the oldest ready message.");
    for (name, status) in &states {
        if let Some(age) = status.oldest_age {
            family.sample(&[("queue", name)], age.as_secs_f64());
        }
    }
    let mut family = to.family("unidist_queue_added_total", Kind::Counter, "Messages added.");
    for (name, status) in &states {
        #[expect(clippy::cast_precision_loss, reason = "the format's numbers are floats, exact up to 2^53")]
        family.sample(&[("queue", name)], status.added as f64);
    }
    let mut family = to.family("unidist_queue_lost_total", Kind::Counter, "Messages dropped or dead, by why.");
    for (name, status) in &states {
        for (why, count) in [("dropped", status.dropped), ("dead", status.dead)] {
            #[expect(clippy::cast_precision_loss, reason = "the format's numbers are floats, exact up to 2^53")]
            family.sample(&[("queue", name), ("why", why)], count as f64);
        }
    }
    Ok(())
}

/// A number, or whether something is so.
fn measure(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_bool().map(|is| if is { 1.0 } else { 0.0 }))
}

#[expect(clippy::cast_precision_loss, reason = "the format's numbers are floats, exact up to 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}
