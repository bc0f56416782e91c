//! Lua scripts, seen from outside.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::RunErrorKind;
use crate::script::testing::Bench;
use crate::script::{Allow, Script};

type Outcome = Result<Value, crate::error::RunError>;

fn message(outcome: &Outcome) -> String {
    outcome.as_ref().map_or_else(ToString::to_string, |value| format!("no error but {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn values_go_in_and_come_back_as_they_were() {
    let data = json!({
        "integer": 9_007_199_254_740_993_i64, "float": 2.0, "text": "ä\n", "yes": true, "nothing": null,
        "list": [1, 2.5, "x", null, []], "empty list": [], "empty mapping": {}, "deep": {"a": {"b": [{"c": 1}]}},
    });
    let outcome = Bench::new().with(data.clone()).lua("return pipe_data").await;
    assert_eq!(outcome, Ok(data));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_become_lists_and_mappings_by_their_keys() {
    let text = r#"
        local reversed = {} for i = 3, 1, -1 do reversed[i] = i end
        return {list = {1, 2}, reversed = reversed, mapping = {}, array = json.array {}, null = json.null,
                sparse = {[5] = "e"}, integer = 1 << 53, float = 1.0, nested = json.array { {} }}
    "#;
    let expected = json!({
        "list": [1, 2], "reversed": [1, 2, 3], "mapping": {}, "array": [], "null": null, "sparse": {"5": "e"},
        "integer": 1_i64 << 53, "float": 1.0, "nested": [{}],
    });
    assert_eq!(Bench::new().lua(text).await, Ok(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_returned_mapping_counts_and_arguments_are_copies() {
    let bench = Bench::new().with(json!({"a": {"b": 1}}));
    assert_eq!(bench.lua("pipe_data.a.b = 2 pipe_data.x = 1").await, Ok(json!({})));
    assert_eq!(
        bench.lua("return {a = pipe_data.a.b, x = pipe_data.x, tag = tag, cwd = cwd}").await,
        Ok(json!({"a": 1, "tag": "run", "cwd": "/tmp"}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_may_define_process_block() {
    let bench = Bench::new().with(json!({"a": 1}));
    let text = "count = 0\nfunction ProcessBlock(p, block, state, input, tag) count = count + 1 return {n = p.a, tag = tag, count = count} end";
    let script = Script::Lua { name: "/x/t.yaml".into(), text: text.into(), first_line: 1 };
    assert_eq!(bench.call(&script).await, Ok(json!({"n": 1, "tag": "run", "count": 1})));
    assert_eq!(bench.call(&script).await, Ok(json!({"n": 1, "tag": "run", "count": 2})));
    let outcome = bench.lua("local function ProcessBlock() return {} end").await;
    assert!(message(&outcome).contains("no function ProcessBlock; define it as a global"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_given_the_arguments_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.lua");
    let bench = Bench::new().with(json!({"a": 1}));
    let given = "return {given = {pipe_data ~= nil, block ~= nil, request_state ~= nil, input_data ~= nil}}";
    for (list, code, expected) in [
        ("pipe_data, block, request_state, input_data", given, json!([true, false, true, true])),
        ("p, b, r, i", "return {given = {i.a, p == nil and 0 or 1}}", json!([1, 1])),
        ("p, b, r, i", "return {given = {i.a}}", json!([1])),
        ("p, b, ...", "return {given = {select('#', ...), (...) ~= nil}}", json!([6, true])),
    ] {
        std::fs::write(&path, format!("-- a page\nfunction ProcessBlock({list})\n{code}\nend\n")).unwrap();
        let outcome = bench.call(&Script::File(path.clone())).await;
        assert_eq!(outcome, Ok(json!({"given": expected})), "{list}: {code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_passed_on_is_named_by_its_path() {
    for (text, expected) in [
        ("return 5", "the script returned a number, expected a mapping such as {answer = 42}, or nil"),
        ("return {1, 2}", "returned a list, expected a mapping"),
        ("return 'x'", "returned a text, expected"),
        ("return true", "returned a boolean, expected"),
        ("return {a = {b = {1, 0/0}}}", "result.a.b[2]: "),
        ("return {a = math.huge}", "result.a: inf is not a number"),
        ("return {a = print}", "result.a: a function cannot be passed on"),
        ("return {a = coroutine.create(print)}", "result.a: a thread cannot be passed on"),
        ("return {a = '\\xff'}", "result.a: the text is not UTF-8 (byte 1)"),
        ("return {[{}] = 1}", "result: a table cannot be a key"),
        ("return {[1] = 1, x = 1, ['1'] = 2}", "result: the key 1 stands there twice"),
        ("return {l = json.array {1, nil, 3, x = 4}}", "result.l: a list has keys other than 1 to n"),
        ("local t = {} t.t = t return t", "nested deeper than 64 levels; does a table contain itself?"),
        ("local t = {} for i = 1, 60 do t = {t, t} end return {t = t}", "larger than the script's memory limit"),
    ] {
        let outcome = Bench::new().lua(text).await;
        assert!(message(&outcome).contains(expected), "{text}: {}", message(&outcome));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_tells_the_line_of_the_yaml_file() {
    let outcome = Bench::new().lua("local x = 1\nlocal function inner() error('boom') end\ninner()").await;
    let error = outcome.unwrap_err();
    assert_eq!((error.place.as_deref(), error.message.as_str()), (Some("/x/test.yaml:11"), "boom"));
    let trace = error.trace.unwrap();
    assert!(trace.contains("/x/test.yaml:12: in") && !trace.contains("procblock:"), "{trace}");
    for (text, place, expected) in [
        ("return {\n a = ]\n}", "/x/test.yaml:11", "unexpected symbol near ']'"),
        ("local a = nil\nreturn a.b", "/x/test.yaml:11", "attempt to index a nil value (local 'a')"),
        ("\n\nunidist.sharedlock.release('deploy')", "/x/test.yaml:12", "not the holder of lock deploy"),
        ("\ntime.sleep('soon')", "/x/test.yaml:11", "time.sleep: expected a duration"),
        ("\nlocal x = ('x'):find('[')", "/x/test.yaml:11", "malformed pattern (missing ']')"),
        ("\nstring.find()", "/x/test.yaml:11", "bad argument #1 to 'find' (string expected, got no value)"),
        ("\njson.decode('{')", "/x/test.yaml:11", "json.decode: EOF"),
        ("\nsetmetatable({}, {__gc = print})", "/x/test.yaml:11", "__gc is refused"),
        ("\ntable.sort({1, 'x'})", "/x/test.yaml:11", "attempt to compare"),
        ("error({})", "/x/test.yaml:10", "raised a table; raise a text"),
        ("error('kept', 0)", "/x/test.yaml:10", "kept"),
        ("error()", "/x/test.yaml:10", "nil"),
    ] {
        let error = Bench::new().lua(text).await.unwrap_err();
        assert_eq!(error.place.as_deref(), Some(place), "{text}: {error:?}");
        assert!(error.message.contains(expected), "{text}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_the_host_are_modules() {
    let bench = Bench::new();
    let text = r#"
        local ok, problem = pcall(unidist.sharedlock.release, "deploy")
        return {n = unidist.sharedcounter.increment("requests", {by = 2}), file = file.read("a", {1}),
                missing = unidist.sharedstate.get("a") == nil, ok = ok, problem = problem}
    "#;
    let expected = json!({
        "n": 2, "file": {"text": "content", "arguments": ["a", [1]]}, "missing": true, "ok": false,
        "problem": "not the holder of lock deploy",
    });
    assert_eq!(bench.lua(text).await, Ok(expected));
    let calls = bench.host.calls.lock();
    assert_eq!(
        calls[1],
        ("block 1".into(), "sharedcounter.increment".into(), vec![json!("requests"), json!({"by": 2})])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_not_allowed_names_the_remedy() {
    let mut bench = Bench::new();
    bench.allow = Allow::PAGE;
    let outcome = bench.lua("return file.read('x')").await;
    assert!(message(&outcome).contains("file.read is not allowed here; add \"allow: [file]\""), "{outcome:?}");
    assert!(bench.host.calls.lock().is_empty());
    assert_eq!(bench.lua("return {n = unidist.sharedcounter.increment('x')}").await, Ok(json!({"n": 1})));
    bench.allow = Allow::PAGE.with("file").unwrap();
    assert!(bench.lua("return file.read('x')").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_waits_inside_of_coroutines_too() {
    let text = r#"
        local inner = coroutine.wrap(function(a)
            local b = coroutine.yield(a + unidist.sharedcounter.increment("x"))
            time.sleep(0.001)
            local nested = coroutine.create(function() time.sleep(0.001) coroutine.yield(7) return 8 end)
            local ok, first = coroutine.resume(nested)
            local _, second = coroutine.resume(nested)
            return b + first + second
        end)
        local gathered = ("a b"):gsub("%a", function(c) return c .. unidist.sharedcounter.increment("x") end)
        return {first = inner(1), second = inner(10), gathered = gathered}
    "#;
    assert_eq!(Bench::new().lua(text).await, Ok(json!({"first": 2, "second": 25, "gathered": "a1 b1"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_do_not_see_each_others_globals_or_changes() {
    let bench = Bench::new();
    let spoil = r#"
        x = 1 string.find = nil table.insert = nil json.null = 5 _G.print = nil
        rawset(string, "upper", 1) unidist.sharedcounter = nil
    "#;
    assert_eq!(bench.lua(spoil).await, Ok(json!({})));
    let look = r#"return {x = x, found = ("abc"):find("b"), upper = ("a"):upper(), find = string.find ~= nil,
        n = unidist.sharedcounter.increment("x"), meta = getmetatable("")}"#;
    assert_eq!(bench.lua(look).await, Ok(json!({"found": 2, "upper": "A", "find": true, "n": 1, "meta": "string"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_stock_lua_reaches_outside() {
    let text = r#"
        local gone = {}
        for _, name in ipairs {"io", "debug", "package", "dofile", "loadfile", "loadstring", "warn"} do
            if _G[name] ~= nil then gone[#gone + 1] = name end
        end
        for _, name in ipairs {"execute", "exit", "remove", "rename", "getenv", "tmpname", "setlocale"} do
            if os[name] ~= nil then gone[#gone + 1] = "os." .. name end
        end
        local f = load("return 1", "x", "b") or load("\27Lua") or load(function() return nil end, "x", "b")
        return {left = json.array(gone), dump = string.dump == nil, binary = f == nil,
                loaded = load("x = 3 return x")(), x = x, year = os.date("%Y") ~= nil, collect = pcall(collectgarbage, "stop")}
    "#;
    let expected =
        json!({"left": [], "dump": true, "binary": true, "loaded": 3, "x": 3, "year": true, "collect": false});
    assert_eq!(Bench::new().lua(text).await, Ok(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_time_limit_or_a_stop() {
    let bench = Bench::new().within(Duration::from_millis(30));
    let error = bench.lua("time.sleep(60)").await.unwrap_err();
    assert_eq!(error.kind, RunErrorKind::TimedOut);
    assert_eq!(error.message, "the script did not end within its time limit of 30ms");
    for text in ["time.sleep(60)", "while true do pcall(function() while true do end end) end"] {
        let bench = Bench::new();
        let stop = bench.stop.clone();
        let stopper = std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_millis(30));
            stop.request();
        });
        assert_eq!(bench.lua(text).await.unwrap_err().kind, RunErrorKind::Stopped, "{text}");
        stopper.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_scripts_leave_the_workers_to_others() {
    let bench = std::sync::Arc::new(Bench::new().within(Duration::from_secs(60)));
    let busy = [
        "while true do end",
        "while true do end",
        "coroutine.wrap(function() while true do end end)()",
        "setmetatable({}, {__index = function() while true do end end}).x = 1 local t = setmetatable({}, {__tostring = function() while true do end end}) tostring(t)",
    ];
    let calls: Vec<_> = busy
        .map(|text| {
            let bench = std::sync::Arc::clone(&bench);
            tokio::spawn(async move { bench.lua(text).await })
        })
        .into_iter()
        .collect();
    // Beside four endless scripts on two workers a waiting task still gets its turns: it is what ends them.
    let stop = bench.stop.clone();
    let waiting = tokio::spawn(async move {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.request();
    });
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().kind, RunErrorKind::Stopped);
    }
    waiting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_hook_could_interrupt_is_bounded() {
    for (text, expected) in [
        ("return {os.date(('%p'):rep(1000))}", "the pattern of a date has 2000 bytes, more than 1024"),
        ("return {time.format(0, ('%p'):rep(1000))}", "the pattern of a date has 2000 bytes, more than 1024"),
        ("assert(load(('a=1 '):rep(100000)))", "the text has 400000 bytes, more than 262144; put it into a file"),
        ("assert(load(function() return ('a=1 '):rep(1000) end))", "more than 262144"),
        ("json.decode((' '):rep(20000000))", "the text has 20000000 bytes, more than a quarter of the script's memory"),
    ] {
        let outcome = Bench::new().lua(text).await;
        assert!(message(&outcome).contains(expected), "{text}: {outcome:?}");
    }
    let text = "local pieces = {'return ', '1', '+ 1'} local n = 0
        local whole = load(function() n = n + 1 return pieces[n] end)
        return {sum = whole(), year = #os.date('%Y'), long = #json.decode('[' .. ('0,'):rep(99999) .. '0]')}";
    assert_eq!(Bench::new().lua(text).await, Ok(json!({"sum": 2, "year": 4, "long": 100_000})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_take_every_place_beside_the_workers_take_turns() {
    let bench = std::sync::Arc::new(Bench::new().within(Duration::from_secs(60)));
    let places = 4 * std::thread::available_parallelism().unwrap().get();
    let calls: Vec<_> = (0..places + 2)
        .map(|_| {
            let bench = std::sync::Arc::clone(&bench);
            let compute = "local ends = time.monotonic() + 0.4 while time.monotonic() < ends do end return {n = 1}";
            tokio::spawn(async move { bench.lua(compute).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(json!({"n": 1})));
    }
}

#[tokio::test]
async fn a_runtime_with_one_thread_works_too() {
    let bench = Bench::new().within(Duration::from_millis(50));
    assert_eq!(
        bench.lua("local n = 0 while true do n = n + 1 end").await.map_err(|e| e.kind),
        Err(RunErrorKind::TimedOut)
    );
    assert_eq!(bench.lua("time.sleep(0.001) return {n = 1}").await, Ok(json!({"n": 1})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_does_not_return_is_counted_as_a_lost_thread() {
    let bench = std::sync::Arc::new(Bench::new().within(Duration::from_millis(50)));
    let stuck = tokio::spawn({
        let bench = std::sync::Arc::clone(&bench);
        async move { bench.lua("unidist.sharedlog.block()").await }
    });
    let deadline = Instant::now() + Duration::from_secs(10);
    while bench.scripts.lost_threads() == 0 {
        assert!(Instant::now() < deadline, "the lost thread was not noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bench.lua("return {n = 1}").await, Ok(json!({"n": 1})));
    assert_eq!(stuck.await.unwrap(), Ok(json!({})));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_file_is_seen_by_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.lua");
    std::fs::write(folder.path().join("lib.lua"), "return {n = 10}").unwrap();
    let bench = Bench::new();
    for n in 0..30 {
        std::fs::write(
            &path,
            format!("local lib = require 'lib'\nfunction ProcessBlock() return {{n = {n} + lib.n}} end"),
        )
        .unwrap();
        assert_eq!(bench.call(&Script::File(path.clone())).await, Ok(json!({"n": n + 10})));
    }
    for n in 20..50 {
        std::fs::write(folder.path().join("lib.lua"), format!("return {{n = {n}}}")).unwrap();
        assert_eq!(bench.call(&Script::File(path.clone())).await, Ok(json!({"n": n + 29})));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn same_named_scripts_of_two_folders_never_mix() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bench = Bench::new();
    for (folder, n) in [(&one, 1), (&two, 2)] {
        std::fs::write(
            folder.path().join("s.lua"),
            format!("x = (x or 0) + {n} function ProcessBlock() return {{x = x}} end"),
        )
        .unwrap();
    }
    for _ in 0..3 {
        for (folder, n) in [(&one, 1), (&two, 2)] {
            assert_eq!(bench.call(&Script::File(folder.path().join("s.lua"))).await, Ok(json!({"x": n})));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_run_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let home = folder.path().display().to_string();
    for (path, expected) in [
        (folder.path().join("none.lua"), format!("script \"none.lua\" not found in folder {home}")),
        (folder.path().join("no/none.lua"), format!("its folder {home}/no does not exist")),
        (write("empty.lua", ""), "no function ProcessBlock; define it as a global".into()),
        (write("broken.lua", "\nfunction ("), format!("{home}/broken.lua:2: <name> expected near '('")),
        (write("raises.lua", "error('at load')"), format!("{home}/raises.lua:1: at load")),
        (write("requires.lua", "require 'nothing'"), "require: script \"nothing.lua\" not found in folder".into()),
        (write("up.lua", "require '../x'"), "is no module name".into()),
        (write("binary.lua", "\x1bLua"), "attempt to load a binary chunk".into()),
    ] {
        let outcome = Bench::new().call(&Script::File(path.clone())).await;
        assert!(message(&outcome).contains(&expected), "{}: {}", path.display(), message(&outcome));
    }
    let path = write("shebang.lua", "#!/usr/bin/lua\nfunction ProcessBlock() return {a = 1} end");
    assert_eq!(Bench::new().call(&Script::File(path)).await, Ok(json!({"a": 1})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_waiting_calls_hold_no_thread() {
    let bench = std::sync::Arc::new(Bench::new());
    let began = Instant::now();
    let calls: Vec<_> = (0..300)
        .map(|_| {
            let bench = std::sync::Arc::clone(&bench);
            tokio::spawn(async move { bench.lua("time.sleep(0.3) return {}").await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), Ok(json!({})));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_takes_any_number_of_arguments_gets_all() {
    let bench = Bench::new().with(json!({"n": 5}));
    let all = Ok(json!({"n": 5, "count": 8, "tag": "run", "cwd": "/tmp"}));
    let give = "{n = (...).n, count = select('#', ...), tag = (select(5, ...)), cwd = (select(6, ...))}";
    for text in [
        format!("function ProcessBlock(...) return {give} end"),
        format!("function ProcessBlock(first, ...) return (function(...) return {give} end)(first, ...) end"),
        format!(
            "local function wrap(f) return function(...) return f(...) end end\nProcessBlock = wrap(function(...) return {give} end)"
        ),
        format!("ProcessBlock = coroutine.wrap(function(...) return {give} end)"),
        format!("return {give}"),
    ] {
        assert_eq!(bench.lua(&text).await, all, "{text}");
    }
    // One that can say how many it takes gets no more.
    let few = "function ProcessBlock(data) local n = 0 for _ in pairs(data) do n = n + 1 end return {n = n} end";
    assert_eq!(bench.lua(few).await, Ok(json!({"n": 1})));
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_table_functions_keep_their_meaning() {
    let text = r#"
        local function t(...) return {...} end
        local a = t(3, 1, 2) table.sort(a)
        local b = t(3, 1, 2) table.sort(b, function(x, y) return x > y end)
        local c = t(1, 2, 3) table.insert(c, 2, 9) table.insert(c, 4)
        local d = t(1, 2, 3) local removed = table.remove(d, 1)
        local e = table.move({1, 2, 3}, 1, 3, 2)
        local list = json.array {1, 2} table.insert(list, 3) table.insert(list, 1, 0)
        local many = {} for i = 1, 1000 do many[i] = (i * 7919) % 1000 end table.sort(many)
        local sorted = true for i = 2, 1000 do sorted = sorted and many[i - 1] <= many[i] end
        return {a = a, b = b, c = c, d = d, removed = removed, e = e, list = list, last = table.remove(list),
                joined = table.concat({1, 2, "x"}, ","), of_list = table.concat(list, "-"), sorted = sorted,
                empty = table.remove({}) == nil, bad = pcall(table.insert, {}, 5, 5)}
    "#;
    let expected = json!({
        "a": [1, 2, 3], "b": [3, 2, 1], "c": [1, 9, 2, 3, 4], "d": [2, 3], "removed": 1, "e": [1, 1, 2, 3],
        "list": [0, 1, 2], "last": 3, "joined": "1,2,x", "of_list": "0-1-2", "sorted": true, "empty": true, "bad": false,
    });
    assert_eq!(Bench::new().lua(text).await, Ok(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn processor_time_is_limited_and_waiting_costs_none() {
    let mut bench = Bench::new();
    bench.limits.cpu = Some(Duration::from_millis(100));
    let began = Instant::now();
    let error = bench.lua("while true do end").await.unwrap_err();
    assert_eq!(error.kind, RunErrorKind::Limit);
    assert_eq!(error.message, "the script used more CPU time than its limit of 100ms");
    assert!(began.elapsed() >= Duration::from_millis(90));
    let text = "for n = 1, 10 do time.sleep(0.02) end return {slept = true}";
    assert_eq!(bench.lua(text).await, Ok(json!({"slept": true})));
}
