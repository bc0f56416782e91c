//! `exec`: a program with its arguments, without a shell.

use std::ffi::OsString;

use crate::block::{Compiler, FileUse, FileUseKind};
use crate::error::RunError;
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind};
use crate::step::child::run_child;
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::{Value, kind_name, to_text};

/// `exec: [PROGRAM, ARGUMENT…]`.
pub(super) struct Exec;

impl Step for Exec {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "exec",
            summary: "Runs a program with a list of arguments; no shell.",
            text: "Each `${…}` fills one argument, whatever it holds; one that is a list adds an argument for each of its items. \
                   Results and failures are those of `shell`.",
            value: FieldKind::ListOf(&FieldKind::Any),
            examples: &[
                Example {
                    yaml: "data: {file: 'a b; c'}\nrun:\n  - exec: [printf, '%s', '${file}']\n__return_tag: said\nsaid: {__priority: 900, text: '${output}'}\n",
                    expected: Expected::Result(r#"{"text": "a b; c"}"#),
                },
                Example { yaml: "run:\n  - exec: [no-such-program]\n", expected: Expected::Failure("no-such-program") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, attributes: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        if entry.value.items().is_some_and(<[_]>::is_empty) {
            compiler.problems.error(&entry.value.mark, "exec is an empty list", "expected [PROGRAM, ARGUMENT…]");
            return None;
        }
        let program = entry.value.items().and_then(<[_]>::first);
        if let Some(node) = program.filter(|_| attributes.cwd.is_none() && attributes.env.is_none()) {
            compiler.files_named.push(FileUse { kind: FileUseKind::Program, node: node.clone() });
        }
        Some(Box::new(ExecAction { arguments: ValueTemplate::compile(&entry.value, &mut compiler.problems) }))
    }
}

struct ExecAction {
    arguments: ValueTemplate,
}

impl ExecAction {
    fn fill(&self, step: &StepRun<'_>) -> Result<Vec<OsString>, RunError> {
        let Value::Array(items) = self.arguments.render(&*step.run)? else {
            return Err(RunError::failed("exec is not a list"));
        };
        let mut arguments = Vec::with_capacity(items.len());
        for item in &items {
            match item {
                Value::Array(more) => arguments.extend(more.iter().map(|value| OsString::from(to_text(value)))),
                Value::Object(_) | Value::Null => {
                    return Err(RunError::failed(format!("an argument of exec is a {}", kind_name(item))));
                }
                value => arguments.push(to_text(value).into()),
            }
        }
        Ok(arguments)
    }
}

impl StepAction for ExecAction {
    fn gathers(&self) -> bool {
        true
    }

    fn keeps_time(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let arguments = self.fill(step)?;
            run_child(step, arguments, Vec::new()).await
        })
    }
}
