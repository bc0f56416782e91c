//! The page of Lua: the entry point, what a script may use, its limits.

use crate::docs::{Page, Part, example, unidist};
use crate::spec::{Example, Expected};

/// A function of a Lua module.
#[derive(Debug)]
pub struct Function {
    /// `module.function`.
    pub name: &'static str,
    /// Its arguments: `?` marks what may be left out, braces hold options.
    pub arguments: &'static str,
    /// What it does and gives.
    pub summary: &'static str,
}

const fn function(name: &'static str, arguments: &'static str, summary: &'static str) -> Function {
    Function { name, arguments, summary }
}

/// The modules of Lua besides `unidist`; a test compares them with what a script finds.
pub const MODULES: &[Function] = &[
    function("json.array", "list?", "Marks a table as a list, so that an empty one stays `[]`."),
    function("json.decode", "text", "The value of a JSON text, of up to a quarter of the memory limit."),
    function("json.encode", "value, indent?", "The value as JSON; `true` for indented lines."),
    function("json.null", "", "The JSON null, which `nil` can't be inside a table. A value, not a function."),
    function("log.debug", "values…", "A line in the log, shown with `-vv`."),
    function("log.error", "values…", "A line in the log, always shown."),
    function("log.info", "values…", "A line in the log, shown with `-v`; `print` does the same."),
    function("log.warn", "values…", "A line in the log, always shown."),
    function(
        "random.token",
        "bytes?",
        "A text that nobody can guess, for sessions and the like: 32 random bytes (8 to 1,024) in letters, digits, `-` and `_`. \
         `math.random` can be guessed.",
    ),
    function(
        "time.format",
        "seconds?, pattern?",
        "A time as text; now and UTC as `2030-12-31T23:59:59Z` unless told. The pattern is that of `os.date`, up to 1 KiB.",
    ),
    function("time.monotonic", "", "Seconds of a clock that is never set."),
    function("time.now", "", "Seconds since 1970, with decimals."),
    function("time.sleep", "duration", "Waits; holds no thread."),
    function("file.append", "path, text", "Adds text to the end of a file."),
    function(
        "file.copy",
        "path, target",
        "Copies a file of any kind and size, atomically; so is an upload kept: `file.copy(input_data.photo.file, \"photo.jpg\")`.",
    ),
    function("file.exists", "path", "Whether there is such a file or folder."),
    function("file.list", "folder", "The names in a folder, sorted."),
    function("file.read", "path", "The text of a file of at most 16 MiB."),
    function("file.remove", "path", "Removes a file."),
    function("file.write", "path, text", "Replaces a file, atomically."),
    function(
        "http.get",
        "url, {query, headers, user, password, token, expect, as, timeout, size_max, …}?",
        "Sends a request and gives `{status, url, headers, json or body, duration}`. The options are the fields of the step \
         `http`, and `timeout` (30 s); any status is an answer unless `expect` says which ones. `http.get{url = …}` is the same.",
    ),
    function("http.post", "url, {json, form or body, …}?", "The same with POST."),
    function("http.request", "url, {method, …}?", "The same with any method."),
    function(
        "rpc.call",
        "url, name, {arguments}?, {timeout, token, json_rpc, …}?",
        "Calls a procedure of another instance, at `URL/rpc/NAME`, and gives its reply.",
    ),
    function(
        "process.run",
        "{program, argument…}, {stdin, cwd, env, timeout, user}?",
        "Runs a program and gives `{status, output, output_error}`.",
    ),
    function(
        "timeseries.fetch",
        "path, {from, to, resolution, consolidation}?",
        "Rows of a round-robin file; `from` (the last hour) and `to` are seconds since 1970, or not above 0 before now.",
    ),
    function(
        "timeseries.info",
        "path",
        "What a round-robin file holds: its step, its columns with their newest samples, its archives.",
    ),
    function("timeseries.last", "path", "The newest sample of a round-robin file."),
    function("timeseries.safe_key", "key", "A series' `key` as file names have it: of `/home` it is `slashhome`."),
    function("timeseries.status", "", "Every series of this run: path, counts, newest sample, error."),
];

const ENTRY: &str = "A `.lua` file defines the function `ProcessBlock`; the text of a `lua:` step is its body. The mapping that it \
returns is merged into pipe data; `nil` is an empty one, any other kind is a failure. It gets copies: changing an argument \
changes nothing.";

const FILE: &str = "function ProcessBlock(pipe_data, block, request_state, input_data, tag, cwd, env, block_parent)\n  return {double = pipe_data.n * 2}\nend";

const RULES: [&str; 4] = [
    "Lua 5.4. File-level code runs once per state and version of the file; an edit is seen at the next run. Globals are the script's \
     own and may be lost at any time: what is to stay goes to `unidist`. `require \"lib.mail\"` loads `lib/mail.lua` beside the \
     script.",
    "A call ends at its step's `timeout`, whatever it does: loops, coroutines, `pcall`, patterns. A state has 64 MiB of memory \
     (`limits: {memory: …}`). `io`, `os.execute`, `debug`, `string.dump`, bytecode and `__gc` are not there.",
    "Lists stay lists and integers stay integers on the way in and out; an empty table is a mapping unless `json.array` marked it.",
    "In scripts of block files all modules are there; in those of pages and RPCs `process`, `file`, `http` and `rpc` need \
     `allow: [file]`.",
];

/// Examples; run by a test.
pub const EXAMPLES: &[Example] = &[
    Example {
        yaml: "data: {n: 4}\nrun:\n  - lua: |\n      local list = json.array()\n      for i = 1, pipe_data.n do list[i] = i * i end\n      return {squares = list}\n",
        expected: Expected::Result(r#"{"run": {"args": [], "n": 4, "squares": [1, 4, 9, 16]}}"#),
    },
    Example {
        yaml: "run:\n  - lua: |\n      unidist.sharedstate.set('sites', 'kyoto', {up = true})\n      return {kyoto = unidist.sharedstate.get('sites', 'kyoto')}\n",
        expected: Expected::Result(r#"{"run": {"args": [], "kyoto": {"up": true}}}"#),
    },
    Example {
        yaml: "run:\n  - lua: |\n      local answer = process.run({'/bin/echo', 'hello'}, {timeout = 5})\n      return {said = answer.output}\n",
        expected: Expected::Result("{\"run\": {\"args\": [], \"said\": \"hello\\n\"}}"),
    },
    Example {
        yaml: "run:\n  - lua: while true do end\n    timeout: 50ms\n",
        expected: Expected::Failure("time limit of 50ms"),
    },
];

/// The entry point, the rules, the modules.
pub(super) fn page() -> Page {
    let mut parts = vec![Part::Heading(1, "Lua".into()), Part::Paragraph(ENTRY.into()), Part::Code("lua", FILE.into())];
    parts.extend(RULES.iter().map(|rule| Part::Paragraph((*rule).into())));
    parts.push(Part::Heading(2, "Examples".into()));
    parts.extend(EXAMPLES.iter().flat_map(example));
    parts.push(Part::Heading(2, "Modules".into()));
    parts.push(Part::Paragraph("An argument in braces is a table of options. A failure raises an error.".into()));
    parts.push(table(MODULES.iter()));
    parts.push(Part::Paragraph(format!(
        "`unidist` holds the shared things: {}. Page `unidist` has all their functions.",
        unidist::modules().join(", ")
    )));
    Page { name: "lua", summary: "scripts in Lua and the modules they may use", parts }
}

fn table<'a>(functions: impl Iterator<Item = &'a Function>) -> Part {
    let rows = functions.map(|function| {
        let called = if function.name == "json.null" {
            function.name.to_string()
        } else {
            format!("{}({})", function.name, function.arguments)
        };
        vec![format!("`{called}`"), function.summary.to_string()]
    });
    Part::Table(vec!["function", "meaning"], rows.collect())
}

/// The functions of one module, or one function; `None` when there are none.
pub(super) fn section(word: &str) -> Option<Vec<Part>> {
    let found: Vec<&Function> = MODULES
        .iter()
        .filter(|function| function.name == word || function.name.split('.').next() == Some(word))
        .collect();
    let is_there = !found.is_empty();
    is_there.then(|| vec![Part::Heading(2, format!("{word} (in scripts)")), table(found.into_iter())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_that_scripts_may_call_is_described() {
        let described: Vec<&str> = MODULES.iter().map(|function| function.name).collect();
        for name in crate::host::api::functions() {
            let is_shared = ::unidist::call::FUNCTIONS.iter().any(|function| function.name == name);
            assert!(is_shared || described.contains(&name.as_str()), "{name} has no line in docs/lua.rs");
        }
    }
}
