//! The page of attributes, with an example of each.

use crate::docs::{Page, Part, example, fields};
use crate::spec::{Example, Expected, FieldSpec};
use crate::step::ATTRIBUTES;

const ABOUT: &str = "What any step may say besides what it does. Durations are `90` (seconds), `0.5`, `90s`, `10ms`, `1h30m`, `2d` \
or `00:05:00`; sizes are `65536` (bytes), `64KiB` or `10MB`. Values with `${…}` are filled in each time the step runs.";

const REPEATED: &str = "A step with `every` is a run-thread: it runs every so often from start to start, never overlapping itself. \
The list waits for its first result, then goes on; a later step reads the newest result with `thread: NAME`. In a file with \
`longrunning: true` it goes on until the file is stopped.";

const fn ok(yaml: &'static str, result: &'static str) -> Example {
    Example { yaml, expected: Expected::Result(result) }
}

/// An example of each attribute, by name; run by a test.
pub const EXAMPLES: &[(&str, Example)] = &[
    (
        "name",
        ok(
            "run:\n  - {name: where, shell: pwd, cwd: /}\n__return_tag: answer\nanswer: {__priority: 900, folder: '${run.where.output}'}\n",
            "{\"folder\": \"/\\n\"}",
        ),
    ),
    (
        "if",
        ok(
            "data: {load: 3}\nrun:\n  - {set: {state: busy}, if: load > 5}\n  - {set: {state: idle}, if: load <= 5}\n",
            r#"{"run": {"args": [], "load": 3, "state": "idle"}}"#,
        ),
    ),
    (
        "timeout",
        Example { yaml: "run:\n  - {shell: sleep 60, timeout: 100ms}\n", expected: Expected::Failure("timed out") },
    ),
    (
        "retry",
        ok(
            "run:\n  - lua: |\n      local tried = unidist.sharedcounter.increment('tried')\n      if tried < 3 then error('not yet') end\n      return {tried = tried}\n    retry: {attempts: 5, delay: 1ms}\n",
            r#"{"run": {"args": [], "tried": 3}}"#,
        ),
    ),
    (
        "on error",
        ok(
            "run:\n  - {exec: [/bin/false], on error: continue}\n  - set: {went_on: true}\n__return_tag: answer\nanswer: {__priority: 900, codes: '${run.status}'}\n",
            r#"{"codes": [1]}"#,
        ),
    ),
    (
        "loop",
        ok(
            "run:\n  - set: {total: 0}\n  - {set: {total: '${total + item}'}, loop: [1, 2, 3]}\n",
            r#"{"run": {"args": [], "total": 6}}"#,
        ),
    ),
    (
        "until",
        ok(
            "run:\n  - counter: {increment: rounds}\n    until: count >= 3\n    retry: {attempts: 10, delay: 1ms}\n",
            r#"{"run": {"args": [], "count": 3}}"#,
        ),
    ),
    (
        "env",
        ok(
            "run:\n  - {shell: printf %s \"$CITY\", env: {CITY: Nara}}\n__return_tag: answer\nanswer: {__priority: 900, said: '${run.output}'}\n",
            r#"{"said": "Nara"}"#,
        ),
    ),
    (
        "cwd",
        ok(
            "run:\n  - {shell: pwd, cwd: /, output: lines}\n__return_tag: answer\nanswer: {__priority: 900, said: '${run.output}'}\n",
            r#"{"said": ["/"]}"#,
        ),
    ),
    (
        "user",
        Example {
            yaml: "run:\n  - {exec: [id], user: nobody-of-that-name}\n",
            expected: Expected::Failure("nobody-of-that-name"),
        },
    ),
    (
        "limits",
        Example {
            yaml: "run:\n  - shell: ulimit -n\n    limits: {files: 64}\n    output: lines\n  - assert: output.0 == 63\n",
            expected: Expected::Failure("does not hold"),
        },
    ),
    (
        "output",
        ok(
            "run:\n  - shell: echo '{\"free\":12}'\n    output: json\n  - assert: free == 12\n__return_tag: answer\nanswer: {__priority: 900, free: '${run.free}'}\n",
            r#"{"free": 12}"#,
        ),
    ),
    (
        "allow",
        ok(
            "run:\n  - lua: 'return {there = file.exists(\"/\")}'\n    allow: [file]\n",
            r#"{"run": {"args": [], "there": true}}"#,
        ),
    ),
    (
        "every",
        ok(
            "run:\n  - {name: roll, every: 1s, lua: 'return {rolled = true}'}\n  - assert: rolled\n__return_tag: answer\nanswer: 1\n",
            "1",
        ),
    ),
    (
        "cache",
        ok(
            "run:\n  - {thread_id: roll, cache: 5, lua: 'return {rolled = true}'}\n  - assert: rolled\n__return_tag: answer\nanswer: 1\n",
            "1",
        ),
    ),
    (
        "thread_id",
        Example { yaml: "run:\n  - {cache: 5, lua: 'return {}'}\n", expected: Expected::Refused("no thread_id") },
    ),
    (
        "interval",
        ok(
            "run:\n  - {thread_id: roll, cache: 5, interval: 1s, lua: 'return {rolled = true}'}\n__return_tag: answer\nanswer: {__priority: 900, rolled: '${run.rolled}'}\n",
            r#"{"rolled": true}"#,
        ),
    ),
    (
        "history",
        Example {
            yaml: "run:\n  - {name: roll, every: 1s, history: 0, lua: 'return {}'}\n",
            expected: Expected::Refused("1 to 10000"),
        },
    ),
    (
        "duration",
        Example {
            yaml: "run:\n  - {lua: 'return {}', duration: 1h}\n",
            expected: Expected::Refused("for repeated steps"),
        },
    ),
    (
        "timeseries collect",
        Example {
            yaml: "run:\n  - name: load\n    every: 5s\n    system: [load]\n    timeseries collect:\n      path: load.rrd\n      fields: [load_1, load_5]\n      graph: {path: load.png, titel: Load}\n",
            expected: Expected::Refused("did you mean \"title\"?"),
        },
    ),
];

/// Every attribute, one section each.
pub(super) fn page() -> Page {
    let row = |spec: &FieldSpec| vec![format!("`{}`", spec.name), fields::words(&spec.kind), spec.text.to_string()];
    let mut parts = vec![
        Part::Heading(1, "Attributes of steps".into()),
        Part::Paragraph(ABOUT.into()),
        Part::Paragraph(REPEATED.into()),
        Part::Table(vec!["attribute", "value", "meaning"], ATTRIBUTES.iter().map(row).collect()),
    ];
    parts.extend(ATTRIBUTES.iter().flat_map(section));
    Page { name: "attributes", summary: "what any step may say besides what it does", parts }
}

/// One attribute.
pub(super) fn section(spec: &FieldSpec) -> Vec<Part> {
    let mut parts = vec![Part::Heading(2, spec.name.into()), Part::Paragraph(spec.text.into())];
    if let Some(default) = spec.default {
        parts.push(Part::Paragraph(format!("Default: `{default}`.")));
    }
    parts.extend(fields::value(&spec.kind));
    let own = EXAMPLES.iter().filter(|(name, _)| *name == spec.name);
    parts.extend(own.flat_map(|(_, shown)| example(shown)));
    parts
}
