//! Keys that are no tag: data of the user's own, and nested blocks.

use std::sync::Arc;

use crate::block::{Block, Run, TagOutcome, TagResult, placed};
use crate::expr::ValueTemplate;
use crate::host::BoxFuture;
use crate::load::{Entry, Mark, Node, Problems};
use crate::tag::{TagAction, ready};

/// A scalar or list: copied into the result with its `${…}` filled in.
pub(crate) struct PlainValue {
    value: ValueTemplate,
}

impl PlainValue {
    pub(crate) fn compile(node: &Node, problems: &mut Problems) -> Self {
        PlainValue { value: ValueTemplate::compile(node, problems) }
    }
}

impl TagAction for PlainValue {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        ready(self.value.render(run).map(TagOutcome::Save).map_err(Into::into))
    }
}

/// A mapping: a block of its own, which starts from a copy of the pipe data.
pub(crate) struct NestedBlock {
    mark: Mark,
    block: Arc<Block>,
}

impl NestedBlock {
    pub(crate) fn new(entry: &Entry, block: Block) -> Self {
        NestedBlock { mark: entry.mark.clone(), block: Arc::new(block) }
    }
}

impl TagAction for NestedBlock {
    fn apply<'a>(&'a self, run: &'a mut Run) -> BoxFuture<'a, TagResult> {
        Box::pin(async move {
            let mut inner = run.nested().map_err(|error| placed(error, &self.mark))?;
            self.block.process(&mut inner).await.into_outcome()
        })
    }
}
