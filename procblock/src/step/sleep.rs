//! `sleep`: waits.

use std::time::Duration;

use crate::block::Compiler;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind, Setting};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::Map;

/// `sleep: DURATION`.
pub(super) struct Sleep;

impl Step for Sleep {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "sleep",
            summary: "Waits for a duration; a stop of the instance ends the wait.",
            text: "Holds no thread while it waits.",
            value: FieldKind::Duration,
            examples: &[
                Example { yaml: "run:\n  - sleep: 1ms\n", expected: Expected::Result(r#"{"run": {"args": []}}"#) },
                Example { yaml: "run:\n  - sleep: soon\n", expected: Expected::Refused("duration") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        Some(Box::new(SleepAction { duration: Setting::compile(&entry.value, &mut compiler.problems)? }))
    }
}

struct SleepAction {
    duration: Setting<Duration>,
}

impl StepAction for SleepAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let duration = self.duration.get(&*step.run)?;
            crate::thread::sleep(duration, &step.run.stop).await;
            step.run.check_stop()?;
            Ok(Map::new())
        })
    }
}
