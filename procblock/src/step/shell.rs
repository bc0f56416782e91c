//! `shell`: a line for the system's shell.

use std::ffi::OsString;

use crate::block::Compiler;
use crate::error::RunError;
use crate::expr::ShellLine;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind};
use crate::step::child::run_child;
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};

/// `shell: LINE`.
pub(super) struct Shell;

impl Step for Shell {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "shell",
            summary: "Runs a line with /bin/sh.",
            text: "`${…}` becomes a reference to a variable of the child, so a value is never read as shell code. The exit code is \
                   added to the list `status`, what it prints to `output` and `output_error`; with a `name` also under that name. \
                   An exit code other than 0 is a failure.",
            value: FieldKind::Text,
            examples: &[
                Example {
                    yaml: "data: {who: 'a $(b) c'}\nrun:\n  - shell: printf '%s' ${who}\n__return_tag: said\nsaid: {__priority: 900, text: '${output}'}\n",
                    expected: Expected::Result(r#"{"text": "a $(b) c"}"#),
                },
                Example { yaml: "run:\n  - shell: exit 3\n", expected: Expected::Failure("exited with code 3") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let node = &entry.value;
        let text = crate::value::to_text(&node.to_value());
        if let Some(comment) = node.comment_after() {
            let what = "the shell line ends here: in YAML \" #\" begins a comment";
            compiler.problems.warning(&comment, what, "quote the value, or put the comment on its own line");
        }
        match ShellLine::parse(&text) {
            Ok(line) => Some(Box::new(ShellAction { line })),
            Err(error) => {
                compiler.problems.error(&node.mark_within(error.column), error.message, error.remedy);
                None
            }
        }
    }
}

struct ShellAction {
    line: ShellLine,
}

impl StepAction for ShellAction {
    fn gathers(&self) -> bool {
        true
    }

    fn keeps_time(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let variables = self.line.render(&*step.run).map_err(|error| RunError::failed(error.to_string()))?;
            let arguments: Vec<OsString> = vec!["/bin/sh".into(), "-c".into(), self.line.text().into()];
            run_child(step, arguments, variables).await
        })
    }
}
