//! Round-robin files and pictures, seen by the system's own `rrdtool`.

use std::path::Path;
use std::process::Command;

/// Times and values of one field.
pub(crate) type Rows = Vec<(i64, Option<f64>)>;

fn rrdtool(arguments: &[&str]) -> String {
    let output = Command::new("rrdtool").args(arguments).output().expect("rrdtool is installed");
    assert!(output.status.success(), "rrdtool {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `rrdtool info` says.
pub(crate) fn rrd_info(path: &Path) -> String {
    rrdtool(&["info", path.to_str().unwrap()])
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
        value.is_finite().then_some((time.parse().ok()?, Some(value)))
    };
    lines.filter_map(row).collect()
}

/// Whether a file is a whole PNG picture.
pub(crate) fn is_png(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82"))
}
