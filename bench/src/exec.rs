//! `exec: [/bin/true]`, beside a bare loop that spawns the program with the same pipes and waits for it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::Outcome;
use crate::lua::{timed, timed_seconds};
use crate::rounds::in_turns;
use crate::table::{Row, Target, Unit};

const ROUNDS: usize = 9;

const RUNS: u32 = 500;

/// Six results of 50 MB each.
const LARGE: &str = "    - lua: 'return {[\"large\" .. pipe_data.index] = string.rep(\"x\", 50000000)}'\n      loop: 6\n      \
     limits: {memory: 400MB}\n";

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let steps = format!("    - exec: [/bin/true]\n      loop: {RUNS}\n");
    let small = timed(&json!({}), &steps)?;
    let large = small.replacen("run:\n", &format!("run:\n{LARGE}"), 1);
    Ok(vec![
        row(folder.path(), "exec: [/bin/true]", &small)?,
        row(folder.path(), "exec: [/bin/true], 300 MB resident", &large)?,
    ])
}

fn row(folder: &Path, what: &str, text: &str) -> Outcome<Row> {
    let file = folder.join("exec.yaml");
    std::fs::write(&file, text)?;
    let pairs = in_turns(ROUNDS, || Ok(f64::from(RUNS) / timed_seconds(&file)?), bare)?;
    Ok(Row::beside(what, "bare spawn and wait", Unit::PerSecond("runs"), &pairs, Target::AtLeast(0.8)))
}

fn bare() -> Outcome<f64> {
    let begun = Instant::now();
    for _ in 0..RUNS {
        let mut command = Command::new("/bin/true");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    }
    Ok(f64::from(RUNS) / begun.elapsed().as_secs_f64())
}
