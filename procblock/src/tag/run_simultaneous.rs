//! `run simultaneous`: several run lists at once, each in its own run-thread.

use std::sync::Arc;

use crate::block::{Compiler, Failed, Run, TagOutcome, TagResult, placed};
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::load::Mark;
use crate::spec::{Example, Expected, FieldKind};
use crate::step::StepList;
use crate::tag::run::run_timed;
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction};
use crate::value::{Map, Value};

/// `run simultaneous: {NAME: [steps]}`.
pub(super) struct RunSimultaneous;

impl Tag for RunSimultaneous {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("run simultaneous"),
            priority: Some(800),
            summary: "Several run lists at once, each in its own run-thread with a copy of pipe data.",
            text: "Its value maps each name to its pipe data with `__start_time` and `__duration`. In a longrunning file the lists \
                   go on in the background and the value shows each as running; those of a page or RPC are waited for. A list that fails leaves the others alone; its \
                   failure is recorded under its name and fails the block when all have ended.",
            value: FieldKind::MapOf(&FieldKind::Steps),
            examples: &[Example {
                yaml: "run_simultaneous:\n  a:\n    - set: {n: 1}\n  b:\n    - set: {n: 2}\nsum:\n  __priority: 900\n  n: ${run_simultaneous.a.n + run_simultaneous.b.n}\n__return_tag: sum\n",
                expected: Expected::Result(r#"{"n": 3}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let node = &found.entry.value;
        let Some(entries) = node.entries() else {
            let what = format!("run simultaneous is a {}", node.kind_name());
            compiler.problems.error(&node.mark, what, "expected a mapping of names to run lists");
            return None;
        };
        let lists = entries
            .iter()
            .filter(|entry| entry.key != "__priority")
            .map(|entry| Branch {
                name: entry.key.clone(),
                mark: entry.mark.clone(),
                list: Arc::new(StepList::compile(&entry.value, compiler)),
                definition: entry.value.to_value(),
            })
            .collect();
        Some(Box::new(Simultaneous { lists }))
    }
}

struct Branch {
    name: String,
    mark: Mark,
    list: Arc<StepList>,
    definition: Value,
}

struct Simultaneous {
    lists: Vec<Branch>,
}

impl Simultaneous {
    async fn run(&self, run: &mut Run) -> TagResult {
        if run.instance.is_longrunning && run.request.is_none() {
            return Ok(TagOutcome::Save(self.in_background(run)?));
        }
        let mut started = Vec::new();
        for branch in &self.lists {
            started
                .push((branch, tokio::spawn(run_branch(branch.name.clone(), Arc::clone(&branch.list), run.nested()?))));
        }
        let mut value = Map::new();
        let mut first_error = None;
        for (branch, task) in started {
            let (mut timed, ran) = task.await.map_err(|error| RunError::failed(error.to_string()))?;
            if let Err(failure) = ran {
                let error = placed(*failure.error, &branch.mark);
                timed.insert("error".into(), error.to_value());
                log::error!("{}: {error}", branch.name);
                first_error.get_or_insert(Box::new(error));
            }
            value.insert(branch.name.clone(), Value::Object(timed));
        }
        let so_far = TagOutcome::Save(Value::Object(value));
        first_error.map_or(Ok(so_far.clone()), |error| Err(Failed { error, so_far }))
    }

    /// Lets the lists go on beside the block; a failure is logged.
    fn in_background(&self, run: &Run) -> Result<Value, RunError> {
        let mut value = Map::new();
        for branch in &self.lists {
            let (name, mark, list) = (branch.name.clone(), branch.mark.clone(), Arc::clone(&branch.list));
            let mut inner = run.nested()?;
            run.instance.note(&name);
            run.instance.background.start(&branch.name, &branch.definition, &run.instance.stop, |stop| async move {
                inner.stop = stop;
                let stopping = inner.stop.clone();
                if let (_, Err(failure)) = run_branch(name.clone(), list, inner).await
                    && !stopping.is_requested()
                {
                    log::error!("{name}: {}", placed(*failure.error, &mark));
                }
            });
            let shown = Map::from_iter([("is_running".to_string(), Value::Bool(true))]);
            value.insert(branch.name.clone(), Value::Object(shown));
        }
        Ok(Value::Object(value))
    }
}

async fn run_branch(name: String, list: Arc<StepList>, mut run: Run) -> (Map, Result<(), Failed>) {
    log::info!("Running Thread: Starting: {name}");
    let outcome = run_timed(&list, &mut run).await;
    run.release_locks();
    log::info!("Running Thread: Quitting: {name}");
    outcome
}

impl TagAction for Simultaneous {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(self.run(run))
    }
}
