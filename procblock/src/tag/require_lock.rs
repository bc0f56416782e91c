//! `require lock`: a lock for the rest of the block.

use std::time::Duration;

use unidist::{AcquireOptions, Owner};

use crate::block::{Compiler, Run, TagOutcome, TagResult};
use crate::error::{RunError, RunErrorKind};
use crate::host::BoxFuture;
use crate::load::{Node, Problems};
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("name", FieldKind::Text, "The lock's name.").required(),
    FieldSpec::new("wait", FieldKind::Duration, "How long to wait for it; without it, for ever. `0` tries once."),
    FieldSpec::new("timeout", FieldKind::Duration, "The original's word for `wait`."),
    FieldSpec::new("lease", FieldKind::Duration, "It is freed after this time even if the block still runs."),
    FieldSpec::new(
        "on busy",
        FieldKind::Choice(&["fail", "skip", "continue"]),
        "What happens when it was not had: the block fails, the rest of it is skipped, or it runs without the lock.",
    )
    .default("fail"),
];

/// `require lock: {name, wait, lease, on busy}`.
pub(super) struct RequireLock;

impl Tag for RequireLock {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("require lock"),
            priority: Some(0),
            summary: "Holds a lock for the rest of the block.",
            text: "Released at the block's end whatever happens. Two processes of one machine exclude each other too.",
            value: FieldKind::OneOf(&[FieldKind::Text, FieldKind::Mapping(FIELDS)]),
            examples: &[
                Example {
                    yaml: "require lock: {name: example_nightly, wait: 5s}\ndone: true\n",
                    expected: Expected::Result(r#"{"done": true}"#),
                },
                Example { yaml: "require lock: {wait: 5s}\n", expected: Expected::Refused("has no name") },
            ],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let action = LockAction::compile(&found.entry.value, &mut compiler.problems)?;
        Some(Box::new(action))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OnBusy {
    Fail,
    Skip,
    Continue,
}

struct LockAction {
    name: Setting<String>,
    wait: Option<Setting<Duration>>,
    lease: Option<Setting<Duration>>,
    on_busy: OnBusy,
}

impl LockAction {
    fn compile(node: &Node, problems: &mut Problems) -> Option<Self> {
        if node.entries().is_none() && node.as_text().is_some() {
            let name = Setting::compile(node, problems)?;
            return Some(LockAction { name, wait: None, lease: None, on_busy: OnBusy::Fail });
        }
        let fields = Fields::read(node, FIELDS, "require lock", problems);
        let on_busy = match fields.literal::<String>("on busy", problems).as_deref() {
            Some("skip") => OnBusy::Skip,
            Some("continue") => OnBusy::Continue,
            _ => OnBusy::Fail,
        };
        let wait = fields.setting("wait", problems).or_else(|| fields.setting("timeout", problems));
        Some(LockAction {
            name: fields.setting("name", problems)?,
            wait,
            lease: fields.setting("lease", problems),
            on_busy,
        })
    }

    async fn acquire(&self, run: &mut Run) -> TagResult {
        let name = self.name.get(run)?;
        let wait = self.wait.as_ref().map(|wait| wait.get(run)).transpose()?;
        let lease = self.lease.as_ref().map(|lease| lease.get(run)).transpose()?;
        let owner = Owner::named(run.owner.name()).map_err(|error| RunError::failed(error.to_string()))?;
        let options = AcquireOptions { wait, lease, owner: Some(owner), ..AcquireOptions::default() };
        let store = run.instance.store_of(&name).clone();
        match store.sharedlock().acquire_async(&name, &options, &run.stop).await {
            Ok(guard) => {
                log::info!("lock acquired: {name}");
                run.guards.push((name, guard));
                Ok(TagOutcome::Discard)
            }
            Err(error @ unidist::Error::Busy { .. }) => self.busy(&name, &error),
            Err(error) => Err(RunError::failed(error.to_string()).into()),
        }
    }

    fn busy(&self, name: &str, error: &unidist::Error) -> TagResult {
        match self.on_busy {
            OnBusy::Fail => Err(RunError::new(RunErrorKind::TimedOut, error.to_string()).into()),
            OnBusy::Skip => {
                log::warn!("the lock {name} is busy: the rest of the block is skipped");
                Ok(TagOutcome::Leave)
            }
            OnBusy::Continue => {
                log::warn!("the lock {name} is busy: the block runs without it");
                Ok(TagOutcome::Discard)
            }
        }
    }
}

impl TagAction for LockAction {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(self.acquire(run))
    }
}
