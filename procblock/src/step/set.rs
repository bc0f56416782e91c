//! `set`: puts values into pipe data.

use crate::block::Compiler;
use crate::error::RunError;
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::{Value, kind_name};

/// `set: {k: v}`.
pub(super) struct Set;

impl Step for Set {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "set",
            summary: "Puts values into pipe data.",
            text: "All values are filled in before the first is set.",
            value: FieldKind::MapOf(&FieldKind::Any),
            examples: &[Example {
                yaml: "run:\n  - set: {host: db1, port: 5432}\n  - set: {address: '${host}:${port}'}\n",
                expected: Expected::Result(
                    r#"{"run": {"args": [], "host": "db1", "port": 5432, "address": "db1:5432"}}"#,
                ),
            }],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        Some(Box::new(SetAction { values: ValueTemplate::compile(&entry.value, &mut compiler.problems) }))
    }
}

struct SetAction {
    values: ValueTemplate,
}

impl StepAction for SetAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            match self.values.render(&*step.run)? {
                Value::Object(map) => Ok(map),
                other => Err(RunError::failed(format!("set is a {}, not a mapping", kind_name(&other))).into()),
            }
        })
    }
}
