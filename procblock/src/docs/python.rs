//! The page of Python and of other languages.

use crate::docs::{Page, Part, example};
use crate::spec::{Example, Expected};

const ENTRY: &str = "A `.py` file defines the function `ProcessBlock`; the text of a `python:` step is its body. The mapping that it \
returns is merged into pipe data; `None` is an empty one, any other kind is a failure. Parameters at the end may be left out.";

const FILE: &str = "def ProcessBlock(pipe_data, block, request_state, input_data, tag, cwd, env, block_parent):\n    return {'double': pipe_data['n'] * 2}";

const RULES: [&str; 4] = [
    "Scripts run in warm worker processes of Python 3: one call at a time a worker, replaced after 1,000 calls or 256 MB. An \
     edited file is loaded anew. Standard input is empty; what is printed becomes log lines with script and line. A traceback \
     becomes an error with file and line.",
    "`import unidist` reaches the shared things of the running file, by the same names as in Lua: \
     `unidist.sharedcounter.increment('requests')`, `unidist.http.get(url, timeout=5)`. Pages `unidist` and `lua` have all functions; \
     options are keyword arguments.",
    "`__usage: {python: /path/to/python3}` chooses the interpreter, such as one of a virtual environment.",
    "Any other executable file is a child process: it gets `{\"pipe_data\", \"input_data\", \"request_state\", \"tag\"}` as JSON on \
     standard input and prints JSON, which is merged when it is a mapping, or text. An exit code other than 0 is a failure.",
];

/// Examples; run by a test.
pub const EXAMPLES: &[Example] = &[
    Example {
        yaml: "data: {n: 4}\nrun:\n  - python: |\n      return {'squares': [i * i for i in range(pipe_data['n'])]}\n",
        expected: Expected::Result(r#"{"run": {"args": [], "n": 4, "squares": [0, 1, 4, 9]}}"#),
    },
    Example {
        yaml: "run:\n  - python: |\n      import unidist\n      return {'count': unidist.sharedcounter.increment('visits', 2)}\n",
        expected: Expected::Result(r#"{"run": {"args": [], "count": 2}}"#),
    },
    Example { yaml: "run:\n  - python: raise ValueError('no disk')\n", expected: Expected::Failure("no disk") },
];

/// The entry point and the rules.
pub(super) fn page() -> Page {
    let mut parts = vec![
        Part::Heading(1, "Python and other languages".into()),
        Part::Paragraph(ENTRY.into()),
        Part::Code("python", FILE.into()),
    ];
    parts.extend(RULES.iter().map(|rule| Part::Paragraph((*rule).into())));
    parts.push(Part::Heading(2, "Examples".into()));
    parts.extend(EXAMPLES.iter().flat_map(example));
    Page { name: "python", summary: "scripts in Python and in any other language", parts }
}
