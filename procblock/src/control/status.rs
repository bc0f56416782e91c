//! What an instance tells of itself.

use std::collections::HashMap;
use std::path::PathBuf;

use super::protocol::Hello;
use crate::host::HostError;
use crate::instance::Instance;
use crate::load::nearest;
use crate::logging::hidden;
use crate::series::SeriesStatus;
use crate::thread::RunThread;
use crate::value::{Map, Value};

/// Everything: who it is, run-threads, workers, how late runs start, series.
pub(crate) fn status(instance: &Instance, hello: &Hello) -> Value {
    let mut map = match hello.to_value() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    map.shift_remove("procblock");
    map.insert("node".into(), instance.node.clone().into());
    map.insert("longrunning".into(), instance.is_longrunning.into());
    map.insert("stopping".into(), instance.stop.is_requested().into());
    map.insert("threads".into(), threads(instance));
    map.insert("workers".into(), workers(instance));
    let lateness = instance.threads.lateness();
    let mut starts = Map::new();
    starts.insert("starts".into(), lateness.count().into());
    starts.insert("timed".into(), lateness.timed().into());
    starts.insert("p50".into(), lateness.quantile(0.5).as_secs_f64().into());
    starts.insert("p99".into(), lateness.quantile(0.99).as_secs_f64().into());
    map.insert("lateness".into(), Value::Object(starts));
    map.insert("series".into(), totals(instance));
    Value::Object(map)
}

/// Every run-thread's state, by name, with the newest value of each field that it stores.
pub(crate) fn threads(instance: &Instance) -> Value {
    let stored = instance.series.status();
    let stored: HashMap<&PathBuf, &SeriesStatus> = stored.iter().map(|status| (&status.path, status)).collect();
    let all = instance.threads.all();
    Value::Object(all.iter().map(|thread| (thread.name.clone(), thread_value(thread, &stored))).collect())
}

/// What each group of workers does.
fn workers(instance: &Instance) -> Value {
    let mut workers = instance.workers.status();
    workers.values_mut().filter_map(|group| group.get_mut("error")).for_each(hide);
    Value::Object(workers)
}

fn hide(error: &mut Value) {
    if let Value::String(text) = error {
        *text = hidden(text).into_owned();
    }
}

/// The state of one run-thread, or of the workers of one name.
pub(crate) fn one(instance: &Instance, name: &str) -> Result<Value, HostError> {
    let Some(thread) = instance.threads.get(name) else {
        let workers = workers(instance);
        if let Some(group) = workers.get(name) {
            return Ok(group.clone());
        }
        let all = instance.threads.all();
        let groups = workers.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
        let near = nearest(name, all.iter().map(|thread| thread.name.as_str()).chain(groups));
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return Err(HostError::new("not_found", format!("no run-thread and no workers have the name {name:?}{hint}")));
    };
    let stored = instance.series.status();
    let stored: HashMap<&PathBuf, &SeriesStatus> = stored.iter().map(|status| (&status.path, status)).collect();
    Ok(thread_value(&thread, &stored))
}

fn thread_value(thread: &RunThread, stored: &HashMap<&PathBuf, &SeriesStatus>) -> Value {
    let mut value = thread.to_value();
    let Value::Object(map) = &mut value else { return value };
    map.get_mut("error").into_iter().for_each(hide);
    let mut series = Map::new();
    for (path, _) in thread.series_paths() {
        if let Some(status) = stored.get(&PathBuf::from(&path)) {
            series.insert(path, series_value(status));
        }
    }
    if !series.is_empty() {
        map.insert("series".into(), Value::Object(series));
    }
    value
}

fn series_value(status: &SeriesStatus) -> Value {
    let mut map = Map::new();
    map.insert("last_time".into(), status.last_time.into());
    let last = status.last.iter().map(|(field, value)| (field.clone(), Value::from(*value)));
    map.insert("last".into(), Value::Object(last.collect()));
    map.insert("stored".into(), status.stored.into());
    map.insert("late".into(), status.late.into());
    map.insert("repeated".into(), status.repeated.into());
    map.insert("dropped".into(), status.dropped.into());
    map.insert("error".into(), status.last_error.as_ref().map(|error| hidden(error).into_owned()).into());
    Value::Object(map)
}

fn totals(instance: &Instance) -> Value {
    let totals = instance.series.totals();
    let numbers = [
        ("series", totals.series),
        ("stored", totals.stored),
        ("waiting", totals.waiting),
        ("held", totals.held),
        ("late", totals.late),
        ("repeated", totals.repeated),
        ("dropped", totals.dropped),
        ("graphs", totals.graphs),
        ("restarts", totals.restarts),
    ];
    Value::Object(numbers.into_iter().map(|(name, number)| (name.to_string(), number.into())).collect())
}
