//! How long `check` takes for a block file of 5,000 lines, beside a bare parse of the same text: prints the ratio.
//!
//! `cargo run --release -p procblock --example check_speed [FILE]`

#![expect(clippy::print_stdout, reason = "its output is the result")]

use std::time::{Duration, Instant};

use procblock::block::survey;
use procblock::load::{Source, load_text};
use saphyr_parser::{Event, Parser};

const LINES: usize = 5_000;
const ROUNDS: usize = 30;

fn main() {
    let given = std::env::args().nth(1).map(std::fs::read_to_string);
    let text = given.and_then(Result::ok).unwrap_or_else(block_file);
    let (bare, mut load, mut whole) = (fastest(|| parse(&text)), Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let document =
            load_text(Source::new("large.yaml", "/", text.clone())).unwrap_or_else(|error| panic!("{error}"));
        load = load.min(start.elapsed());
        let survey = survey(document);
        whole = whole.min(start.elapsed());
        assert!(survey.problems.is_empty(), "{:?}", survey.problems);
    }
    let ratio = |duration: Duration| duration.as_secs_f64() / bare.as_secs_f64();
    println!("{} lines: bare parse {bare:.2?}", text.lines().count());
    println!("load: {load:.2?}, {:.2} of a bare parse", ratio(load));
    println!("check: {whole:.2?}, {:.2} of a bare parse", ratio(whole));
}

fn fastest(run: impl Fn() -> usize) -> Duration {
    let timed = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        assert!(run() > 0);
        start.elapsed()
    });
    timed.min().unwrap_or_default()
}

fn parse(text: &str) -> usize {
    Parser::new_from_str(text)
        .filter(|event| !matches!(event.as_ref().map(|(event, _)| event), Ok(Event::Nothing)))
        .count()
}

/// Blocks as users write them: options, data, conditions, steps with attributes, run-threads with series.
fn block_file() -> String {
    let mut text = String::from("__usage:\n  name: large\n  longrunning: true\n");
    let mut number = 0;
    while text.lines().count() < LINES {
        number += 1;
        text.push_str(&format!(
            "site_{number}:\n  city: Kyoto {number}\n  limits: {{load: {number}, disks: [/, /home, '/var/log']}}\n  \
             if load_1 > {number} and city has 'Kyoto':\n    state: busy\n    else:\n      state: idle\n  run:\n    \
             - set: {{host: 'db{number}', port: 5432}}\n    - name: ping {number}\n      shell: ping -c 1 ${{host}} | tail -1\n      \
             timeout: 10s\n      retry: {{attempts: 3, delay: 500ms}}\n      on error: continue\n    \
             - lua: |\n        local total = 0\n        for index = 1, 10 do total = total + index end\n        return {{total = total}}\n    \
             - name: disks {number}\n      every: 30s\n      system: [disks, load]\n      timeseries collect:\n        \
             - path: series/disks_{number}.rrd\n          fields:\n            load_1: {{type: GAUGE, min: 0}}\n            \
             load_5: {{type: GAUGE, min: 0}}\n          graph:\n            - path: graphs/disks_{number}.png\n              \
             title: Load of ${{node}}\n              fields: [load_1, load_5]\n              period: 1h\n    \
             - assert: total == 55\n"
        ));
    }
    text
}
