//! `blocks`: named blocks that `call` runs.

use crate::block::Compiler;
use crate::spec::{Example, Expected, FieldKind};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction};

/// `blocks`: definitions only; each is compiled when a `call` names it, and checked in any case.
pub(super) struct Blocks;

impl Tag for Blocks {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("blocks"),
            priority: None,
            summary: "Named blocks that `call` steps run; not run by themselves.",
            text: "Names are the user's own. A block may call others, at most 64 deep.",
            value: FieldKind::MapOf(&FieldKind::Block),
            examples: &[Example {
                yaml: "blocks:\n  double:\n    twice: ${n * 2}\nrun:\n  - call: {block: double, data: {n: 4}}\n  - set: {n: '${twice}'}\n__return_tag: answer\nanswer: {__priority: 900, n: '${run.n}'}\n",
                expected: Expected::Result(r#"{"n": 8}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        for entry in found.entry.value.entries().unwrap_or_default() {
            compiler.called(None, Some(&entry.key), &entry.mark);
        }
        None
    }
}
