//! Lua scripts and executables: found, called, changed, broken.

use serde_json::json;

use crate::support::Run;

#[test]
fn a_script_gets_copies_and_gives_what_it_returns() {
    let ended = Run::block("data: {list: [1, 2], deep: {n: 1}}\nrun:\n  - script: a.lua\n  - script: b.lua\n")
        .file(
            "a.lua",
            "function ProcessBlock(data)\n  data.deep.n = 9\n  data.list[3] = 3\n  return {a = #data.list}\nend\n",
        )
        .file(
            "b.lua",
            "function ProcessBlock(data)\n  return {n = data.deep.n, length = #data.list, a = data.a + 1}\nend\n",
        )
        .end();
    let run = &ended.result()["run"];
    assert_eq!((&run["n"], &run["length"], &run["a"]), (&json!(1), &json!(2), &json!(4)));
}

#[test]
fn a_script_that_is_missing_or_broken_fails_the_run() {
    let broken = [
        ("run: [{script: absent.lua}]", "absent.lua"),
        ("run: [{script: syntax.lua}]", "syntax.lua:3"),
        ("run: [{script: entry.lua}]", "ProcessBlock"),
        ("run: [{script: raising.lua}]", "raised on purpose"),
        ("run: [{script: number.lua}]", "expected a mapping"),
        ("run: [{script: list.lua}]", "expected a mapping"),
        ("run: [{lua: 'return nope.nope'}]", "nope"),
    ];
    for (block, told) in broken {
        let ended = Run::block(&format!("kept: 1\n{block}\n"))
            .file("syntax.lua", "function ProcessBlock()\n  return {\nend\n")
            .file("entry.lua", "function Process() end\n")
            .file("raising.lua", "function ProcessBlock() error('raised on purpose') end\n")
            .file("number.lua", "function ProcessBlock() return 5 end\n")
            .file("list.lua", "function ProcessBlock() return {1, 2} end\n")
            .end();
        let failure = ended.failure();
        assert_eq!(failure["kept"], 1);
        assert!(ended.stderr.contains(told), "{block}: {told} is not in {ended}");
        assert!(!failure["error"]["message"].as_str().unwrap().is_empty(), "{ended}");
    }
}

#[test]
fn nothing_returned_is_an_empty_mapping() {
    let block =
        "run:\n  - lua: return nil\n  - lua: local unused = 1\n  - lua: 'return {}'\n  - set: {reached: true}\n";
    assert_eq!(Run::block(block).end().result()["run"]["reached"], true);
}

#[test]
fn a_prefix_stands_before_relative_paths_only() {
    let run = Run::bare()
        .file("scripts/a.lua", "function ProcessBlock() return {relative = true} end")
        .file("elsewhere/b.lua", "function ProcessBlock() return {absolute = true} end");
    let absolute = run.path("elsewhere/b.lua");
    let block = format!(
        "script_path_prefix: scripts/\nrun:\n  - script: a.lua\n  - script: {}\n  - {{script: a.lua, every: 1h, name: t}}\n",
        absolute.display()
    );
    let ended = run.file("block.yaml", &block).of_file("block.yaml").end();
    let run = &ended.result()["run"];
    assert_eq!((&run["relative"], &run["absolute"]), (&json!(true), &json!(true)));
    assert_eq!(run["run_thread.t"]["runs"], 1);
}

#[test]
fn scripts_of_one_name_or_one_time_never_mix() {
    let script = |text: &str| format!("function ProcessBlock() return {{{text} = true}} end\n");
    let run = Run::block("run:\n  - script: one/s.lua\n  - script: two/s.lua\n  - script: two/t.lua\n")
        .file("one/s.lua", &script("one"))
        .file("two/s.lua", &script("two"))
        .file("two/t.lua", &script("third"));
    let same = std::fs::metadata(run.path("one/s.lua")).unwrap().modified().unwrap();
    for name in ["two/s.lua", "two/t.lua"] {
        std::fs::File::options().write(true).open(run.path(name)).unwrap().set_modified(same).unwrap();
    }
    let ended = run.end();
    let run = &ended.result()["run"];
    assert_eq!((&run["one"], &run["two"], &run["third"]), (&json!(true), &json!(true), &json!(true)));
}

#[test]
fn an_edited_script_is_seen_at_the_next_run() {
    let text = |version: u32| {
        format!("function ProcessBlock() file.append('log.txt', '{version}\\n') return {{v = {version}}} end\n")
    };
    let block = "__usage: {longrunning: true}\nrun:\n  - {script: a.lua, every: 20ms, name: t}\n";
    let running = Run::block(block).file("a.lua", &text(1)).start();
    running.wait_for_file("log.txt", |log| log.contains("1\n"));
    for version in 2..6 {
        // Replaced as editors do, then written in place, within one tick of the file system's clock.
        std::fs::write(running.path("new.lua"), text(version)).unwrap();
        std::fs::rename(running.path("new.lua"), running.path("a.lua")).unwrap();
        running.wait_for_file("log.txt", |log| log.contains(&format!("{version}\n")));
        std::fs::write(running.path("a.lua"), text(version + 10)).unwrap();
        running.wait_for_file("log.txt", |log| log.contains(&format!("{}\n", version + 10)));
    }
    assert_eq!(running.interrupt().code, Some(0));
}
