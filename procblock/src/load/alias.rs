//! Anchors and aliases, and the bounds that they could break: a few lines of them can ask for gigabytes.

use saphyr_parser::Span;

use crate::load::budget::{DEPTH_MAX, NODES_MAX, TEXT_MAX};
use crate::load::tree::{Builder, Ended, Items, Key, Open};
use crate::load::{Kind, Mark, Node, syntax};

/// What an alias stands for.
pub(super) struct Anchored {
    node: Node,
    size: Size,
}

/// How much of the budget a node takes, and how many levels are below it.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) nodes: usize,
    pub(super) text: usize,
    pub(super) height: usize,
}

impl Builder<'_> {
    /// Counts what was built; ends the load when it is too much.
    pub(super) fn take(&mut self, size: Size, mark: &Mark) -> Result<(), Ended> {
        if self.loader.budget.take(size.nodes, size.text) {
            return Ok(());
        }
        if !self.loader.is_ended {
            self.loader.is_ended = true;
            let what = format!("the file grows beyond {NODES_MAX} values or {} MiB of text", TEXT_MAX >> 20);
            self.error(
                mark,
                what,
                "use fewer aliases and includes of large parts, and keep data outside of block files",
            );
        }
        Err(Ended)
    }

    /// Ends the file when something of this height stands too deep here.
    pub(super) fn refuse_depth(&mut self, height: usize, mark: &Mark) -> Result<(), Ended> {
        if self.depth + self.open.len() + height <= DEPTH_MAX {
            return Ok(());
        }
        let told = syntax::too_deep(mark.clone());
        self.error(mark, told.what, told.remedy);
        Err(Ended)
    }

    /// Puts a copy of what an alias stands for in its place.
    pub(super) fn alias(&mut self, id: usize, span: Span) -> Result<(), Ended> {
        let mark = self.mark(&span.start);
        self.read_to = span.end;
        let Some(Some(anchored)) = self.anchors.get(&id) else {
            self.error(&mark, "an alias inside of what it stands for", "write the part out, or move its anchor");
            return Err(Ended);
        };
        let size = anchored.size;
        self.refuse_depth(size.height, &mark)?;
        self.take(size, &mark)?;
        let Some(Some(anchored)) = self.anchors.get(&id) else { return Ok(()) };
        let node = anchored.node.clone();
        if let (Some(Open { items: Items::Mapping { key: key @ None, .. }, .. }), Kind::Scalar(value, _)) =
            (self.open.last_mut(), &node.kind)
        {
            *key = Some(Key { text: Some(crate::value::to_text(value)), mark, is_merge: false });
            return Ok(());
        }
        self.complete(node, 0)
    }

    /// Remembers a node for aliases. The copy counts, so that anchors inside anchors stay within the budget too.
    pub(super) fn anchor(&mut self, node: &Node, anchor: usize) -> Result<(), Ended> {
        let size = measure(node);
        self.take(size, &node.mark)?;
        self.anchors.insert(anchor, Some(Anchored { node: node.clone(), size }));
        Ok(())
    }
}

fn measure(node: &Node) -> Size {
    let around = |size: Size, part: Size| Size {
        nodes: size.nodes + part.nodes,
        text: size.text + part.text,
        height: size.height.max(part.height + 1),
    };
    let empty = Size { nodes: 1, text: 0, height: 1 };
    match &node.kind {
        Kind::Scalar(value, _) => Size { nodes: 1, text: value.as_str().map_or(0, str::len), height: 0 },
        Kind::List(items) => items.iter().map(measure).fold(empty, around),
        Kind::Mapping(entries) => entries.iter().fold(empty, |size, entry| {
            let value = measure(&entry.value);
            around(size, Size { nodes: value.nodes + 1, text: value.text + entry.key.len(), height: value.height })
        }),
    }
}
