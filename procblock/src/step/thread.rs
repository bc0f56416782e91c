//! `thread`: the newest result of a run-thread.

use crate::block::Compiler;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind, Setting};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};

/// `thread: NAME`.
pub(super) struct Thread;

impl Step for Thread {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "thread",
            summary: "The newest result of a run-thread of this instance, with its `age` in seconds.",
            text: "Waits for the first result if there is none yet. A name that no step has started is a failure.",
            value: FieldKind::Text,
            examples: &[
                Example {
                    yaml: "run:\n  - {name: ticker, every: 1h, set: {n: 5}}\n  - thread: ticker\n  - assert: n == 5 and age < 60\n__return_tag: answer\nanswer: {__priority: 900, n: '${n}'}\n",
                    expected: Expected::Result(r#"{"n": 5}"#),
                },
                Example { yaml: "run:\n  - thread: absent\n", expected: Expected::Failure("absent") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        Some(Box::new(ThreadAction { name: Setting::compile(&entry.value, &mut compiler.problems)? }))
    }
}

struct ThreadAction {
    name: Setting<String>,
}

impl StepAction for ThreadAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let name = self.name.get(&*step.run)?;
            Ok(step.run.instance.threads.newest(&name, &step.run.stop).await?)
        })
    }
}
