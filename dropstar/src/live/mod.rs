//! What pages show while it happens.

pub(crate) mod assets;
pub(crate) mod events;
