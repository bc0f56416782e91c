//! How much one load may grow: a file of a few lines can ask for gigabytes through aliases and includes.

/// Nodes in all files of one load together, after aliases were expanded.
pub(crate) const NODES_MAX: usize = 1_000_000;
/// Bytes of text in all scalars and keys of one load together, after aliases were expanded.
pub(crate) const TEXT_MAX: usize = 64 << 20;
/// Mappings and lists inside each other, across includes and aliases.
pub(crate) const DEPTH_MAX: usize = 64;
/// Bytes of one file.
pub(crate) const FILE_SIZE_MAX: u64 = 16 << 20;
/// Files that include each other in a chain.
pub(crate) const CHAIN_MAX: usize = 16;
/// Includes in one load; a file counts each time it is included.
pub(crate) const INCLUDES_MAX: usize = 1_000;

/// What a load has grown to.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    nodes: usize,
    text: usize,
    includes: usize,
}

impl Budget {
    /// Counts nodes and the bytes of their text; false once there are too many.
    pub(crate) fn take(&mut self, nodes: usize, text: usize) -> bool {
        self.nodes = self.nodes.saturating_add(nodes);
        self.text = self.text.saturating_add(text);
        self.nodes <= NODES_MAX && self.text <= TEXT_MAX
    }

    /// Counts an include; false once there are too many.
    pub(crate) fn take_include(&mut self) -> bool {
        self.includes += 1;
        self.includes <= INCLUDES_MAX
    }
}
