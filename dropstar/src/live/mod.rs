//! What pages show while it happens.

pub(crate) mod assets;
pub(crate) mod events;
pub(crate) mod graph;
pub(crate) mod series;
mod window;
