//! The page of `__usage`.

use crate::docs::{Page, Part, example, fields};
use crate::spec::{Example, Expected};
use crate::usage::USAGE_FIELDS;

const ABOUT: &str = "`__usage` stands at the top of a block file and says what the file is, what may stand behind it on the command \
line, and how long it lives. `procblock FILE --help` prints it. Options and arguments become input: they stand over `data:`, \
and pipe data starts as the two together. An option with a `type` is converted and checked; without one it is text.";

const FREE: &str = "Without `options` and `args` a file takes anything: leading `--name value` pairs become input of that name, always \
text, and from the first other word on everything is in the list `args`.";

/// Examples; run by a test, which gives no option and no argument.
pub const EXAMPLES: &[Example] = &[
    Example {
        yaml: "__usage:\n  name: sweep\n  info: Removes old files.\n  args:\n    - {name: folder, default: /tmp, info: Where to look.}\n  options:\n    days: {letter: d, type: number, default: 30, info: How old is old.}\n    dry run: {letter: n, info: Only show.}\n    how: {type: choice, choices: [fast, thorough], default: fast}\nplan: ${folder} after ${days} days, ${how}\n",
        expected: Expected::Result(r#"{"plan": "/tmp after 30 days, fast"}"#),
    },
    Example { yaml: "__usage:\n  nmae: sweep\n", expected: Expected::Refused("did you mean \"name\"?") },
];

/// Every key of `__usage`.
pub(super) fn page() -> Page {
    let mut parts =
        vec![Part::Heading(1, "__usage".into()), Part::Paragraph(ABOUT.into()), Part::Paragraph(FREE.into())];
    parts.extend(fields::tables(USAGE_FIELDS));
    parts.extend(EXAMPLES.iter().flat_map(example));
    Page { name: "usage", summary: "a file's name, options, arguments and life", parts }
}
