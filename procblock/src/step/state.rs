//! `state`: the shared state.

use crate::block::Compiler;
use crate::error::RunError;
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::step::shared::{call_host, one_of};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::{Map, Value, to_text};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("set", FieldKind::MapOf(&FieldKind::MapOf(&FieldKind::Any)), "Sets keys: bucket -> {key: value}."),
    FieldSpec::new("get", FieldKind::MapOf(&FieldKind::Any), "Reads a key: {bucket: key}."),
    FieldSpec::new("remove", FieldKind::MapOf(&FieldKind::Any), "Removes a key, if it is there: {bucket: key}."),
    FieldSpec::new("bucket", FieldKind::Text, "Reads a whole bucket as a mapping."),
    FieldSpec::new(
        "default",
        FieldKind::Any,
        "What `get` gives when the key is missing; without it that is a failure.",
    ),
    FieldSpec::new("ttl", FieldKind::Duration, "Keys that are set go away after this time."),
    FieldSpec::new("into", FieldKind::Text, "The name in pipe data that gets what was read.").default("value"),
];

const ACTIONS: &[&str] = &["set", "get", "remove", "bucket"];

/// `state: {set: {bucket: {key: value}}}`.
pub(super) struct State;

impl Step for State {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "state",
            summary: "Changes or reads the shared state.",
            text: "What is read goes into pipe data as `value`, or under the name that `into` gives. Changing leaves nothing in \
                   pipe data.",
            value: FieldKind::Mapping(FIELDS),
            examples: &[
                Example {
                    yaml: "run:\n  - state: {set: {sites: {kyoto: up}}}\n  - state: {get: {sites: kyoto}, into: kyoto}\n",
                    expected: Expected::Result(r#"{"run": {"args": [], "kyoto": "up"}}"#),
                },
                Example { yaml: "run:\n  - state: {get: {sites: nara}}\n", expected: Expected::Failure("nara") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let problems = &mut compiler.problems;
        let fields = Fields::read(&entry.value, FIELDS, "state", problems);
        let (action, target) = one_of(&fields, ACTIONS, entry, problems)?;
        Some(Box::new(StateAction {
            action,
            target: ValueTemplate::compile(target, problems),
            default: fields.node("default").map(|node| ValueTemplate::compile(node, problems)),
            ttl: fields.setting("ttl", problems),
            into: fields.setting("into", problems).unwrap_or(Setting::Fixed("value".into())),
        }))
    }
}

struct StateAction {
    action: &'static str,
    target: ValueTemplate,
    default: Option<ValueTemplate>,
    ttl: Option<Setting<std::time::Duration>>,
    into: Setting<String>,
}

impl StateAction {
    async fn read(&self, step: &StepRun<'_>, arguments: Vec<Value>, function: &str) -> StepResult {
        let value = call_host(step, function, arguments).await?;
        Ok(Map::from_iter([(self.into.get(&*step.run)?, value)]))
    }

    async fn set(&self, step: &StepRun<'_>, buckets: Map) -> StepResult {
        let ttl = self.ttl.as_ref().map(|ttl| ttl.get(&*step.run)).transpose()?;
        for (bucket, keys) in buckets {
            let Value::Object(keys) = keys else {
                return Err(RunError::failed(format!("state set {bucket} is not a mapping of keys")).into());
            };
            for (key, value) in keys {
                let mut arguments = vec![bucket.clone().into(), key.into(), value];
                if let Some(ttl) = ttl {
                    arguments.push(Value::Object(Map::from_iter([("time_to_live".into(), ttl.as_secs_f64().into())])));
                }
                call_host(step, "sharedstate.set", arguments).await?;
            }
        }
        Ok(Map::new())
    }

    async fn run_on(&self, step: &StepRun<'_>) -> StepResult {
        let target = match self.target.render(&*step.run)? {
            Value::Object(map) => map,
            bucket => return self.read(step, vec![bucket], "sharedstate.bucket").await,
        };
        if self.action == "set" {
            return self.set(step, target).await;
        }
        let mut result = Map::new();
        for (bucket, key) in target {
            let mut arguments = vec![bucket.into(), to_text(&key).into()];
            if self.action == "remove" {
                call_host(step, "sharedstate.remove", arguments).await?;
                continue;
            }
            if let Some(default) = &self.default {
                arguments.push(default.render(&*step.run)?);
            }
            result.extend(self.read(step, arguments, "sharedstate.get").await?);
        }
        Ok(result)
    }
}

impl StepAction for StateAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move { self.run_on(step).await })
    }
}
