//! `python`: Python code in the block file.

use std::sync::Arc;

use crate::block::Compiler;
use crate::load::Entry;
use crate::script;
use crate::spec::{Example, Expected, FieldKind};
use crate::step::lua::TextScript;
use crate::step::shared::{first_line, source_name};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction};

/// `python: TEXT`.
pub(super) struct Python;

impl Step for Python {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "python",
            summary: "Runs Python code written in the block file, in a warm worker process.",
            text: "The text is the body of a function that sees `pipe_data`, `block`, `request_state`, `input_data`, `tag`, `cwd`, \
                   `env` and `block_parent`; the mapping that it returns is merged into pipe data. `${…}` is not read in it. \
                   `import unidist` reaches the instance's shared things.",
            value: FieldKind::Text,
            examples: &[Example {
                yaml: "run:\n  - python: |\n      total = sum([1, 2, 3])\n      return {'total': total}\n",
                expected: Expected::Result(r#"{"run": {"args": [], "total": 6}}"#),
            }],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let script = Arc::new(script::Script::Python {
            name: source_name(&entry.value),
            text: Arc::from(entry.value.as_text()?),
            first_line: first_line(&entry.value),
        });
        compiler.add_script(Some(&script), &entry.value);
        Some(Box::new(TextScript(script)))
    }
}
