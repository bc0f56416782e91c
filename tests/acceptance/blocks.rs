//! Includes and nesting. What can be said as data stands in `tests/cases/blocks/` and `tests/cases/conditions/`.

use serde_json::json;

use crate::support::Run;

#[test]
fn an_import_wins_over_the_mapping_it_is_put_in() {
    let ended = Run::block("__import__a: sub/f.yaml\na: {kept: 1, both: here}\n")
        .file("sub/f.yaml", "both: file\n__import__inner: g.yaml\n")
        .file("sub/g.yaml", "deep: true\n")
        .end();
    assert_eq!(ended.result(), json!({"a": {"kept": 1, "both": "file", "inner": {"deep": true}}}));
}

#[test]
fn an_import_that_is_missing_is_named_with_the_file_that_names_it() {
    let ended = Run::block("a: 1\n__import__b: sub/absent.yaml\n").end();
    let told = ended.refusal();
    assert!(told.contains("block.yaml:2:") && told.contains("absent.yaml"), "{told}");
}

#[test]
fn load_merges_a_file_into_its_mapping() {
    let ended = Run::block("a: 1\nb: 2\n__load: f.yaml\n").file("f.yaml", "b: 3\nc: 4\n").end();
    assert_eq!(ended.result(), json!({"a": 1, "b": 3, "c": 4}));
}

#[test]
fn files_that_load_each_other_are_refused() {
    let ended =
        Run::block("__load: a.yaml\n").file("a.yaml", "__load: b.yaml\n").file("b.yaml", "__load: a.yaml\n").end();
    assert!(ended.refusal().contains("a.yaml"), "{ended}");
}

#[test]
fn scripts_of_an_included_file_stand_beside_it() {
    let ended = Run::block("__import__part: sub/part.yaml\n")
        .file("sub/part.yaml", "run:\n  - script: here.lua\n")
        .file("sub/here.lua", "function ProcessBlock() return {here = true} end")
        .end();
    assert_eq!(ended.result()["part"]["run"]["here"], true);
}

#[test]
fn a_tag_that_would_make_an_object_executes_nothing() {
    let block = "a: !!python/object/apply:os.system ['touch made']\n";
    let ended = Run::block(block).end();
    assert!(ended.refusal().contains("block.yaml:1:4"), "{ended}");
    assert!(!ended.path("made").exists());
}

#[test]
fn a_block_that_calls_itself_for_ever_fails() {
    let ended = Run::block("blocks:\n  again: {run: [{call: again}]}\nrun: [{call: again}]\n").end();
    let told = ended.failure()["error"]["message"].as_str().unwrap().to_string();
    assert!(told.contains("more than 64 deep"), "{told}");
}

#[test]
fn so_does_one_in_a_list_of_its_own_and_in_a_run_thread() {
    let blocks = "blocks:\n  self: {run: [{call: self}]}\n";
    for block in ["run simultaneous:\n  list: [{call: self}]\n", "run: [{call: self, every: 1h, name: t}]\n"] {
        let ended = Run::block(&format!("{block}{blocks}")).end();
        let error = ended.failure()["error"]["message"].as_str().unwrap().to_string();
        assert!(error.contains("more than 64 deep"), "{ended}");
    }
}

#[test]
fn a_failure_prints_the_result_so_far_with_its_place() {
    let ended = Run::block("a: 1\nrun:\n  - set: {b: 2}\n  - lua: error('broken on purpose')\n").end();
    let failure = ended.failure();
    assert_eq!((&failure["a"], &failure["run"]["b"]), (&json!(1), &json!(2)));
    assert!(failure["error"]["place"].as_str().unwrap().starts_with("block.yaml:4"), "{ended}");
    assert!(ended.stderr.contains("broken on purpose"), "{ended}");
}

#[test]
fn a_lock_is_released_when_its_block_fails() {
    let block = "
first:
  require lock: {name: one, wait: 0}
  run: [{exec: [/bin/false], on error: continue}, {exec: [/bin/true]}]
second:
  require lock: {name: one, wait: 0}
  held: true
third:
  require lock: {name: one, wait: 0}
  run: [{exec: [/bin/false]}]
";
    let ended = Run::block(block).end();
    assert_eq!(ended.failure()["second"]["held"], true);
    let again = Run::again(&ended).end();
    assert_eq!(again.failure()["error"]["message"], "/bin/false exited with code 1");
}

#[test]
fn two_processes_exclude_each_other_by_a_lock() {
    let block = "require lock: {name: shared, wait: 0}\nrun: [{exec: [touch, held]}, {sleep: 1h}]\n";
    let first = Run::block(block).start();
    first.wait_for_file("held", |_| true);
    let runtime = first.path(".runtime");
    let second =
        Run::block(block).variable("XDG_RUNTIME_DIR", runtime.to_str().unwrap()).own(["--name", "other"]).end();
    assert!(second.failure()["error"]["message"].as_str().unwrap().contains("shared"), "{second}");
    assert_eq!(first.interrupt().code, Some(130), "a short file ended by a signal");
}

#[test]
fn a_value_that_would_hold_itself_once_more_in_every_round_is_refused() {
    let (deeper, nested) = ("would nest deeper than 100 levels", "nested deeper than 64 levels");
    let blocks = "blocks:\n  grow: {list add d: '${c}', c: '${d}'}\n";
    let steps = [
        ("set: {a: {b: '${a}'}}", deeper),
        ("set: {a: '${[a]}'}", deeper),
        ("lua: 'return {a = {b = pipe_data.a}}'", nested),
        ("python: 'return {\"a\": {\"b\": pipe_data[\"a\"]}}'", nested),
        (r#"{exec: [echo, '{"a": {"b": ${a}}}'], output: json}"#, deeper),
        ("call: grow", "d would nest deeper than 100 levels; is it added to itself?"),
    ];
    for (step, told) in steps {
        let step = step.trim_start_matches('{').trim_end_matches(if step.starts_with('{') { "}" } else { "" });
        let ended = Run::block(&format!("data: {{a: 1, c: []}}\nrun:\n  - {{{step}, loop: 10000}}\n{blocks}")).end();
        let error = ended.failure()["error"]["message"].as_str().unwrap().to_string();
        assert!(error.contains(told), "{step}: {error}");
    }
    // Tags that each hold the one before.
    let mut tower = String::from("t0: []\n");
    for level in 1..=10_000 {
        tower.push_str(&format!("t{level}: ['${{t{}}}']\n", level - 1));
    }
    let ended = Run::block(&tower).end();
    assert!(ended.failure()["error"]["message"].as_str().unwrap().contains(deeper), "{}", ended.stderr);
    let dotted = format!("{}=1", vec!["a"; 100_000 / 2].join("."));
    let ended = Run::block("run: []\n").own(["--set", &dotted]).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), "error: --set: a name has more than 100 parts\n"));
}
