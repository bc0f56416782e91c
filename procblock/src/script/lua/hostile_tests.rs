//! Scripts that try to hold their call, or to take all memory.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::RunErrorKind;
use crate::script::testing::Bench;

/// Every one of these must end within its limit, whatever it tries.
const HOSTILE: [(&str, &str); 24] = [
    (
        "handler behind a C function",
        "local t = setmetatable({}, {__tostring = function() xpcall(function() while true do end end, function() while true do end end) end}) while true do pcall(tostring, t) end",
    ),
    (
        "close of a dead coroutine",
        "while true do pcall(coroutine.wrap(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) tostring(setmetatable({}, {__tostring = function() while true do end end})) end)) end",
    ),
    ("endless loop", "while true do end"),
    ("pcall loop", "while true do pcall(function() while true do end end) end"),
    ("nested pcall", "local function f() while true do pcall(f) end end f()"),
    ("xpcall with endless handler", "while true do xpcall(error, function() while true do end end) end"),
    ("coroutine", "while true do coroutine.wrap(function() while true do end end)() end"),
    (
        "coroutines in pcall",
        "while true do pcall(function() local c = coroutine.create(function() while true do end end) while true do coroutine.resume(c) end end) end",
    ),
    ("yield at the top", "while true do coroutine.yield() end"),
    (
        "close variable",
        "local x <close> = setmetatable({}, {__close = function() while true do end end}) while true do end",
    ),
    ("pattern", "return {x = (('a'):rep(40)):find(('a?'):rep(40) .. ('a'):rep(40))}"),
    ("pattern loop", "while true do pcall(string.find, ('a'):rep(30000), '.-.-.-b') end"),
    ("plain find", "local s = ('a'):rep(1000000) while true do s:find(('a'):rep(500000) .. 'b', 1, true) end"),
    ("concat loop", "local t = {} for i = 1, 100000 do t[i] = 'xxxxxxxxxx' end while true do table.concat(t) end"),
    ("text concat", "local s = ('x'):rep(8000000) while true do local x = s .. 'a' end"),
    (
        "text compare",
        "local a, b = ('x'):rep(8000000), ('x'):rep(8000000) while true do local x = a .. 'a' < b .. 'b' end",
    ),
    ("empty rep", "while true do local x = (''):rep(1 << 60) end"),
    ("table.move", "table.move({}, 1, 1 << 60, 2)"),
    ("table.concat of nothing", "table.concat(setmetatable({}, {__index = table.concat}), '', 1, 1 << 60)"),
    ("table.insert", "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)"),
    (
        "table.remove",
        "table.remove(setmetatable({}, {__len = function() return 1 << 60 end, __index = function() return 1 end}), 1)",
    ),
    (
        "sort",
        "local t = {} for i = 1, 200000 do t[i] = i end while true do table.sort(t, function(a, b) return true end) end",
    ),
    ("tostring", "error(setmetatable({}, {__tostring = function() while true do end end}))"),
    ("gsub", "while true do pcall(string.gsub, ('a'):rep(1000), 'a', function() while true do end end) end"),
];

/// A call that is not lost ends within a second of its limit on an idle machine; others may run here too.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_script_cannot_hold_its_call_past_its_time_limit() {
    for (name, text) in HOSTILE {
        let bench = Bench::new().within(Duration::from_millis(150));
        let began = Instant::now();
        let error = bench.lua(text).await.unwrap_err();
        let took = began.elapsed();
        assert!(error.kind == RunErrorKind::TimedOut || error.message.contains("too many steps"), "{name}: {error:?}");
        assert!(took < PATIENCE, "{name} took {took:?}");
        assert_eq!(bench.scripts.lost_threads(), 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_wants_too_much_memory_is_ended() {
    for (name, text) in [
        ("10 GB table", "local t = {} for i = 1, 1e10 do t[i] = i end"),
        ("text", "local s = 'x' while true do s = s .. s end"),
        ("rep", "return {x = ('x'):rep(1e10)}"),
        ("gsub", "local s = ('x'):rep(1e6) return {x = s:gsub('x', s)}"),
        ("coroutines", "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print) end"),
    ] {
        let error = Bench::new().within(Duration::from_secs(20)).lua(text).await.unwrap_err();
        assert_eq!(error.kind, RunErrorKind::Limit, "{name}: {error:?}");
        assert!(error.message.contains("limits: {memory}"), "{name}: {error:?}");
    }
    let mut bench = Bench::new();
    bench.limits.memory = Some(1 << 20);
    assert_eq!(bench.lua("return {n = #('x'):rep(4000000)}").await.unwrap_err().kind, RunErrorKind::Limit);
    bench.limits.memory = Some(32 << 20);
    assert_eq!(bench.lua("return {n = #('x'):rep(4000000)}").await, Ok(json!({"n": 4_000_000})));
}
