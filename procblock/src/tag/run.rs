//! `run`: a list of steps, in order.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::block::{Compiler, Failed, Run, TagOutcome, TagResult};
use crate::host::BoxFuture;
use crate::spec::{Example, Expected, FieldKind};
use crate::step::StepList;
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction};
use crate::value::{Map, Value};

/// `run: [steps]`.
pub(super) struct RunList;

impl Tag for RunList {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("run"),
            priority: Some(800),
            summary: "A list of steps, run in order; what each returns is merged into pipe data.",
            text: "Its value is the whole pipe data, inputs included, with `__start_time` (seconds since 1970) and \
                   `__duration` (seconds). The list stops at the first step that fails.",
            value: FieldKind::Steps,
            examples: &[
                Example {
                    yaml: "run:\n  - set: {n: 1}\n  - lua: 'return {n = pipe_data.n + 1}'\n",
                    expected: Expected::Result(r#"{"run": {"args": [], "n": 2}}"#),
                },
                Example { yaml: "run:\n  - skript: a.lua\n", expected: Expected::Refused("did you mean \"script\"?") },
            ],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        Some(Box::new(RunAction { list: Arc::new(StepList::compile(&found.entry.value, compiler)) }))
    }
}

struct RunAction {
    list: Arc<StepList>,
}

impl RunAction {
    async fn run(&self, run: &mut Run) -> TagResult {
        let (timed, ran) = run_timed(&self.list, run).await;
        match ran {
            Ok(()) => Ok(TagOutcome::Save(Value::Object(timed))),
            Err(failure) => Err(Failed { error: failure.error, so_far: TagOutcome::Save(Value::Object(timed)) }),
        }
    }
}

/// Runs a list and gives its pipe data with `__start_time` and `__duration`.
pub(super) async fn run_timed(list: &StepList, run: &mut Run) -> (Map, Result<(), Failed>) {
    let started = Instant::now();
    let start_time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let ran = list.run(run).await;
    let mut value = Map::new();
    value.insert("__duration".into(), started.elapsed().as_secs_f64().into());
    value.insert("__start_time".into(), start_time.into());
    value.extend(run.pipe_data.iter().map(|(key, value)| (key.clone(), value.clone())));
    (value, ran)
}

impl TagAction for RunAction {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(self.run(run))
    }
}
