//! The page of the shared things, from the functions that can be called by name.

use unidist::call::{FUNCTIONS, FunctionSpec};

use crate::docs::{Page, Part, example};
use crate::spec::{Example, Expected};

const ABOUT: &str = "Locks, counters, state, queues and logs that every script, block and command of a running file shares. The \
functions have the same names in Lua (`unidist.sharedcounter.increment('requests')`), in Python (after `import unidist`) and over \
the control socket. Durations are seconds. An argument with `?` may be left out; braces hold options: a table in Lua, keyword \
arguments in Python.";

const NAMES: &str = "Names that begin with `__` belong to the running file alone and are never stored. The lock `__running` is held as \
long as the file runs: releasing it stops the file. A lock belongs to the block that took it and is released at its end.";

/// Examples; run by a test.
pub const EXAMPLES: &[Example] = &[
    Example {
        yaml: "run:\n  - counter: {increment: requests, by: 5}\n  - lua: 'return {again = unidist.sharedcounter.increment(\"requests\")}'\n",
        expected: Expected::Result(r#"{"run": {"args": [], "count": 5, "again": 6}}"#),
    },
    Example {
        yaml: "run:\n  - lua: |\n      unidist.messagequeue.add('jobs', {n = 1}, {priority = 5})\n      local claim = unidist.messagequeue.claim('jobs', {lease = 10})\n      unidist.messagequeue.ack('jobs', claim.id)\n      return {n = claim.message.n, left = unidist.messagequeue.count('jobs')}\n",
        expected: Expected::Result(r#"{"run": {"args": [], "n": 1, "left": 0}}"#),
    },
];

/// The modules' names.
pub(super) fn modules() -> Vec<&'static str> {
    let mut names: Vec<&str> = FUNCTIONS.iter().filter_map(|function| function.name.split('.').next()).collect();
    names.dedup();
    names
}

/// Every function, a table for each module.
pub(super) fn page() -> Page {
    let mut parts = vec![
        Part::Heading(1, "unidist: the shared things".into()),
        Part::Paragraph(ABOUT.into()),
        Part::Paragraph(NAMES.into()),
    ];
    parts.extend(EXAMPLES.iter().flat_map(example));
    parts.extend(modules().into_iter().filter_map(section).flatten());
    Page { name: "unidist", summary: "locks, counters, state, queues and logs by name", parts }
}

/// The functions of one module, or one function; `None` when there are none.
pub(super) fn section(word: &str) -> Option<Vec<Part>> {
    let is_wanted = |function: &&FunctionSpec| {
        function.name == word
            || function.name.split_once('.').is_some_and(|(module, short)| module == word || short == word)
    };
    let rows: Vec<Vec<String>> = FUNCTIONS.iter().filter(is_wanted).map(row).collect();
    let table = Part::Table(vec!["function", "meaning"], rows.clone());
    (!rows.is_empty()).then(|| vec![Part::Heading(2, word.into()), table])
}

fn row(function: &FunctionSpec) -> Vec<String> {
    vec![format!("`{}({})`", function.name, function.arguments), function.summary.into()]
}
