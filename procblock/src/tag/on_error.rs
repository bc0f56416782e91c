//! `on error` and `always`: run lists that see what failed.

use std::sync::Arc;

use crate::block::{Compiler, Run, TagOutcome, TagResult};
use crate::host::BoxFuture;
use crate::load::{Kind, Node};
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields};
use crate::step::StepList;
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction, When};

/// The longer form of a handler.
pub(crate) const HANDLER_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("run", FieldKind::Steps, "What is done; `error` is in scope.").required(),
    FieldSpec::new("then", FieldKind::Choice(&["stop", "continue"]), "Whether the failure stands.").default("stop"),
];

/// What is done about a failure: a run list, and whether the failure is over then.
pub struct Handler {
    list: Arc<StepList>,
    continues: bool,
}

impl Handler {
    /// Reads a list of steps whose last item may be `then: continue`, or `{run, then}`.
    pub(crate) fn compile(node: &Node, what: &str, compiler: &mut Compiler) -> Option<Self> {
        if node.entries().is_some() {
            let fields = Fields::read(node, HANDLER_FIELDS, what, &mut compiler.problems);
            let continues = fields.literal::<String>("then", &mut compiler.problems).as_deref() == Some("continue");
            return Some(Handler { list: Arc::new(StepList::compile(fields.node("run")?, compiler)), continues });
        }
        let items = node.items().unwrap_or_default();
        let is_then =
            |item: &Node| item.entries().is_some_and(|entries| entries.iter().all(|entry| entry.key == "then"));
        let (items, continues) = match items.split_last() {
            Some((last, rest)) if is_then(last) => {
                (rest, last.get("then").and_then(|entry| entry.value.as_text()) == Some("continue"))
            }
            _ => (items, false),
        };
        let list = Node {
            mark: node.mark.clone(),
            kind: if node.items().is_some() { Kind::List(items.to_vec()) } else { node.kind.clone() },
        };
        Some(Handler { list: Arc::new(StepList::compile(&list, compiler)), continues })
    }

    /// The steps.
    pub(crate) fn run_list(&self) -> &Arc<StepList> {
        &self.list
    }

    /// Whether the failure is over when the list has run.
    pub(crate) fn continues(&self) -> bool {
        self.continues
    }
}

/// `on error: [steps]`.
pub(super) struct OnError;

impl Tag for OnError {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("on error"),
            priority: Some(9990),
            summary: "Steps that run when something in the block failed.",
            text: "`error` holds message, step, place, status, output and attempts. It runs also when a required lock was not \
                   had. The failure stands unless the list ends with `then: continue`.",
            value: FieldKind::OneOf(&[FieldKind::Steps, FieldKind::Mapping(HANDLER_FIELDS)]),
            examples: &[
                Example {
                    yaml: "run:\n  - exec: [/bin/sh, -c, 'exit 3']\non error:\n  - assert: error.status == 3\n  - then: continue\nafter: {__priority: 9995, ok: true}\n__return_tag: after\n",
                    expected: Expected::Result(r#"{"ok": true}"#),
                },
                Example {
                    yaml: "run:\n  - exec: [/bin/false]\non error:\n  - log: 'it failed: ${error.message}'\n",
                    expected: Expected::Failure("exited with code 1"),
                },
            ],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let handler = Handler::compile(&found.entry.value, "on error", compiler)?;
        Some(Box::new(HandlerAction { handler, when: When::AfterFailure }))
    }
}

/// `always: [steps]`.
pub(super) struct Always;

impl Tag for Always {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("always"),
            priority: Some(9995),
            summary: "Steps that run at the block's end whether it failed or not.",
            text: "After a failure `error` is in scope. A failure of its own fails the block.",
            value: FieldKind::OneOf(&[FieldKind::Steps, FieldKind::Mapping(HANDLER_FIELDS)]),
            examples: &[Example {
                yaml: "run:\n  - set: {n: 1}\nalways:\n  - log: cleaned up\n__return_tag: answer\nanswer: 1\n",
                expected: Expected::Result("1"),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let handler = Handler::compile(&found.entry.value, "always", compiler)?;
        Some(Box::new(HandlerAction { handler, when: When::Always }))
    }
}

struct HandlerAction {
    handler: Handler,
    when: When,
}

impl HandlerAction {
    async fn handle(&self, run: &mut Run) -> TagResult {
        Box::pin(run.handle(&self.handler, run.failure.clone().as_deref())).await?;
        if self.when == When::AfterFailure && self.handler.continues() {
            return Ok(TagOutcome::Leave);
        }
        Ok(TagOutcome::Discard)
    }
}

impl TagAction for HandlerAction {
    fn when(&self) -> When {
        self.when
    }

    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(self.handle(run))
    }
}
