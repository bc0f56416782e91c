//! `put tag X in queue Y`: the result of a tag becomes a message.

use std::time::Duration;

use unidist::AddOptions;

use crate::block::{Compiler, Run, TagResult};
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{DISCARD, Found, Tag, TagAction};

/// Named options of adding a message; the `queue` step has the same.
pub(crate) const ADD_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("priority", FieldKind::Integer, "Higher is taken first.").default("0"),
    FieldSpec::new("delay", FieldKind::Duration, "It can be taken only after this time.").default("0"),
    FieldSpec::new("id", FieldKind::Text, "A message whose id is in the queue already is not added again."),
];

/// `put tag X in queue Y: null or {priority, delay, id}`.
pub(super) struct PutTag;

impl Tag for PutTag {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Prefix { prefix: "put tag", variable: "X in queue Y" },
            priority: Some(9999),
            summary: "Adds the result of tag X to queue Y.",
            text: "Runs last, and only if nothing failed. A tag that left no result is a failure.",
            value: FieldKind::OneOf(&[FieldKind::Nothing, FieldKind::Mapping(ADD_FIELDS)]),
            examples: &[
                Example {
                    yaml: "job: {n: 1}\nput tag job in queue jobs:\n",
                    expected: Expected::Result(r#"{"job": {"n": 1}}"#),
                },
                Example { yaml: "put tag absent in queue jobs:\n", expected: Expected::Failure("absent") },
            ],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let Some((tag, queue)) = found.variable.split_once(" in queue ") else {
            let what = format!("unknown tag \"{}\"", found.entry.key);
            compiler.problems.error(&found.entry.mark, what, "did you mean \"put tag X in queue Y\"?");
            return None;
        };
        let node = &found.entry.value;
        let mut put = Put { tag: tag.trim().into(), queue: queue.trim().into(), options: AddSettings::default() };
        if !node.is_null() {
            let fields = Fields::read(node, ADD_FIELDS, "put tag", &mut compiler.problems);
            put.options = AddSettings::compile(&fields, compiler);
        }
        Some(Box::new(put))
    }
}

/// The options of adding a message, some of them to be filled in.
#[derive(Default)]
pub(crate) struct AddSettings {
    priority: Option<Setting<i64>>,
    delay: Option<Setting<Duration>>,
    id: Option<Setting<String>>,
}

impl AddSettings {
    /// Reads them from fields declared with [`ADD_FIELDS`].
    pub(crate) fn compile(fields: &Fields<'_>, compiler: &mut Compiler) -> Self {
        let problems = &mut compiler.problems;
        AddSettings {
            priority: fields.setting("priority", problems),
            delay: fields.setting("delay", problems),
            id: fields.setting("id", problems),
        }
    }

    /// Fills them in.
    pub(crate) fn get(&self, run: &Run) -> Result<AddOptions, RunError> {
        let mut options = AddOptions::default();
        if let Some(priority) = &self.priority {
            let priority = priority.get(run)?;
            let text = || RunError::failed(format!("the priority {priority} is out of range"));
            options.priority = i32::try_from(priority).map_err(|_| text())?;
        }
        if let Some(delay) = &self.delay {
            options.delay = delay.get(run)?;
        }
        options.id = self.id.as_ref().map(|id| id.get(run)).transpose()?;
        Ok(options)
    }
}

struct Put {
    tag: String,
    queue: String,
    options: AddSettings,
}

impl Put {
    async fn add(&self, run: &Run) -> TagResult {
        let Some(message) = run.results.get(&self.tag).cloned() else {
            return Err(RunError::failed(format!("the tag {} left no result to put in a queue", self.tag)).into());
        };
        let options = self.options.get(run)?;
        let store = run.instance.store_of(&self.queue).clone();
        let added = store.messagequeue().add_async(&self.queue, message, &options, &run.stop).await;
        added.map_err(|error| RunError::failed(error.to_string()))?;
        DISCARD
    }
}

impl TagAction for Put {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(self.add(run))
    }
}
