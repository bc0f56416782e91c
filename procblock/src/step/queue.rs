//! `queue`: the shared message queues.

use std::time::Duration;

use crate::block::Compiler;
use crate::error::RunError;
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::step::shared::{call_host, one_of};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::{Map, Value};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("add", FieldKind::Text, "Adds `message` to the queue of this name."),
    FieldSpec::new("take", FieldKind::Text, "Takes the next message from the queue of this name."),
    FieldSpec::new("oldest", FieldKind::Text, "Reads the oldest message and leaves it."),
    FieldSpec::new("newest", FieldKind::Text, "Reads the newest message and leaves it."),
    FieldSpec::new("all", FieldKind::Text, "Reads all messages and leaves them."),
    FieldSpec::new("count", FieldKind::Text, "Counts the messages."),
    FieldSpec::new("message", FieldKind::Any, "What is added."),
    FieldSpec::new("priority", FieldKind::Integer, "Of the added message: higher is taken first.").default("0"),
    FieldSpec::new("delay", FieldKind::Duration, "Of the added message: it can be taken only after this time.")
        .default("0"),
    FieldSpec::new(
        "id",
        FieldKind::Text,
        "Of the added message: one whose id is in the queue already is not added again.",
    ),
    FieldSpec::new("keep", FieldKind::Integer, "After adding, only this many of the newest messages are kept."),
    FieldSpec::new("wait", FieldKind::Duration, "How long `take` waits for a message; then the step has failed.")
        .default("0"),
    FieldSpec::new(
        "into",
        FieldKind::Text,
        "The name in pipe data that gets what was read; `message`, `messages` or `count` unless given.",
    ),
];

const ACTIONS: &[&str] = &["add", "take", "oldest", "newest", "all", "count"];

/// `queue: {add: NAME, message: …}`.
pub(super) struct Queue;

impl Step for Queue {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "queue",
            summary: "Adds to, takes from or reads a shared message queue.",
            text: "What is read goes into pipe data as `message`, `messages` or `count`, or under the name that `into` gives; `add` puts nothing there; an \
                   empty queue reads as null. `take` fails when no message comes within `wait`.",
            value: FieldKind::Mapping(FIELDS),
            examples: &[
                Example {
                    yaml: "run:\n  - queue: {add: jobs, message: {n: 1}}\n  - queue: {take: jobs, wait: 1s}\n",
                    expected: Expected::Result(r#"{"run": {"args": [], "message": {"n": 1}}}"#),
                },
                Example { yaml: "run:\n  - queue: {take: empty}\n", expected: Expected::Failure("empty") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let problems = &mut compiler.problems;
        let fields = Fields::read(&entry.value, FIELDS, "queue", problems);
        let (action, name) = one_of(&fields, ACTIONS, entry, problems)?;
        if action == "add" && fields.entry("message").is_none() {
            problems.error(&entry.value.mark, "queue add has no message", "add message: VALUE");
            return None;
        }
        let default_into = match action {
            "all" => "messages",
            "count" => "count",
            _ => "message",
        };
        Some(Box::new(QueueAction {
            action,
            name: Setting::compile(name, problems)?,
            message: fields.node("message").map(|node| ValueTemplate::compile(node, problems)),
            priority: fields.setting("priority", problems),
            delay: fields.setting("delay", problems),
            id: fields.setting("id", problems),
            keep: fields.setting("keep", problems),
            wait: fields.setting("wait", problems),
            into: fields.setting("into", problems).unwrap_or(Setting::Fixed(default_into.into())),
        }))
    }
}

struct QueueAction {
    action: &'static str,
    name: Setting<String>,
    message: Option<ValueTemplate>,
    priority: Option<Setting<i64>>,
    delay: Option<Setting<Duration>>,
    id: Option<Setting<String>>,
    keep: Option<Setting<i64>>,
    wait: Option<Setting<Duration>>,
    into: Setting<String>,
}

impl QueueAction {
    async fn add(&self, step: &StepRun<'_>, name: String) -> StepResult {
        let run = &*step.run;
        let message = self.message.as_ref().map(|message| message.render(run)).transpose()?.unwrap_or(Value::Null);
        let mut options = Map::new();
        if let Some(priority) = &self.priority {
            options.insert("priority".into(), priority.get(run)?.into());
        }
        if let Some(delay) = &self.delay {
            options.insert("delay".into(), delay.get(run)?.as_secs_f64().into());
        }
        if let Some(id) = &self.id {
            options.insert("id".into(), id.get(run)?.into());
        }
        if let Some(keep) = &self.keep {
            let caps =
                [("length_max".to_string(), keep.get(run)?.into()), ("when_full".to_string(), "drop oldest".into())];
            let caps = Value::Object(caps.into_iter().collect());
            call_host(step, "messagequeue.configure", vec![name.clone().into(), caps]).await?;
        }
        call_host(step, "messagequeue.add", vec![name.into(), message, Value::Object(options)]).await?;
        Ok(Map::new())
    }

    async fn take(&self, step: &StepRun<'_>, name: String) -> Result<Value, RunError> {
        let wait = self.wait.as_ref().map(|wait| wait.get(&*step.run)).transpose()?.unwrap_or_default();
        let options = Map::from_iter([("wait".into(), wait.as_secs_f64().into())]);
        let taken = call_host(step, "messagequeue.take", vec![name.clone().into(), Value::Object(options)]).await?;
        if taken.is_null() {
            let waited = crate::units::format_duration(wait);
            return Err(RunError::failed(format!("the queue {name} is empty (waited {waited})")));
        }
        Ok(message_of(&taken))
    }

    async fn run_on(&self, step: &StepRun<'_>) -> StepResult {
        let name = self.name.get(&*step.run)?;
        let value = match self.action {
            "add" => return self.add(step, name).await,
            "take" => self.take(step, name).await?,
            other => match call_host(step, &format!("messagequeue.{other}"), vec![name.into()]).await? {
                Value::Array(all) => Value::Array(all.iter().map(message_of).collect()),
                one => message_of(&one),
            },
        };
        Ok(Map::from_iter([(self.into.get(&*step.run)?, value)]))
    }
}

/// What was added, without its id, age and attempts; a count is itself.
fn message_of(found: &Value) -> Value {
    match found {
        Value::Object(map) => map.get("message").cloned().unwrap_or(Value::Null),
        other => other.clone(),
    }
}

impl StepAction for QueueAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move { self.run_on(step).await })
    }
}
