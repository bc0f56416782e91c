//! `conditions`: `if`, `elif` and `else` as an ordered list.

use crate::block::Compiler;
use crate::load::{Entry, Node};
use crate::spec::{Example, Expected, FieldKind, FieldSpec, Fields};
use crate::tag::if_::{Branch, Choice, PRIORITY};
use crate::tag::spec::{Pattern, TagSpec};
use crate::tag::{Found, Tag, TagAction};

const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("if", FieldKind::Expression, "The condition of the first branch."),
    FieldSpec::new("elif", FieldKind::Expression, "The condition of a further branch."),
    FieldSpec::new("then", FieldKind::Block, "What is merged when the condition holds."),
    FieldSpec::new("else", FieldKind::Block, "What is merged when none holds; the last item."),
];

/// `conditions: [{if, then}, {elif, then}, {else}]`.
pub(super) struct Conditions;

impl Tag for Conditions {
    fn spec(&self) -> &'static TagSpec {
        &TagSpec {
            pattern: Pattern::Exact("conditions"),
            priority: Some(PRIORITY),
            summary: "The branches of `if` as an ordered list, for expressions that hold `: ` or occur twice.",
            text: "The first item whose condition holds is merged into the block.",
            value: FieldKind::ListOf(&FieldKind::Mapping(FIELDS)),
            examples: &[Example {
                yaml: "data: {state: 'up: yes'}\nconditions:\n  - if: \"state == 'up: no'\"\n    then: {up: false}\n  - elif: \"state == 'up: yes'\"\n    then: {up: true}\n  - else: {up: unknown}\n",
                expected: Expected::Result(r#"{"up": true}"#),
            }],
        }
    }

    fn compile(&self, found: &Found<'_>, compiler: &mut Compiler) -> Option<Box<dyn TagAction>> {
        let node = &found.entry.value;
        let Some(items) = node.items() else {
            let what = format!("conditions is a {}", node.kind_name());
            compiler.problems.error(&node.mark, what, "expected a list: [{if: …, then: {…}}, {else: {…}}]");
            return None;
        };
        let branches: Vec<Option<Branch>> =
            items.iter().enumerate().map(|(index, item)| branch(item, index, items.len(), compiler)).collect();
        Some(Box::new(Choice { branches: branches.into_iter().collect::<Option<Vec<_>>>()? }))
    }
}

fn branch(item: &Node, index: usize, count: usize, compiler: &mut Compiler) -> Option<Branch> {
    let fields = Fields::read(item, FIELDS, "an item of conditions", &mut compiler.problems);
    let (first, further, last) = (fields.entry("if"), fields.entry("elif"), fields.entry("else"));
    match (first, further, last) {
        (Some(condition), None, None) if index == 0 => with_condition(condition, &fields, item, compiler),
        (None, Some(condition), None) if index > 0 => with_condition(condition, &fields, item, compiler),
        (None, None, Some(entry)) if index > 0 && index + 1 == count => {
            Branch::compile(None, &entry.mark, &entry.value, compiler)
        }
        _ => {
            let what = "an item of conditions is out of order";
            compiler.problems.error(&item.mark, what, "expected {if, then} first, then {elif, then}, then {else} last");
            None
        }
    }
}

fn with_condition(entry: &Entry, fields: &Fields<'_>, item: &Node, compiler: &mut Compiler) -> Option<Branch> {
    let Some(then) = fields.node("then") else {
        compiler.problems.error(&item.mark, "an item of conditions has no then", "add then: {…}");
        return None;
    };
    let text = crate::value::to_text(&entry.value.to_value());
    Branch::compile(Some(&text), &entry.value.mark, then, compiler)
}
