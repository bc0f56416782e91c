//! `if EXPR`, with `elif EXPR` and `else` inside: the chosen branch is merged into the parent.

use crate::block::{Block, Compiler, Run, TagOutcome, TagResult, compile_branch, placed};
use crate::error::RunError;
use crate::expr::{Expr, ExprError, Scope};
use crate::host::BoxFuture;
use crate::load::{Entry, Kind, Mark, Node};
use crate::spec::{Example, Expected, FieldKind};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction};

/// Where conditions stand: after plain data, before `run`.
pub(super) const PRIORITY: i32 = 600;

/// `if EXPR: branch`.
pub(super) struct If;

impl Tag for If {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Prefix { prefix: "if", variable: "EXPR" },
            priority: Some(PRIORITY),
            summary: "Merges its mapping into the block when the expression holds.",
            text: "`elif EXPR` and `else` inside it are the other branches; the first that holds is taken. Keys of the branch \
                   win over plain data of the same name.",
            value: FieldKind::Block,
            examples: &[
                Example {
                    yaml: "data: {load: 3}\nlevel: low\nif load > 5:\n  level: high\n  elif load > 2:\n    level: medium\n  else:\n    level: idle\n",
                    expected: Expected::Result(r#"{"level": "medium"}"#),
                },
                Example { yaml: "if load >: {a: 1}\n", expected: Expected::Refused("load >") },
            ],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let node = &found.entry.value;
        let Some(entries) = node.entries() else {
            let what = format!("the branch is a {}", node.kind_name());
            compiler.problems.error(&node.mark, what, "expected a mapping of tags");
            return None;
        };
        let is_branch = |entry: &&Entry| entry.key == "else" || entry.key.starts_with("elif ");
        let own: Vec<Entry> = entries.iter().filter(|entry| !is_branch(entry)).cloned().collect();
        let own = Node { mark: node.mark.clone(), kind: Kind::Mapping(own) };
        let mut branches = vec![Branch::compile(Some(found.variable), &found.entry.mark, &own, compiler)];
        for entry in entries.iter().filter(is_branch) {
            let condition = entry.key.strip_prefix("elif ").map(str::trim);
            branches.push(Branch::compile(condition, &entry.mark, &entry.value, compiler));
        }
        branches.sort_by_key(|branch| branch.as_ref().is_some_and(|branch| branch.condition.is_none()));
        Some(Box::new(Choice { branches: branches.into_iter().collect::<Option<Vec<_>>>()? }))
    }
}

/// One branch: its condition (`None` for `else`) and its tags.
pub(super) struct Branch {
    condition: Option<Expr>,
    mark: Mark,
    block: Block,
}

impl Branch {
    /// Compiles a branch; a mistake in its condition is reported with its column.
    pub(super) fn compile(condition: Option<&str>, mark: &Mark, node: &Node, compiler: &mut Compiler) -> Option<Self> {
        let block = compile_branch(node, compiler);
        let condition = match condition {
            None => None,
            Some(text) => Some(compile_key_expression(text, mark, compiler)?),
        };
        Some(Branch { condition, mark: mark.clone(), block: block? })
    }
}

/// An expression that is part of a key.
fn compile_key_expression(text: &str, mark: &Mark, compiler: &mut Compiler) -> Option<Expr> {
    match Expr::parse(text) {
        Ok(expression) => Some(expression),
        Err(error) => {
            let line = mark.source.line(mark.line);
            let start = line.find(text).map_or(0, |bytes| line.get(..bytes).map_or(0, |before| before.chars().count()));
            let mut at = mark.clone();
            at.column = u32::try_from(start + error.column + 1).unwrap_or(at.column);
            compiler.problems.error(&at, format!("in the expression \"{text}\": {}", error.message), error.remedy);
            None
        }
    }
}

/// The first branch whose condition holds.
pub(super) struct Choice {
    pub(super) branches: Vec<Branch>,
}

impl Choice {
    fn chosen(&self, scope: &dyn Scope) -> Result<Option<&Branch>, RunError> {
        for branch in &self.branches {
            let Some(condition) = &branch.condition else { return Ok(Some(branch)) };
            if condition.is_true(scope).map_err(|error| placed(expression_error(&error), &branch.mark))? {
                return Ok(Some(branch));
            }
        }
        Ok(None)
    }
}

/// The failure of an expression while it is evaluated.
pub(crate) fn expression_error(error: &ExprError) -> RunError {
    RunError::failed(error.to_string())
}

impl TagAction for Choice {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(async move {
            match self.chosen(run)? {
                Some(branch) => branch.block.process_within(run).await,
                None => Ok(TagOutcome::Discard),
            }
        })
    }
}
