//! `release lock`: gives a lock back before the block ends.

use crate::block::{Compiler, Run, TagResult};
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{DISCARD, Found, Tag, TagAction, ready};

const FIELDS: &[FieldSpec] = &[FieldSpec::new("name", FieldKind::Text, "The lock's name.").required()];

/// `release lock: {name}`.
pub(super) struct ReleaseLock;

impl Tag for ReleaseLock {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("release lock"),
            priority: Some(9999),
            summary: "Releases a lock that this block holds, early.",
            text: "Without it the lock is released at the block's end. A lock that the block does not hold is a failure.",
            value: FieldKind::OneOf(&[FieldKind::Text, FieldKind::Mapping(FIELDS)]),
            examples: &[
                Example {
                    yaml: "require lock: {name: example_early}\nrelease lock: {name: example_early}\ndone: true\n",
                    expected: Expected::Result(r#"{"done": true}"#),
                },
                Example { yaml: "release lock: {name: example_not_held}\n", expected: Expected::Failure("not held") },
            ],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let node = &found.entry.value;
        let name = if node.entries().is_some() {
            let fields = Fields::read(node, FIELDS, "release lock", &mut compiler.problems);
            fields.setting("name", &mut compiler.problems)?
        } else {
            Setting::compile(node, &mut compiler.problems)?
        };
        Some(Box::new(Release { name }))
    }
}

struct Release {
    name: Setting<String>,
}

impl TagAction for Release {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        ready(self.name.get(run).map_err(Into::into).and_then(|name| {
            let held = run.guards.iter().position(|(held, _)| *held == name);
            let Some(index) = held else {
                return Err(RunError::failed(format!("the lock {name} is not held by this block")).into());
            };
            drop(run.guards.remove(index));
            log::info!("lock released: {name}");
            DISCARD
        }))
    }
}
