//! `set VAR`: puts a value into pipe data.

use crate::block::{Compiler, Run, TagResult};
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::spec::{Example, Expected, FieldKind};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{DISCARD, Found, Tag, TagAction, ready};

/// Where tags that change pipe data stand.
pub(super) const PRIORITY: i32 = 50;

/// `set VAR: value`.
pub(super) struct Set;

impl Tag for Set {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Prefix { prefix: "set", variable: "VAR" },
            priority: Some(PRIORITY),
            summary: "Sets VAR in pipe data.",
            text: "Leaves nothing in the result itself.",
            value: FieldKind::Any,
            examples: &[Example {
                yaml: "set port: 8080\nurl: http://localhost:${port}/\n",
                expected: Expected::Result(r#"{"url": "http://localhost:8080/"}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let value = ValueTemplate::compile(&found.entry.value, &mut compiler.problems);
        Some(Box::new(SetAction { name: found.variable.to_string(), value }))
    }
}

struct SetAction {
    name: String,
    value: ValueTemplate,
}

impl TagAction for SetAction {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        ready(self.value.render(run).map_err(Into::into).and_then(|value| {
            run.pipe_data.insert(self.name.clone(), value);
            DISCARD
        }))
    }
}
