//! `timeseries.*`: reading round-robin files from scripts. Relative paths start from the caller's folder.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use unidist::timeseries::{Consolidation, Window, safe_key};

use crate::host::api::Api;
use crate::host::{Caller, HostError};
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: &[&str] =
    &["timeseries.fetch", "timeseries.info", "timeseries.last", "timeseries.safe_key", "timeseries.status"];

/// How far back `fetch` reads unless told, in seconds.
const WINDOW_DEFAULT: i64 = 3600;

/// `fetch(path, {from, to, resolution, consolidation})`, `info(path)`, `last(path)`, `safe_key(key)`, `status()`.
///
/// `from` and `to` are seconds since 1970; not above zero they are relative to the present.
pub(super) async fn call(api: &Api, caller: &Caller, name: &str, arguments: &[Value]) -> Result<Value, HostError> {
    if name == "timeseries.status" {
        return Ok(status(api));
    }
    let Some(path) = arguments.first().and_then(Value::as_str) else {
        let wanted = if name == "timeseries.safe_key" { "key" } else { "path of a round-robin file" };
        return Err(HostError::new("bad_argument", format!("{name} takes a {wanted}")));
    };
    if name == "timeseries.safe_key" {
        return Ok(safe_key(path).into());
    }
    let path = caller.folder.join(path);
    if name == "timeseries.info" {
        return info(api, &path).await;
    }
    let empty = Map::new();
    let options = arguments.get(1).and_then(Value::as_object).unwrap_or(&empty);
    let table = match name {
        "timeseries.fetch" => {
            let (consolidation, window) = window(options)?;
            api.series.fetch(&path, consolidation, window).await
        }
        "timeseries.last" => api.series.last(&path).await,
        _ => {
            let text = format!("there is no function {name}; there are: {}", FUNCTIONS.join(", "));
            return Err(HostError::new("unknown_function", text));
        }
    };
    table.map(|table| table.to_json()).map_err(|error| HostError::new("failed", error.to_string()))
}

fn window(options: &Map) -> Result<(Consolidation, Window), HostError> {
    let bad = |text: String| HostError::new("bad_argument", text);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
    let moment = |name: &str, default: i64| match options.get(name) {
        None | Some(Value::Null) => Ok(now + default),
        #[expect(clippy::cast_possible_truncation, reason = "seconds; the cast saturates")]
        Some(value) => match value.as_f64() {
            Some(seconds) if seconds <= 0.0 => Ok(now.saturating_add(seconds as i64)),
            Some(seconds) => Ok(seconds as i64),
            None => {
                Err(bad(format!("{name} is {value}; expected seconds since 1970, or not above 0 before the present")))
            }
        },
    };
    let mut window = Window::new(moment("from", -WINDOW_DEFAULT)?, moment("to", 0)?);
    window.resolution = options.get("resolution").and_then(Value::as_u64);
    let word = options.get("consolidation").and_then(Value::as_str).unwrap_or("AVERAGE");
    let consolidation = Consolidation::from_name(word);
    Ok((
        consolidation.ok_or_else(|| bad(format!("consolidation is {word}; expected AVERAGE, MIN, MAX or LAST")))?,
        window,
    ))
}

/// What a file holds: its step in seconds, its fields with type, heartbeat, bounds and newest sample, its archives.
async fn info(api: &Api, path: &Path) -> Result<Value, HostError> {
    let definition = api.series.info(path).await.map_err(|error| HostError::new("failed", error.to_string()))?;
    serde_json::to_value(definition).map_err(|error| HostError::new("failed", error.to_string()))
}

/// Every series of this run: path, counts, newest sample, error.
fn status(api: &Api) -> Value {
    let row = |series: crate::series::SeriesStatus| {
        let mut map = Map::new();
        map.insert("path".into(), series.path.display().to_string().into());
        map.insert("stored".into(), series.stored.into());
        map.insert("late".into(), series.late.into());
        map.insert("repeated".into(), series.repeated.into());
        map.insert("dropped".into(), series.dropped.into());
        map.insert("last_time".into(), series.last_time.into());
        map.insert(
            "last".into(),
            Value::Object(series.last.into_iter().map(|(name, value)| (name, value.into())).collect()),
        );
        map.insert("error".into(), series.last_error.into());
        Value::Object(map)
    };
    Value::Array(api.series.status().into_iter().map(row).collect())
}
