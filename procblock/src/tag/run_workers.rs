//! `run workers`: run lists that each serve a queue.

use std::sync::Arc;
use std::time::Duration;

use crate::block::{Compiler, Run, TagOutcome, TagResult};
use crate::host::BoxFuture;
use crate::load::{Entry, Node, Problems};
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields};
use crate::step::StepList;
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction};
use crate::value::{Map, Value};
use crate::workers::Group;

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("queue", FieldKind::Text, "The queue that is served.").required(),
    FieldSpec::new(
        "run",
        FieldKind::Steps,
        "What is done with each message: `message`, `message_id` and `attempt` are in pipe data.",
    )
    .required(),
    FieldSpec::new(
        "workers",
        FieldKind::OneOf(&[FieldKind::Integer, FieldKind::Text]),
        "How many at once: a number, or `2..8`: more of them while messages wait.",
    )
    .default("1"),
    FieldSpec::new("lease", FieldKind::Duration, "How long a worker may be silent; it is renewed while the list runs.")
        .default("60s"),
    FieldSpec::new("attempts", FieldKind::Integer, "After this many failures a message goes to the dead letters.")
        .default("5"),
    FieldSpec::new(
        "dead letters",
        FieldKind::Text,
        "The queue that gets messages given up, with their reasons; without it they are dropped.",
    ),
    FieldSpec::new(
        "retry delay",
        FieldKind::Duration,
        "How long a failed message waits before it can be claimed again.",
    )
    .default("1s"),
    FieldSpec::new("until empty", FieldKind::Boolean, "End when the queue is empty, instead of staying.")
        .default("false"),
];

/// The most workers of one name.
const WORKERS_MAX: usize = 1024;

/// `run workers: {NAME: {queue, run, …}}`.
pub(super) struct RunWorkers;

impl Tag for RunWorkers {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("run workers"),
            priority: Some(800),
            summary: "Workers that claim messages of a queue and run a list for each.",
            text: "Success acknowledges the message; failure, time-out or death gives it back. Its value maps each name \
                   that works `until empty` to {done, failed}. The others stay until the file is stopped, and `procblock status` \
                   shows what they do.",
            value: FieldKind::MapOf(&FieldKind::Mapping(FIELDS)),
            examples: &[Example {
                yaml: "data: {args: []}\nrun:\n  - queue: {add: squares, message: 3}\n  - queue: {add: squares, message: 4}\nrun workers:\n  square:\n    queue: squares\n    until empty: true\n    run:\n      - counter: {increment: total, by: '${message * message}'}\n__return_tag: run workers\n",
                expected: Expected::Result(r#"{"square": {"done": 2, "failed": 0}}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let node = &found.entry.value;
        let Some(entries) = node.entries() else {
            let what = format!("run workers is a {}", node.kind_name());
            compiler.problems.error(&node.mark, what, "expected a mapping of names to {queue, run}");
            return None;
        };
        let entries = entries.iter().filter(|entry| entry.key != "__priority");
        let groups: Vec<Option<Arc<Group>>> =
            entries.map(|entry| compile_group(entry, compiler).map(Arc::new)).collect();
        let groups = groups.into_iter().collect::<Option<Vec<_>>>()?;
        compiler.stays |= groups.iter().any(|group| !group.until_empty);
        Some(Box::new(WorkersAction { groups }))
    }
}

/// Reads the workers of one name.
fn compile_group(entry: &Entry, compiler: &mut Compiler) -> Option<Group> {
    let what = format!("the workers {}", entry.key);
    let fields = Fields::read(&entry.value, FIELDS, &what, &mut compiler.problems);
    let list = StepList::compile(fields.node("run")?, compiler);
    let problems = &mut compiler.problems;
    let (least, most) = fields.node("workers").map_or(Some((1, 1)), |node| worker_counts(node, problems))?;
    let attempts = fields.literal::<i64>("attempts", problems).unwrap_or(5);
    let attempts = u32::try_from(attempts).ok().filter(|attempts| *attempts > 0);
    if let (None, Some(node)) = (attempts, fields.node("attempts")) {
        problems.error(&node.mark, "attempts is out of range", "expected 1 or more");
    }
    Some(Group {
        name: entry.key.clone(),
        queue: fields.literal("queue", problems)?,
        list,
        least,
        most,
        lease: fields.literal("lease", problems).unwrap_or(Duration::from_secs(60)),
        attempts: attempts?,
        dead_letters: fields.literal("dead letters", problems),
        retry_delay: fields.literal("retry delay", problems).unwrap_or(Duration::from_secs(1)),
        until_empty: fields.literal("until empty", problems).unwrap_or(false),
        definition: entry.value.to_value(),
    })
}

fn worker_counts(node: &Node, problems: &mut Problems) -> Option<(usize, usize)> {
    let text = crate::value::to_text(&node.to_value());
    let (least, most) = text.split_once("..").unwrap_or((&text, &text));
    let counts = (least.trim().parse::<usize>(), most.trim().parse::<usize>());
    match counts {
        (Ok(least), Ok(most)) if least >= 1 && most >= least && most <= WORKERS_MAX => Some((least, most)),
        _ => {
            let remedy = format!("expected a number such as 4, or 2..8, at most {WORKERS_MAX}");
            problems.error(&node.mark, format!("workers is \"{text}\""), remedy);
            None
        }
    }
}

struct WorkersAction {
    groups: Vec<Arc<Group>>,
}

impl TagAction for WorkersAction {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(async move {
            let mut value = Map::new();
            for group in &self.groups {
                value.insert(group.name.clone(), run.instance.workers.run(group, run).await?);
            }
            Ok(TagOutcome::Save(Value::Object(value)))
        })
    }
}
