//! What a small step costs beside the same call straight through mlua. Prints the ratio with
//! `cargo test --release -p procblock --lib lua::speed -- --nocapture`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use mlua::{Function, Lua, LuaSerdeExt};
use serde_json::{Value, json};

use crate::script::Script;
use crate::script::testing::Bench;

const CODE: &str = "function ProcessBlock(pipe_data, block, request_state, input_data, tag, cwd, env, block_parent) \
    return {random = 99} end";

/// Calls in a second, over about `time`.
fn rate(time: Duration, mut call: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut calls = 0.0;
    while began.elapsed() < time {
        for _ in 0..100 {
            call();
        }
        calls += 100.0;
    }
    calls / began.elapsed().as_secs_f64()
}

/// The median of our rate beside the bare one, taken in turns, so that other load of the machine meets both alike.
fn median_ratio(name: &str, mut ours: impl FnMut(), mut bare: impl FnMut()) -> f64 {
    let mut ratios: Vec<(f64, f64)> = (0..9)
        .map(|_| {
            let (ours, bare) = (rate(Duration::from_millis(60), &mut ours), rate(Duration::from_millis(60), &mut bare));
            (ours / bare, ours)
        })
        .collect();
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, ours) = ratios[ratios.len() / 2];
    println!("{name}: {ours:.0} steps/s, {ratio:.2} of the bare call");
    ratio
}

fn bare_function(lua: &Lua, code: &str) -> Function {
    lua.load(code).exec().unwrap();
    lua.globals().get("ProcessBlock").unwrap()
}

#[test]
fn a_small_step_costs_at_most_twice_the_bare_call() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, code: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, code).unwrap();
        Script::File(path)
    };
    let data = json!({"args": [], "a": 1, "b": "some text", "list": [1, 2, 3], "deep": {"x": 1.5, "y": true}});
    let mut bench = Bench::new().with(data.clone());
    bench.block = json!([{"script": "s.lua"}]);
    let (script, lua) = (write("s.lua", CODE), Lua::new());
    let function = bare_function(&lua, CODE);
    let all = median_ratio(
        "all arguments",
        || _ = black_box(runtime.block_on(bench.call(&script)).unwrap()),
        || {
            let (map, empty) = (lua.to_value(&data).unwrap(), lua.to_value(&json!({})).unwrap());
            let (block, input) = (lua.to_value(&bench.block).unwrap(), lua.to_value(&data).unwrap());
            let env = lua.to_value(&json!({})).unwrap();
            let result: mlua::Value = function.call((map, block, empty, input, "run", "/tmp", env, mlua::Nil)).unwrap();
            black_box(lua.from_value::<Value>(result).unwrap());
        },
    );
    let small = json!({"args": [], "random": 99});
    let bench = Bench::new().with(small.clone());
    let code = "function ProcessBlock(pipe_data) return {random = 99} end";
    let (script, lua) = (write("one.lua", code), Lua::new());
    let function = bare_function(&lua, code);
    let one = median_ratio(
        "one small argument",
        || _ = black_box(runtime.block_on(bench.call(&script)).unwrap()),
        || {
            let result: mlua::Value = function.call(lua.to_value(&small).unwrap()).unwrap();
            black_box(lua.from_value::<Value>(result).unwrap());
        },
    );
    if !cfg!(debug_assertions) {
        assert!(all >= 0.5, "{all}, {one}");
    }
}
