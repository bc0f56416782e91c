//! `counter`: the shared counters.

use crate::block::Compiler;
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::step::shared::{call_host, one_of};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::{Map, Value};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("increment", FieldKind::Text, "Adds to the counter of this name; it starts at 0."),
    FieldSpec::new("decrement", FieldKind::Text, "Subtracts from the counter of this name."),
    FieldSpec::new("get", FieldKind::Text, "Reads the counter of this name; 0 if it is new."),
    FieldSpec::new("set", FieldKind::Text, "Sets the counter of this name to `to`."),
    FieldSpec::new("by", FieldKind::Integer, "How much is added or subtracted.").default("1"),
    FieldSpec::new("to", FieldKind::Integer, "What it is set to.").default("0"),
    FieldSpec::new("into", FieldKind::Text, "The name in pipe data that gets the counter's new value.")
        .default("count"),
];

const ACTIONS: &[&str] = &["increment", "decrement", "get", "set"];

/// `counter: {increment: NAME, by: 1}`.
pub(super) struct Counter;

impl Step for Counter {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "counter",
            summary: "Changes or reads a shared counter.",
            text: "The counter's value afterwards goes into pipe data as `count`, or under the name that `into` gives.",
            value: FieldKind::Mapping(FIELDS),
            examples: &[
                Example {
                    yaml: "run:\n  - counter: {increment: done, by: 2}\n  - counter: {increment: done}\n",
                    expected: Expected::Result(r#"{"run": {"args": [], "count": 3}}"#),
                },
                Example {
                    yaml: "run:\n  - counter: {by: 2}\n",
                    expected: Expected::Refused("expected one of: increment"),
                },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let problems = &mut compiler.problems;
        let fields = Fields::read(&entry.value, FIELDS, "counter", problems);
        let (action, name) = one_of(&fields, ACTIONS, entry, problems)?;
        let amount = fields.setting("by", problems).unwrap_or(Setting::Fixed(1));
        let amount = if action == "set" { fields.setting("to", problems).unwrap_or(Setting::Fixed(0)) } else { amount };
        let into = fields.setting("into", problems).unwrap_or(Setting::Fixed("count".into()));
        Some(Box::new(CounterAction {
            function: format!("sharedcounter.{action}"),
            name: ValueTemplate::compile(name, problems),
            amount,
            into,
        }))
    }
}

struct CounterAction {
    function: String,
    name: ValueTemplate,
    amount: Setting<i64>,
    into: Setting<String>,
}

impl StepAction for CounterAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let mut arguments = vec![self.name.render(&*step.run)?];
            if self.function != "sharedcounter.get" {
                arguments.push(Value::from(self.amount.get(&*step.run)?));
            }
            let count = call_host(step, &self.function, arguments).await?;
            Ok(Map::from_iter([(self.into.get(&*step.run)?, count)]))
        })
    }
}
