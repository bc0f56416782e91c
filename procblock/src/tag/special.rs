//! Keys that direct the loader and the processor and leave nothing in the result themselves.

use crate::block::Compiler;
use crate::spec::{Example, Expected, FieldKind};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, PlainValue, Tag, TagAction};
use crate::usage::USAGE_FIELDS;

/// Tags that the design names and a later version brings; refused by name until then.
pub(crate) const COMING_TAGS: &[&str] = &["services", "schedule", "watch", "alert", "notify", "tree"];

/// `__usage`: the file's name, options, arguments and life.
pub(super) struct Usage;

impl Tag for Usage {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("__usage"),
            priority: None,
            summary: "Names the file and declares its options, arguments and life.",
            text: "Stands at the top of the file only. `FILE --help` prints what it says.",
            value: FieldKind::Mapping(USAGE_FIELDS),
            examples: &[Example {
                yaml: "__usage:\n  name: greeter\n  args:\n    - {name: who, default: world}\ngreeting: hello ${who}\n",
                expected: Expected::Result(r#"{"greeting": "hello world"}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let is_top = found.parent.mark.line == 1 || found.parent.mark.column == 1;
        if !is_top {
            let what = "__usage stands inside a nested block";
            compiler.problems.error(&found.entry.mark, what, "move it to the top of the file");
        }
        None
    }
}

/// `__import__NAME: file`: resolved by the loader.
pub(super) struct Import;

impl Tag for Import {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("__import__NAME"),
            priority: None,
            summary: "Includes another YAML file under the key NAME.",
            text: "The path is relative to the folder of the file that names it. If NAME is there already, the included \
                   file's keys win. Cycles are refused.",
            value: FieldKind::Path,
            examples: &[Example {
                yaml: "__import__limits: missing.yaml\n",
                expected: Expected::Refused("missing.yaml"),
            }],
        }
    }

    fn compile(&self, _found: &Found<'_>, _compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        None
    }
}

/// `__load: file`: resolved by the loader.
pub(super) struct Load;

impl Tag for Load {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("__load"),
            priority: None,
            summary: "Merges another YAML file into this mapping; the file wins.",
            text: "The path is relative to the folder of the file that names it. Cycles are refused.",
            value: FieldKind::Path,
            examples: &[Example { yaml: "__load: missing.yaml\n", expected: Expected::Refused("missing.yaml") }],
        }
    }

    fn compile(&self, _found: &Found<'_>, _compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        None
    }
}

/// `__priority`: read by the compiler from the tag's value.
pub(super) struct Priority;

impl Tag for Priority {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("__priority"),
            priority: None,
            summary: "Inside a tag's mapping: its place in the order, instead of the tag's own.",
            text: "Lower runs first; tags of equal priority run in the order of the file.",
            value: FieldKind::Integer,
            examples: &[Example {
                yaml: "late: {__priority: 900, x: '${run.n}'}\nrun:\n  - set: {n: 1}\n__return_tag: late\n",
                expected: Expected::Result(r#"{"x": 1}"#),
            }],
        }
    }

    fn compile(&self, _found: &Found<'_>, _compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        None
    }
}

/// `__return_tag`: read by the compiler.
pub(super) struct ReturnTag;

impl Tag for ReturnTag {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("__return_tag"),
            priority: None,
            summary: "The block's result is the value of this tag, of any kind.",
            text: "A tag that is absent when the block has run is a failure.",
            value: FieldKind::Text,
            examples: &[
                Example {
                    yaml: "__return_tag: keep\nkeep: {a: 1}\ndrop: 2\n",
                    expected: Expected::Result(r#"{"a": 1}"#),
                },
                Example { yaml: "__return_tag: absent\nkeep: 5\n", expected: Expected::Failure("absent") },
            ],
        }
    }

    fn compile(&self, _found: &Found<'_>, _compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        None
    }
}

/// `script_path_prefix`: read by the compiler; data in the result, as in the original.
pub(super) struct ScriptPathPrefix;

impl Tag for ScriptPathPrefix {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("script_path_prefix"),
            priority: Some(500),
            summary: "Put before the relative script paths of this block and the blocks in it.",
            text: "Absolute script paths stay as they are.",
            value: FieldKind::Path,
            examples: &[Example {
                yaml: "script_path_prefix: scripts/\nrun:\n  - script: missing.lua\n",
                expected: Expected::Failure("scripts does not exist"),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        Some(Box::new(PlainValue::compile(&found.entry.value, &mut compiler.problems)))
    }
}
