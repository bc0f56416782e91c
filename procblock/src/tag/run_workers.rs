//! `run workers`: run lists that each serve a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use unidist::{Claim, Failure, QueueOptions, Unidist};

use crate::block::{Compiler, Run, TagOutcome, TagResult};
use crate::error::{RunError, RunErrorKind};
use crate::host::BoxFuture;
use crate::load::{Entry, Node, Problems};
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields};
use crate::step::StepList;
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction};
use crate::value::{Map, Value};

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
            text: "Success acknowledges the message; failure, time-out or death gives it back. Its value maps each name to \
                   {done, failed}; the file stays until stopped unless all say `until empty`.",
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
            entries.map(|entry| Group::compile(entry, compiler).map(Arc::new)).collect();
        let groups = groups.into_iter().collect::<Option<Vec<_>>>()?;
        compiler.stays |= groups.iter().any(|group| !group.until_empty);
        Some(Box::new(Workers { groups }))
    }
}

/// The workers of one name.
struct Group {
    name: String,
    queue: String,
    list: StepList,
    least: usize,
    most: usize,
    lease: Duration,
    attempts: u32,
    dead_letters: Option<String>,
    retry_delay: Duration,
    until_empty: bool,
    definition: Value,
}

impl Group {
    fn compile(entry: &Entry, compiler: &mut Compiler) -> Option<Self> {
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

    fn options(&self) -> QueueOptions {
        QueueOptions {
            attempts_max: Some(self.attempts),
            dead_letters: self.dead_letters.clone(),
            ..QueueOptions::default()
        }
    }
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

struct Workers {
    groups: Vec<Arc<Group>>,
}

/// What the workers of a group share while they run.
struct Crew {
    group: Arc<Group>,
    store: Unidist,
    busy: AtomicUsize,
    total: AtomicUsize,
    done: AtomicU64,
    failed: AtomicU64,
}

impl Workers {
    async fn run(&self, run: &mut Run) -> TagResult {
        let mut value = Map::new();
        for group in &self.groups {
            let store = run.instance.store_of(&group.queue).clone();
            let configured = store.messagequeue().configure(&group.queue, group.options());
            configured.map_err(|error| RunError::failed(error.to_string()))?;
            let crew = Arc::new(Crew {
                group: Arc::clone(group),
                store,
                busy: AtomicUsize::new(0),
                total: AtomicUsize::new(0),
                done: AtomicU64::new(0),
                failed: AtomicU64::new(0),
            });
            let mut inner = run.nested()?;
            if group.until_empty {
                Crew::work_all(Arc::clone(&crew), inner).await;
                value.insert(group.name.clone(), crew.to_value());
                continue;
            }
            value.insert(group.name.clone(), crew.to_value());
            run.instance.note(&group.name);
            run.instance.background.start(&group.name, &group.definition, &run.instance.stop, |stop| async move {
                inner.stop = stop;
                Crew::work_all(crew, inner).await;
            });
        }
        Ok(TagOutcome::Save(Value::Object(value)))
    }
}

impl TagAction for Workers {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(self.run(run))
    }
}

impl Crew {
    fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("done".into(), self.done.load(Ordering::Relaxed).into());
        map.insert("failed".into(), self.failed.load(Ordering::Relaxed).into());
        Value::Object(map)
    }

    /// Runs the least number of workers and those they call for help; ends when all have ended.
    async fn work_all(self: Arc<Self>, run: Run) {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..self.group.least {
            match run.nested() {
                Ok(inner) => tasks.spawn(Arc::clone(&self).worker(inner, Kind::Standing)),
                Err(error) => return log::error!("workers of {}: {error}", self.group.name),
            };
        }
        while tasks.join_next().await.is_some() {}
    }

    fn worker(self: Arc<Self>, run: Run, kind: Kind) -> BoxFuture<'static, ()> {
        Box::pin(self.work(run, kind))
    }

    async fn work(self: Arc<Self>, run: Run, kind: Kind) {
        self.total.fetch_add(1, Ordering::SeqCst);
        log::info!("worker of {}: serving the queue {}", self.group.name, self.group.queue);
        let mut helpers = tokio::task::JoinSet::new();
        while let Some(claim) = self.claim(&run, kind).await {
            self.busy.fetch_add(1, Ordering::SeqCst);
            if self.wants_help()
                && let Ok(inner) = run.nested()
            {
                helpers.spawn(Arc::clone(&self).worker(inner, Kind::Helping));
            }
            self.handle(&run, &claim).await;
            self.busy.fetch_sub(1, Ordering::SeqCst);
        }
        self.total.fetch_sub(1, Ordering::SeqCst);
        while helpers.join_next().await.is_some() {}
    }

    /// Whether all are busy, messages wait, and there may be more of them.
    fn wants_help(&self) -> bool {
        let total = self.total.load(Ordering::SeqCst);
        let waiting =
            self.store.messagequeue().status(&self.group.queue).ok().flatten().map_or(0, |status| status.ready);
        waiting > 0 && total < self.group.most && self.busy.load(Ordering::SeqCst) >= total
    }

    async fn claim(&self, run: &Run, kind: Kind) -> Option<Claim> {
        let wait = match kind {
            Kind::Standing if !self.group.until_empty => None,
            Kind::Standing | Kind::Helping => Some(Duration::ZERO),
        };
        let queues = self.store.messagequeue();
        loop {
            match queues.claim_async(&self.group.queue, self.group.lease, wait, &run.stop).await {
                Ok(Some(claim)) => return Some(claim),
                Ok(None) if self.owes(kind) && !run.stop.is_requested() => {
                    crate::thread::sleep(POLL, &run.stop).await;
                }
                Ok(None) => return None,
                Err(error) => {
                    if !run.stop.is_requested() {
                        log::error!("worker of {}: {error}", self.group.name);
                    }
                    return None;
                }
            }
        }
    }

    /// Whether `until empty` has to wait: for delayed messages and those that others hold.
    fn owes(&self, kind: Kind) -> bool {
        let status = self.store.messagequeue().status(&self.group.queue).ok().flatten();
        kind == Kind::Standing && status.is_some_and(|status| status.count() > 0)
    }

    async fn handle(&self, run: &Run, claim: &Claim) {
        let id = claim.id.to_string();
        let outcome = self.run_list(run, claim, &id).await;
        let queues = self.store.messagequeue();
        let settled = match outcome {
            Ok(()) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                queues.ack(&self.group.queue, &id, Some(claim.attempt))
            }
            Err(error) if error.kind == RunErrorKind::Stopped => queues.fail(
                &self.group.queue,
                &id,
                Some(claim.attempt),
                Failure { reason: "the instance stopped", delay: Duration::ZERO },
            ),
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                log::error!("worker of {}: message {id}, attempt {}: {error}", self.group.name, claim.attempt);
                let reason = error.to_string();
                queues.fail(
                    &self.group.queue,
                    &id,
                    Some(claim.attempt),
                    Failure { reason: &reason, delay: self.group.retry_delay },
                )
            }
        };
        if let Err(error) = settled {
            log::error!("worker of {}: message {id}: {error}", self.group.name);
        }
    }

    /// Runs the list on a message, renewing the lease at a third of its length.
    async fn run_list(&self, run: &Run, claim: &Claim, id: &str) -> Result<(), RunError> {
        let mut inner = run.nested()?;
        inner.pipe_data.insert("message".into(), claim.message.clone());
        inner.pipe_data.insert("message_id".into(), id.into());
        inner.pipe_data.insert("attempt".into(), claim.attempt.into());
        let work = self.group.list.run(&mut inner);
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome.map_err(|failure| *failure.error),
                () = tokio::time::sleep(self.group.lease / 3) => {
                    let queues = self.store.messagequeue();
                    let extended = queues.extend(&self.group.queue, id, Some(claim.attempt), self.group.lease);
                    extended.map_err(|error| RunError::failed(format!("the message was lost while it was worked on: {error}")))?;
                }
            }
        }
    }
}

/// How often `until empty` looks whether messages that others hold came back.
const POLL: Duration = Duration::from_millis(50);

/// Whether a worker stays, or helps out while messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Standing,
    Helping,
}
