//! `call`: runs another block, of this file or of another.

use std::sync::{Arc, OnceLock};

use crate::block::{Block, Compiler};
use crate::error::RunError;
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::load::{Entry, Problems};
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepFailure, StepResult, StepRun};
use crate::value::{Map, Value};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new(
        "block",
        FieldKind::Text,
        "The block's name under `blocks:`, or a mapping at the top of the file; without it the whole file.",
    ),
    FieldSpec::new("file", FieldKind::Path, "The file; without it this one."),
    FieldSpec::new("data", FieldKind::MapOf(&FieldKind::Any), "Added to the pipe data that the block starts from."),
];

/// The key under which a called block's run list leaves its pipe data.
const RUN: &str = "run";

/// `call: NAME` or `call: {block, file, data}`.
pub(super) struct Call;

impl Step for Call {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "call",
            summary: "Runs another block, of this file or of another one, and merges its result into pipe data.",
            text: "The block starts from a copy of pipe data; a result that is no mapping is merged as `result`.",
            value: FieldKind::OneOf(&[FieldKind::Text, FieldKind::Mapping(FIELDS)]),
            examples: &[
                Example {
                    yaml: "blocks:\n  greet:\n    greeting: hello ${who}\nrun:\n  - call: {block: greet, data: {who: you}}\n",
                    expected: Expected::Result(r#"{"run": {"args": [], "greeting": "hello you"}}"#),
                },
                Example {
                    yaml: "blocks:\n  greet: {a: 1}\nrun:\n  - call: gret\n",
                    expected: Expected::Refused("did you mean \"greet\"?"),
                },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let node = &entry.value;
        if let Some(name) = node.as_text() {
            let block = compiler.called(None, Some(name), &node.mark)?;
            return Some(Box::new(CallAction { block, data: None }));
        }
        let fields = Fields::read(node, FIELDS, "call", &mut compiler.problems);
        if fields.is_empty() {
            compiler.problems.error(&node.mark, "call names nothing", "add block: NAME or file: FILE");
            return None;
        }
        let name = fields.literal::<String>("block", &mut compiler.problems);
        let block = compiler.called(fields.node("file"), name.as_deref(), &node.mark)?;
        let data = |problems: &mut Problems| fields.node("data").map(|node| ValueTemplate::compile(node, problems));
        Some(Box::new(CallAction { block, data: data(&mut compiler.problems) }))
    }
}

struct CallAction {
    block: Arc<OnceLock<Arc<Block>>>,
    data: Option<ValueTemplate>,
}

impl StepAction for CallAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let block = self.block.get().ok_or_else(|| RunError::failed("the called block was not compiled"))?;
            let mut inner = step.run.nested()?;
            if block.tags.iter().any(|tag| tag.key == RUN) {
                // Left by an earlier call: in a loop each would hold the one before it, ever deeper.
                inner.pipe_data.shift_remove(RUN);
            }
            if let Some(data) = &self.data
                && let Value::Object(data) = data.render(&*step.run)?
            {
                inner.pipe_data.extend(data);
            }
            let processed = block.process(&mut inner).await;
            let result = match processed.result {
                Value::Object(map) => map,
                other => Map::from_iter([("result".to_string(), other)]),
            };
            match processed.error {
                None => Ok(result),
                Some(error) => Err(StepFailure { error, result }),
            }
        })
    }
}
