//! `list add VAR` and `list del VAR`: change a list in pipe data.

use crate::block::{Compiler, Run, TagResult};
use crate::error::RunError;
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::spec::{Example, Expected, FieldKind};
use crate::tag::set::PRIORITY;
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{DISCARD, Found, Tag, TagAction, ready};
use crate::value::{DEPTH_MAX, Value, is_within, kind_name};

/// `list add VAR: value`.
pub(super) struct ListAdd;

/// `list del VAR: value`.
pub(super) struct ListDel;

impl Tag for ListAdd {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Prefix { prefix: "list add", variable: "VAR" },
            priority: Some(PRIORITY),
            summary: "Adds a value to the end of the list VAR in pipe data.",
            text: "A missing VAR starts as an empty list; a VAR of another kind is a failure.",
            value: FieldKind::Any,
            examples: &[Example {
                yaml: "data: {hosts: [alpha]}\nlist add hosts: beta\nall: ${hosts}\n",
                expected: Expected::Result(r#"{"all": ["alpha", "beta"]}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        Some(Box::new(ListAction::compile(found, compiler, Change::Add)))
    }
}

impl Tag for ListDel {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Prefix { prefix: "list del", variable: "VAR" },
            priority: Some(PRIORITY),
            summary: "Removes every element equal to the value from the list VAR in pipe data.",
            text: "A missing VAR starts as an empty list; a value that is not there is no failure.",
            value: FieldKind::Any,
            examples: &[Example {
                yaml: "data: {hosts: [alpha, beta]}\nlist del hosts: alpha\nall: ${hosts}\n",
                expected: Expected::Result(r#"{"all": ["beta"]}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        Some(Box::new(ListAction::compile(found, compiler, Change::Remove)))
    }
}

#[derive(Clone, Copy)]
enum Change {
    Add,
    Remove,
}

struct ListAction {
    name: String,
    value: ValueTemplate,
    change: Change,
}

impl ListAction {
    fn compile(found: &Found<'_>, compiler: &mut Compiler, change: Change) -> Self {
        let value = ValueTemplate::compile(&found.entry.value, &mut compiler.problems);
        ListAction { name: found.variable.to_string(), value, change }
    }

    fn change(&self, run: &mut Run) -> TagResult {
        let value = self.value.render(run)?;
        let slot = run.pipe_data.entry(self.name.clone()).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(list) = slot else {
            return Err(RunError::failed(format!("{} is a {}, not a list", self.name, kind_name(slot))).into());
        };
        match self.change {
            Change::Add if is_within(&value, DEPTH_MAX - 1) => list.push(value),
            Change::Add => {
                let text = format!("{} would nest deeper than {DEPTH_MAX} levels; is it added to itself?", self.name);
                return Err(RunError::failed(text).into());
            }
            Change::Remove => list.retain(|item| *item != value),
        }
        DISCARD
    }
}

impl TagAction for ListAction {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        ready(self.change(run))
    }
}
