//! The page of expressions and `${…}`.

use crate::docs::{Page, Part};
use crate::expr::{FUNCTIONS, FunctionSpec};

const ABOUT: &str = "One small language stands in `if` tags, in the attributes `if` and `until`, in `assert`, and inside `${…}`. \
Names are looked up in this order: pipe data, `run` and the results of earlier tags, then `data`, `args`, `env.X`, `node` \
(this machine's name), `block`, `error` (in `on error` and `always`) and `message` (in workers).";

const RULES: [&str; 6] = [
    "`and`, `or`, `not`; `==`, `!=`, `<`, `<=`, `>`, `>=`; `in`, `not in` (is the left side in the right one); `has`, `hasno` (the \
     other way round); `is empty`, `is not empty`; `+ - * / %`; parentheses.",
    "Literals: numbers, `'text'` or `\"text\"`, `true`, `false`, `null`, lists such as `[1, 2]`.",
    "Paths: `disk.used`, `list.0` (the first), `list.-1` (the last), `hosts.(name)` (the key that `name` holds), `a[\"x y\"]`.",
    "What is missing equals nothing and orders false; `!=` is the negation of `==`. A path through null or through a number is \
     missing, too.",
    "A text that is wholly a decimal number counts as that number beside a number; two texts compare as texts; other kinds are \
     never equal and order false.",
    "A mistake in an expression is told with its column when the file is loaded.",
];

const FILLING: [&str; 4] = [
    "`${…}` is filled in when the value is needed. A value that is exactly one `${…}` keeps its kind: `n: ${count}` is a number. \
     Within a longer text it becomes text.",
    "`${NAME:-default}` gives the default when NAME is missing; without a default a missing name is an error. `$${` is a literal \
     `${`.",
    "In `shell`, `${…}` becomes a reference to a variable of the child, never text: no value can become code. The shell's own `$NAME`, \
     `$(…)` and `${x%…}` stay the shell's; `$${NAME}` is the shell's `${NAME}`. `${…}` inside single quotes is refused, because \
     the shell would not read it.",
    "In YAML, quote a value with `${…}` inside `{…}` or `[…]`, or when `: ` stands in it.",
];

/// Expressions with what they give over [`DATA`]; run by a test.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("load > 2 and node_count == 3", "true"),
    ("'db1' in hosts", "true"),
    ("hosts has 'db9'", "false"),
    ("hosts.-1", "\"web1\""),
    ("sizes.(which) * 2", "20"),
    ("sizes[\"with space\"]", "30"),
    ("missing < 5", "false"),
    ("missing != 5", "true"),
    ("text_number > 9", "true"),
    ("missing is empty", "true"),
    ("round(load / 3, 2)", "1.17"),
    ("default(missing, 'none')", "\"none\""),
    ("matches(hosts.0, '^db[0-9]+$')", "true"),
];

/// What the names in [`EXAMPLES`] hold, as JSON.
pub const DATA: &str = r#"{"load": 3.5, "node_count": 3, "text_number": "10", "hosts": ["db1", "web1"], "which": "small", "sizes": {"small": 10, "with space": 30}}"#;

/// Rules, examples and functions.
pub(super) fn page() -> Page {
    let rows =
        EXAMPLES.iter().map(|(expression, value)| vec![format!("`{expression}`"), format!("`{value}`")]).collect();
    let mut parts = vec![Part::Heading(1, "Expressions and `${…}`".into()), Part::Paragraph(ABOUT.into())];
    parts.extend(RULES.iter().map(|rule| Part::Paragraph((*rule).into())));
    parts.push(Part::Heading(2, "Examples".into()));
    parts.push(Part::Paragraph("Over these data:".into()));
    parts.push(Part::Code("json", DATA.into()));
    parts.push(Part::Table(vec!["expression", "gives"], rows));
    parts.push(Part::Heading(2, "Functions".into()));
    parts.push(Part::Table(vec!["function", "gives"], FUNCTIONS.iter().map(row).collect()));
    parts.push(Part::Heading(2, "Filling in values: `${…}`".into()));
    parts.extend(FILLING.iter().map(|rule| Part::Paragraph((*rule).into())));
    Page { name: "expressions", summary: "conditions, computed values and `${…}`", parts }
}

fn row(function: &FunctionSpec) -> Vec<String> {
    vec![format!("`{}`", function.signature), format!("{}.", function.summary)]
}

/// One function.
pub(super) fn section(function: &FunctionSpec) -> Vec<Part> {
    vec![
        Part::Heading(2, format!("{} (in expressions)", function.name)),
        Part::Table(vec!["function", "gives"], vec![row(function)]),
    ]
}
