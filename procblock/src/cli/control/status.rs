//! `procblock status`: what an instance does.

use std::fmt::Write;

use clap::Args;

use super::failure::Failure;
use super::instance::{ask, connect};
use super::output::{Format, FormatArgs, print};
use super::table::{Table, duration, time};
use crate::cli::EXIT_DONE;
use crate::logging::for_terminal;
use crate::value::{Map, Value, to_text};

#[derive(Args)]
pub(crate) struct StatusArgs {
    /// The instance; may be left out when one runs.
    name: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(arguments: &StatusArgs) -> Result<u8, Failure> {
    let mut client = connect(arguments.name.as_deref())?;
    let status = ask(&mut client, "status")?;
    match arguments.format.output {
        Format::Json => arguments.format.print(&status),
        Format::Text => {
            print(&to_lines(&status));
        }
    }
    Ok(EXIT_DONE)
}

fn to_lines(status: &Value) -> String {
    let shown = |name: &str| for_terminal(&status.get(name).map(to_text).unwrap_or_default()).into_owned();
    let mut text = format!(
        "{} (process {}, procblock {}) on {}\nfile   {}\nsince  {}\n",
        shown("name"),
        shown("pid"),
        shown("version"),
        shown("node"),
        shown("file"),
        time(status.get("since").and_then(Value::as_f64)),
    );
    if status.get("stopping") == Some(&Value::Bool(true)) {
        text.push_str("it is stopping\n");
    }
    let number = |group: &str, name: &str| status.get(group).and_then(|group| group.get(name)?.as_f64());
    if number("lateness", "timed").is_some_and(|starts| starts > 0.0) {
        let (half, most) = (duration(number("lateness", "p50")), duration(number("lateness", "p99")));
        let _ = writeln!(text, "late   half of the starts by at most {half}, 99 % by at most {most}");
    }
    let threads = status.get("threads").and_then(Value::as_object);
    if let Some(threads) = threads.filter(|threads| !threads.is_empty()) {
        text.push('\n');
        text.push_str(&thread_table(threads));
        threads.iter().for_each(|(name, thread)| push_details(&mut text, name, thread));
    }
    let workers = status.get("workers").and_then(Value::as_object);
    if let Some(workers) = workers.filter(|workers| !workers.is_empty()) {
        text.push('\n');
        text.push_str(&worker_table(workers));
        workers.iter().for_each(|(name, group)| push_details(&mut text, name, group));
    }
    text
}

fn worker_table(workers: &Map) -> String {
    let heading =
        ["WORKERS", "QUEUE", "COUNT", "BUSY", "WAITING", "CLAIMED", "DONE", "FAILED", "DEAD LETTERS", "STATE"];
    let mut table = Table::new(&heading);
    for (name, group) in workers {
        let shown = |key: &str| group.get(key).map(to_text).unwrap_or_default();
        let state = if group.get("is_running") == Some(&Value::Bool(true)) { "ok" } else { "ended" };
        table.add([
            name.clone(),
            shown("queue"),
            format!("{} of {}", shown("workers"), shown("workers_max")),
            shown("busy"),
            shown("waiting"),
            shown("claimed"),
            shown("done"),
            shown("failed"),
            shown("dead_letters"),
            state.to_string(),
        ]);
    }
    table.to_text()
}

fn thread_table(threads: &Map) -> String {
    let heading = ["RUN-THREAD", "EVERY", "LAST START", "TOOK", "AGE", "RUNS", "LATE", "SKIPPED", "FAILED", "STATE"];
    let mut table = Table::new(&heading);
    for (name, thread) in threads {
        let number = |key: &str| thread.get(key).and_then(Value::as_f64);
        let count = |key: &str| thread.get(key).map(to_text).unwrap_or_default();
        let is = |key: &str| thread.get(key) == Some(&Value::Bool(true));
        let state = match (is("is_running"), is("is_failing")) {
            (false, _) => "ended",
            (true, true) => "failing",
            (true, false) => "ok",
        };
        table.add([
            name.clone(),
            duration(number("every")),
            time(number("last_start")),
            duration(number("last_duration")),
            duration(number("age")),
            count("runs"),
            count("late"),
            count("skipped"),
            count("failed"),
            state.to_string(),
        ]);
    }
    table.to_text()
}

/// The newest error and numbers of a run-thread, if it has any.
fn push_details(text: &mut String, name: &str, thread: &Value) {
    let error = thread.get("error").and_then(Value::as_str);
    let series = thread.get("series").and_then(Value::as_object);
    if error.is_none() && series.is_none() {
        return;
    }
    let _ = writeln!(text, "\n{}", for_terminal(name));
    if let Some(error) = error {
        let _ = writeln!(text, "  last error  {}", for_terminal(error));
    }
    for (path, series) in series.into_iter().flatten() {
        let fields = series.get("last").and_then(Value::as_object).into_iter().flatten();
        let fields: Vec<String> = fields
            .map(|(field, value)| {
                format!("{field} {}", if value.is_null() { "unknown".into() } else { to_text(value) })
            })
            .collect();
        let fields = if fields.is_empty() { "no sample yet".into() } else { fields.join(", ") };
        let _ = writeln!(text, "  {}  {}", for_terminal(path), for_terminal(&fields));
        if let Some(error) = series.get("error").and_then(Value::as_str) {
            let _ = writeln!(text, "    {}", for_terminal(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_shows_every_number_of_run_threads_and_workers() {
        let text = to_lines(&json!({
            "name": "simplest", "pid": 7, "version": "0.1.0", "node": "here", "file": "/x.yaml", "since": null,
            "stopping": true, "lateness": {"starts": 3, "timed": 2, "p50": 0.0001, "p99": 0.002},
            "threads": {"simplest": {
                "is_running": true, "is_failing": true, "every": 5.0, "last_start": null, "last_duration": 0.003,
                "age": 2.5, "runs": 10, "late": 1, "skipped": 2, "failed": 3, "error": "it\nbroke",
                "series": {"/x.rrd": {"last": {"random": 67.0, "other": null}, "error": "disk full"}},
            }},
            "workers": {"sender": {
                "is_running": true, "queue": "mail", "workers": 2, "workers_max": 8, "busy": 1, "waiting": 5,
                "claimed": 10, "done": 7, "failed": 2, "dead_letters": 1, "error": "no route",
            }},
        }));
        assert_eq!(
            text,
            "simplest (process 7, procblock 0.1.0) on here\nfile   /x.yaml\nsince  -\nit is stopping\n\
             late   half of the starts by at most 0.1ms, 99 % by at most 2ms\n\n\
             RUN-THREAD  EVERY  LAST START  TOOK  AGE   RUNS  LATE  SKIPPED  FAILED  STATE\n\
             simplest    5s     -           3ms   2.5s  10    1     2        3       failing\n\n\
             simplest\n  last error  it\\nbroke\n  /x.rrd  random 67.0, other unknown\n    disk full\n\n\
             WORKERS  QUEUE  COUNT   BUSY  WAITING  CLAIMED  DONE  FAILED  DEAD LETTERS  STATE\n\
             sender   mail   2 of 8  1     5        10       7     2       1             ok\n\n\
             sender\n  last error  no route\n"
        );
    }
}
