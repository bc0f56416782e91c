//! What scripts print and log, as lines of the project's log.

use log::{Level, log};

/// The log target of scripts' lines.
pub(crate) const TARGET: &str = "script";

/// A longer line is cut, in bytes.
const LINE_MAX: usize = 64 * 1024;

/// Writes each line of `text` to the log, with the script's name and line.
pub(crate) fn write(level: &str, script: &str, line: Option<usize>, text: &str) {
    let level = match level {
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Info,
    };
    let place = line.map(|line| format!(":{line}")).unwrap_or_default();
    for one in text.trim_end_matches('\n').split('\n') {
        let (shown, cut) = shorten(one);
        let mark = if cut > 0 { format!(" … ({cut} bytes more)") } else { String::new() };
        log!(target: TARGET, level, "{script}{place}: {shown}{mark}");
    }
}

fn shorten(line: &str) -> (&str, usize) {
    let mut end = line.len().min(LINE_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.split_at_checked(end).map_or((line, 0), |(shown, rest)| (shown, rest.len()))
}
