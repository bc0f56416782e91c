//! `data`: the defaults of the input.

use crate::block::Compiler;
use crate::expr::ValueTemplate;
use crate::spec::{Example, Expected, FieldKind};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction};

/// `data`: read before the run starts; any key is allowed inside.
pub(super) struct Data;

impl Tag for Data {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("data"),
            priority: None,
            summary: "Defaults of the input: pipe data starts as this, overlaid by options and arguments.",
            text: "Any key is allowed inside, also one that would be a tag elsewhere. Values are literal.",
            value: FieldKind::MapOf(&FieldKind::Any),
            examples: &[Example {
                yaml: "data: {city: Kyoto}\nanswer: ${city}\n",
                expected: Expected::Result(r#"{"answer": "Kyoto"}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let node = &found.entry.value;
        if node.entries().is_none() {
            let what = format!("data is a {}", node.kind_name());
            compiler.problems.error(&node.mark, what, "expected a mapping of names to values");
        } else if !ValueTemplate::compile(node, &mut compiler.problems).is_literal() {
            let what = "data holds ${…}, but it is read before anything runs";
            compiler.problems.error(&found.entry.mark, what, "write the value itself, or use a set: step");
        }
        None
    }
}
