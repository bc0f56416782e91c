//! `cd`: the folder of the steps that follow.

use crate::block::Compiler;
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind, Setting};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::Map;

/// `cd: FOLDER`.
pub(super) struct Cd;

impl Step for Cd {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "cd",
            summary: "Sets the folder of the steps that follow in this list.",
            text: "Only this list of this run sees it: the process's own folder never changes.",
            value: FieldKind::Path,
            examples: &[
                Example {
                    yaml: "run:\n  - cd: /\n  - {shell: pwd, output: lines}\n  - assert: output.0 == '/'\n__return_tag: answer\nanswer: 1\n",
                    expected: Expected::Result("1"),
                },
                Example { yaml: "run:\n  - cd: /no/such/folder\n", expected: Expected::Failure("/no/such/folder") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        Some(Box::new(CdAction { folder: Setting::compile(&entry.value, &mut compiler.problems)? }))
    }
}

struct CdAction {
    folder: Setting<String>,
}

impl StepAction for CdAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let folder = step.folder().join(self.folder.get(&*step.run)?);
            if !folder.is_dir() {
                return Err(RunError::failed(format!("the folder {} does not exist", folder.display())).into());
            }
            step.run.folder = Some(folder);
            Ok(Map::new())
        })
    }
}
