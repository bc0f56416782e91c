//! `log`: a line in the log.

use crate::block::Compiler;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::Map;

const LEVELS: &[&str] = &["debug", "info", "warn", "error"];

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("text", FieldKind::Text, "The line.").required(),
    FieldSpec::new("level", FieldKind::Choice(LEVELS), "Warnings and worse are shown without `-v`.").default("info"),
];

/// `log: TEXT` or `log: {text, level}`.
pub(super) struct Log;

impl Step for Log {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "log",
            summary: "Writes a line to the log.",
            text: "Leaves nothing in pipe data.",
            value: FieldKind::OneOf(&[FieldKind::Text, FieldKind::Mapping(FIELDS)]),
            examples: &[Example {
                yaml: "run:\n  - log: starting\n  - log: {text: careful, level: info}\n",
                expected: Expected::Result(r#"{"run": {"args": []}}"#),
            }],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let problems = &mut compiler.problems;
        if entry.value.entries().is_none() {
            return Some(Box::new(LogAction {
                text: Setting::compile(&entry.value, problems)?,
                level: log::Level::Info,
            }));
        }
        let fields = Fields::read(&entry.value, FIELDS, "log", problems);
        let level = fields.literal::<String>("level", problems).and_then(|word| word.parse().ok());
        Some(Box::new(LogAction { text: fields.setting("text", problems)?, level: level.unwrap_or(log::Level::Info) }))
    }
}

struct LogAction {
    text: Setting<String>,
    level: log::Level,
}

impl StepAction for LogAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let text = self.text.get(&*step.run)?;
            log::log!(target: "log", self.level, "{text}");
            Ok(Map::new())
        })
    }
}
