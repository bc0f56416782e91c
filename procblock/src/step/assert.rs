//! `assert`: fails unless an expression holds.

use crate::block::Compiler;
use crate::error::RunError;
use crate::expr::Expr;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields, Setting};
use crate::step::attributes::compile_expression;
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::tag::expression_error;
use crate::value::{Map, to_text};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("that", FieldKind::Expression, "What must hold.").required(),
    FieldSpec::new("message", FieldKind::Text, "What the failure says instead."),
];

/// `assert: EXPR` or `assert: {that, message}`.
pub(super) struct Assert;

impl Step for Assert {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "assert",
            summary: "Fails unless an expression holds.",
            text: "Leaves nothing in pipe data.",
            value: FieldKind::OneOf(&[FieldKind::Expression, FieldKind::Mapping(FIELDS)]),
            examples: &[
                Example {
                    yaml: "run:\n  - set: {n: 5}\n  - assert: n > 4\n",
                    expected: Expected::Result(r#"{"run": {"args": [], "n": 5}}"#),
                },
                Example {
                    yaml: "run:\n  - assert: missing > 4\n",
                    expected: Expected::Failure("missing > 4 does not hold"),
                },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let problems = &mut compiler.problems;
        let (node, message) = if entry.value.entries().is_some() {
            let fields = Fields::read(&entry.value, FIELDS, "assert", problems);
            (fields.node("that")?, fields.setting("message", problems))
        } else {
            (&entry.value, None)
        };
        let text = to_text(&node.to_value());
        Some(Box::new(AssertAction { expression: compile_expression(node, problems)?, text, message }))
    }
}

struct AssertAction {
    expression: Expr,
    text: String,
    message: Option<Setting<String>>,
}

impl StepAction for AssertAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            if self.expression.is_true(&*step.run).map_err(|error| expression_error(&error))? {
                return Ok(Map::new());
            }
            let message = match &self.message {
                Some(message) => message.get(&*step.run)?,
                None => format!("{} does not hold", self.text),
            };
            Err(RunError::failed(message).into())
        })
    }
}
