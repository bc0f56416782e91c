//! Lua steps that do next to nothing, beside the same function called straight through mlua with the same data.

use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use mlua::{Function, Lua, LuaSerdeExt};
use serde_json::{Value, json};

use crate::Outcome;
use crate::program::result;
use crate::rounds::in_turns;
use crate::table::{Row, Target, Unit};

const ROUNDS: usize = 9;

/// Steps in one chain, and how often it is called.
const CHAIN: u32 = 1_000;
const CALLS: u32 = 100;

const STEPS: u32 = CHAIN * CALLS;

const BODY: &str = "return {n = pipe_data.n}";

const FUNCTION: &str = "function ProcessBlock(pipe_data)\n  return {n = pipe_data.n}\nend\n";

/// The data that every step is given.
fn data() -> Value {
    json!({"n": 1, "name": "web1", "load": 0.25, "tags": ["a", "b"], "args": []})
}

/// The rows.
pub(crate) fn rows() -> Outcome<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("step.lua"), FUNCTION)?;
    let inline = format!("lua: '{BODY}'");
    [
        ("Lua steps in a chain of 1,000, `lua:`", chain(&inline)?),
        ("Lua steps in a chain of 1,000, `script: FILE.lua`", chain("script: step.lua")?),
        ("Lua rounds of one step, `loop:`", format!("    - {inline}\n      loop: {STEPS}\n")),
    ]
    .into_iter()
    .map(|(what, steps)| row(folder.path(), what, &steps))
    .collect()
}

fn chain(step: &str) -> Outcome<String> {
    let mut text = format!(
        "    - call: chain\n      loop: {CALLS}\nblocks:\n  chain:\n    __return_tag: done\n    done: {{n: 1}}\n    run:\n"
    );
    for _ in 0..CHAIN {
        writeln!(text, "      - {step}")?;
    }
    Ok(text)
}

fn row(folder: &Path, what: &str, steps: &str) -> Outcome<Row> {
    let file = folder.join("chain.yaml");
    std::fs::write(&file, timed(&data(), steps)?)?;
    let lua = Lua::new();
    let function: Function = lua.load(format!("local pipe_data = ...; {BODY}")).into_function()?;
    let pairs = in_turns(ROUNDS, || Ok(f64::from(STEPS) / timed_seconds(&file)?), || straight(&lua, &function))?;
    Ok(Row::beside(what, "mlua", Unit::PerSecond("steps"), &pairs, Target::AtLeast(0.5)))
}

/// A file that times its own steps.
pub(crate) fn timed(data: &Value, steps: &str) -> Outcome<String> {
    let (steps, blocks) = steps.split_once("blocks:").unwrap_or((steps, ""));
    let mut text = format!("data: {data}\nrun:\n    - set: {{begun: '${{now()}}'}}\n{steps}");
    text.push_str("    - set: {seconds: '${now() - begun}'}\n__return_tag: took\ntook:\n  __priority: 900\n");
    text.push_str("  seconds: '${seconds}'\n");
    if !blocks.is_empty() {
        write!(text, "blocks:{blocks}")?;
    }
    Ok(text)
}

/// What a file made by [`timed`] says.
pub(crate) fn timed_seconds(file: &Path) -> Outcome<f64> {
    let printed = result(file)?;
    Ok(printed.get("seconds").and_then(Value::as_f64).ok_or_else(|| format!("no seconds in {printed}"))?)
}

/// Calls a second straight through mlua: pipe data in, the result out.
fn straight(lua: &Lua, function: &Function) -> Outcome<f64> {
    let mut pipe_data = data();
    let begun = Instant::now();
    for _ in 0..STEPS {
        let given = lua.to_value(&pipe_data)?;
        let returned: mlua::Value = function.call(given)?;
        let returned: Value = lua.from_value(returned)?;
        if let (Value::Object(all), Value::Object(new)) = (&mut pipe_data, returned) {
            all.extend(new);
        }
    }
    Ok(f64::from(STEPS) / begun.elapsed().as_secs_f64())
}
