//! procblock's figures beside its peers, each pair measured in turns in one run.
//!
//! `procblock-bench [GROUP…]` prints a table; with `--write FILE` it replaces the table in that file. The groups are
//! `start`, `lua`, `exec`, `check`, `series`, `shared`, `waiters`, `durable`, `node`, `web`, `idle` and `threads`. The
//! programs `procblock` and `procblock-series` stand beside this one.

mod check;
mod durable;
mod exec;
mod idle;
mod lua;
mod node;
mod program;
mod redis;
mod rounds;
mod series;
mod shared;
mod start;
mod table;
mod threads;
mod waiters;
mod web;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use table::Row;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What measures the rows of one group.
type Measure = fn() -> Outcome<Vec<Row>>;

const GROUPS: [(&str, Measure); 12] = [
    ("start", start::rows),
    ("lua", lua::rows),
    ("exec", exec::rows),
    ("check", check::rows),
    ("series", series::rows),
    ("shared", shared::rows),
    ("waiters", waiters::rows),
    ("durable", durable::rows),
    ("node", node::rows),
    ("web", web::rows),
    ("idle", idle::rows),
    ("threads", threads::rows),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["peak", program @ ..] => program::run_and_print_peak(program),
        ["parse", file] => check::parse_file(file),
        ["open", url] => durable::open_and_print(url),
        _ => measure(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(words: &[&str]) -> Outcome<()> {
    let (wanted, file) = match words {
        [wanted @ .., "--write", file] => (wanted, Some(PathBuf::from(file))),
        wanted => (wanted, None),
    };
    if let Some(unknown) = wanted.iter().find(|word| !GROUPS.iter().any(|(name, _)| name == *word)) {
        let known: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no group {unknown}; there are: {}", known.join(", ")).into());
    }
    let mut rows = Vec::new();
    for (name, group) in GROUPS.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
        eprintln!("measuring {name} …");
        let measured = group().map_err(|error| format!("{name}: {error}"))?;
        for row in &measured {
            eprintln!("  {row}");
        }
        rows.extend(measured);
    }
    let text = table::to_markdown(&rows);
    table::print(&text)?;
    if let Some(file) = file {
        table::replace_in(&file, "figures", &text)?;
    }
    Ok(())
}
