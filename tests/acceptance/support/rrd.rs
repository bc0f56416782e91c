//! Round-robin files and pictures, seen by the system's own `rrdtool`, and what the log says of them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Times and known values of one field.
pub(crate) type Rows = Vec<(i64, f64)>;

fn rrdtool(arguments: &[&str]) -> String {
    let output = Command::new("rrdtool").args(arguments).output().expect("rrdtool is installed");
    assert!(output.status.success(), "rrdtool {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `rrdtool info` says.
pub(crate) fn rrd_info(path: &Path) -> String {
    rrdtool(&["info", path.to_str().unwrap()])
}

/// The time of the newest sample, by `rrdtool lastupdate`.
pub(crate) fn last_update(path: &Path) -> i64 {
    let text = rrdtool(&["lastupdate", path.to_str().unwrap()]);
    let line = text.lines().last().and_then(|line| line.split_once(':'));
    line.unwrap_or_else(|| panic!("{}: {text}", path.display())).0.parse().unwrap()
}

/// The known averages of a field that `rrdtool fetch` gives for the last `seconds`.
pub(crate) fn rows(path: &Path, field: &str, seconds: i64) -> Rows {
    let text = rrdtool(&["fetch", path.to_str().unwrap(), "AVERAGE", "-s", &format!("-{seconds}")]);
    let mut lines = text.lines();
    let names = lines.next().unwrap_or_default();
    let column = names.split_whitespace().position(|name| name == field);
    let column = column.unwrap_or_else(|| panic!("{} has no field {field}: {names}", path.display()));
    let row = |line: &str| {
        let (time, values) = line.split_once(':')?;
        let value: f64 = values.split_whitespace().nth(column)?.parse().ok()?;
        value.is_finite().then_some((time.parse().ok()?, value))
    };
    lines.filter_map(row).collect()
}

/// Whether a file is a whole PNG picture.
pub(crate) fn is_png(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| is_png_bytes(&bytes))
}

/// Whether this is a whole PNG picture.
pub(crate) fn is_png_bytes(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82")
}

/// The texts of a log, in order.
pub(crate) fn log_texts(log: &str) -> Vec<String> {
    let text = |line: &str| Some(serde_json::from_str::<Value>(line).ok()?.get("text")?.as_str()?.to_string());
    log.lines().filter_map(text).collect()
}

/// A sample that the log says is stored.
#[derive(Debug)]
pub(crate) struct Logged {
    /// In hundredths of a second since 1970, rounded.
    hundredths: i64,
    /// None if unknown.
    pub(crate) value: Option<f64>,
}

impl Logged {
    /// Whether the whole second at or before it is this one. What the log has as a whole second may have been rounded
    /// up to it.
    pub(crate) fn is_in_second(&self, second: i64) -> bool {
        let later = self.hundredths / 100;
        second == later || self.hundredths % 100 == 0 && second == later - 1
    }
}

/// The samples of one field of one file that the log says are stored.
pub(crate) fn logged_samples(log: &str, path: &Path, field: &str) -> Vec<Logged> {
    let prefix = format!("Storing RRD occurrence: {}: ", path.display());
    let name = format!("{field}: ");
    let sample = |text: String| {
        let (time, values) = text.strip_prefix(&prefix)?.split_once(": {")?;
        let mut values = values.strip_suffix('}')?.split(", ");
        let value = values.find_map(|value| value.strip_prefix(&name))?;
        Some(Logged { hundredths: time.replace('.', "").parse().ok()?, value: value.parse().ok() })
    };
    log_texts(log).into_iter().filter_map(sample).collect()
}
