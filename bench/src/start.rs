//! From start to result of a first file, beside a Python that does nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::program::{peak, procblock, seconds};
use crate::rounds::{in_turns, median};
use crate::table::{Row, Target, Unit};

const ROUNDS: usize = 101;

const PEAK_ROUNDS: usize = 9;

/// The author's first example.
pub(crate) const SIMPLEST: &str = "run:\n  - script: simplest.lua\n";

const SIMPLEST_LUA: &str = "function ProcessBlock(pipe_data, block, request_state, input_data, tag, cwd, env, block_parent)\n  \
                            return {random = math.random(1, 100)}\nend\n";

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("simplest.yaml");
    std::fs::write(&file, SIMPLEST)?;
    std::fs::write(folder.path().join("simplest.lua"), SIMPLEST_LUA)?;
    let python = python()?;
    let pairs = in_turns(
        ROUNDS,
        || seconds(&mut procblock(&file)?),
        || seconds(Command::new(&python).args(["-c", "pass"]).stdin(Stdio::null())),
    )?;
    let program = crate::program::beside("procblock")?;
    let peaks = (0..PEAK_ROUNDS).map(|_| peak(&program, &[&file])).collect::<Outcome<Vec<f64>>>()?;
    Ok(vec![
        Row::beside(
            "start to result of simplest.yaml (Lua)",
            "python3 -c pass",
            Unit::Milliseconds,
            &pairs,
            Target::AtMost(0.5),
        ),
        Row::alone("peak memory of simplest.yaml", Unit::Megabytes, median(&peaks), Target::AtMost(15e6)),
    ])
}

/// The interpreter itself: a shim before it would be measured with it.
fn python() -> Outcome<PathBuf> {
    let system = Path::new("/usr/bin/python3");
    if system.is_file() {
        return Ok(system.to_path_buf());
    }
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().into())
}
