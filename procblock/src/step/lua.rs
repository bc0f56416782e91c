//! `lua`: Lua code in the block file.

use std::sync::Arc;

use crate::block::Compiler;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::script;
use crate::spec::{Example, Expected, FieldKind};
use crate::step::shared::{call_script, first_line, source_name};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};

/// `lua: TEXT`.
pub(super) struct Lua;

impl Step for Lua {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "lua",
            summary: "Runs Lua code written in the block file.",
            text: "The text is the body of a function that sees `pipe_data`, `block`, `request_state`, `input_data`, `tag`, `cwd`, \
                   `env` and `block_parent`; the mapping that it returns is merged into pipe data. `${…}` is not read in it: \
                   values come from pipe data.",
            value: FieldKind::Text,
            examples: &[
                Example {
                    yaml: "run:\n  - lua: 'return {double = (pipe_data.n or 4) * 2}'\n",
                    expected: Expected::Result(r#"{"run": {"args": [], "double": 8}}"#),
                },
                Example { yaml: "run:\n  - lua: 'return 5'\n", expected: Expected::Failure("number") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let script = Arc::new(script::Script::Lua {
            name: source_name(&entry.value),
            text: Arc::from(entry.value.as_text()?),
            first_line: first_line(&entry.value),
        });
        compiler.add_script(Some(&script), &entry.value);
        Some(Box::new(TextScript(script)))
    }
}

/// A script whose text stands in the block file.
pub(super) struct TextScript(pub(super) Arc<script::Script>);

impl StepAction for TextScript {
    fn keeps_time(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(call_script(&self.0, step))
    }
}
