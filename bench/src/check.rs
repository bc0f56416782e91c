//! `check` of a long file, beside parsing its YAML bare.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use saphyr_parser::Parser;

use crate::Outcome;
use crate::program::{beside, seconds};
use crate::rounds::in_turns;
use crate::table::{Row, Target, Unit};

const ROUNDS: usize = 41;

const LINES: usize = 5_000;

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("long.yaml");
    let text = long_file()?;
    std::fs::write(&file, &text)?;
    let in_process = in_turns(ROUNDS, || load(&file), || parse(&text))?;
    let own = std::env::current_exe()?;
    let program = beside("procblock")?;
    let as_command = in_turns(
        ROUNDS,
        || seconds(Command::new(&program).arg("check").arg(&file).stdout(Stdio::null())),
        || seconds(Command::new(&own).arg("parse").arg(&file)),
    )?;
    let target = Target::AtMost(10.0);
    Ok(vec![
        Row::beside("loading and compiling 5,000 lines", "saphyr-parser", Unit::Milliseconds, &in_process, target),
        Row::beside(
            "`procblock check` of 5,000 lines",
            "a program that parses",
            Unit::Milliseconds,
            &as_command,
            target,
        ),
    ])
}

fn load(file: &Path) -> Outcome<f64> {
    let begun = Instant::now();
    let compiled = procblock::runner::load(file)?;
    let took = begun.elapsed().as_secs_f64();
    drop(compiled);
    Ok(took)
}

fn parse(text: &str) -> Outcome<f64> {
    let begun = Instant::now();
    for event in Parser::new_from_str(text) {
        std::hint::black_box(event?);
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Parses a file and does nothing with it: the peer of `procblock check`.
pub(crate) fn parse_file(file: &str) -> Outcome<()> {
    parse(&std::fs::read_to_string(file)?).map(drop)
}

/// A block file as a person would write it, only longer: nested blocks, conditions, scripts, expressions.
fn long_file() -> Outcome<String> {
    let mut text = "__usage: {name: long, info: five thousand lines}\ndata:\n  sites: [web1, web2]\n".to_string();
    let mut number = 0;
    while text.lines().count() + PART.lines().count() <= LINES {
        number += 1;
        text.push_str(&PART.replace('#', &number.to_string()));
    }
    for line in text.lines().count()..LINES {
        writeln!(text, "filler_{line}: {line}")?;
    }
    Ok(text)
}

const PART: &str = r#"
site_#:
  data:
    host: web#
    limit: 90
  set started: ${now()}
  if limit > 50 and host != "":
    set is_watched: true
    else:
      set is_watched: false
  run:
    - name: load_#
      shell: cat /proc/loadavg
      timeout: 10s
    - shell: df -P "${folder:-/}" | tail -1
      output: lines
      on error: continue
    - exec: [test, -n, "${host}"]
      if: is_watched and limit >= 10
      retry: {attempts: 3, delay: 1s}
    - lua: |
        local total = 0
        for index = 1, 10 do
          total = total + index * (pipe_data.limit or 1)
        end
        return {total = total}
    - set:
        address: "${host}.example.org:8080"
        is_full: "${total > 100}"
    - log: "${address} has ${total}"
  report:
    title: Report of web#
    columns: [name, load, total]
"#;
