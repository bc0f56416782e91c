//! `procblock check`: every problem of every file, nothing run.

use procblock::Value;

use crate::support::Folder;

#[test]
fn a_good_file_is_quiet() {
    let folder = Folder::new();
    folder.write("good.lua", "function ProcessBlock() return {} end\n");
    folder.write("good.py", "def ProcessBlock(*arguments):\n    return {}\n");
    folder.write(
        "good.yaml",
        "run:\n  - script: good.lua\n  - script: good.py\n  - lua: return {}\n  - python: |\n      if True:\n        return {}\n",
    );
    let ran = folder.procblock(&["check", "good.yaml", "good.yaml"]);
    assert_eq!((ran.code, ran.output.as_str(), ran.error.as_str()), (0, "", ""));
    let ran = folder.procblock(&["check", "-o", "json", "good.yaml"]);
    assert_eq!((ran.code, ran.output.as_str()), (0, "[]\n"));
}

#[test]
fn problems_of_files_and_of_their_scripts_are_told_together() {
    let folder = Folder::new();
    folder.write("one.lua", "function ProcessBlock()\n  return {a = }\nend\n");
    folder.write("two.py", "def ProcessBlock(pipe_data:\n    return {}\n");
    folder.write("tool", "#!/bin/sh\necho '{}'\n");
    folder.write(
        "one.yaml",
        "run:\n  - script: one.lua\n  - script: two.py\n  - script: tool\n  - script: oen.lua\n  - skript: a\n  - lua: |\n      \
         local a = 1\n      return {\n",
    );
    folder.write("two.yaml", "run:\n  - {shell: uptime, tiemout: 5}\n  - shell: echo a # b\n");
    let ran = folder.procblock(&["check", "-o", "json", "one.yaml", "two.yaml", "three.yaml"]);
    let list: Vec<Value> = serde_json::from_str(&ran.output).unwrap();
    let told: Vec<String> = list
        .iter()
        .map(|problem| {
            let text = |key: &str| procblock::value::to_text(&problem[key]);
            format!(
                "{}:{}:{} {}: {}; {}",
                text("file"),
                text("line"),
                text("column"),
                text("severity"),
                text("what"),
                text("remedy")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "one.lua:2:3 error: Lua: unexpected symbol near '}'; ",
            "one.yaml:4:13 error: the script tool is neither .lua nor .py and may not be executed; chmod +x tool",
            "one.yaml:5:13 error: there is no script oen.lua; did you mean \"one.lua\"?",
            "one.yaml:6:5 error: unknown key \"skript\" in a step; did you mean \"script\"?",
            "one.yaml:10:1 error: Lua: unexpected symbol near <eof>; ",
            "two.py:1:17 error: Python: '(' was never closed; ",
            "two.yaml:2:21 error: unknown key \"tiemout\" in a step; did you mean \"timeout\"?",
            "two.yaml:3:19 warning: the shell line ends here: in YAML \" #\" begins a comment; quote the value, or put the comment on its own line",
            "three.yaml:1:1 error: there is no file \"three.yaml\"; check the path",
        ]
    );
    assert_eq!(ran.code, 78);
}

#[test]
fn a_warning_refuses_a_file_only_when_asked() {
    let folder = Folder::new();
    folder.write("warned.yaml", "run:\n  - shell: echo a # b\n");
    let ran = folder.procblock(&["check", "warned.yaml"]);
    assert_eq!(ran.code, 0);
    assert!(ran.error.starts_with("warned.yaml:2:19: warning: "), "{}", ran.error);
    assert_eq!(folder.procblock(&["check", "--deny-warnings", "warned.yaml"]).code, 78);
}

#[test]
fn a_python_that_is_not_there_is_a_problem_of_the_first_step_that_needs_it() {
    let folder = Folder::new();
    folder.write("a.yaml", "__usage: {python: /no/such/python}\nrun:\n  - python: return {}\n");
    let ran = folder.procblock(&["check", "a.yaml"]);
    assert_eq!(ran.code, 78);
    assert!(ran.error.starts_with("a.yaml:3:13: the Python interpreter /no/such/python can't be run"), "{}", ran.error);
}
