//! What pages show while it happens.

pub(crate) mod events;
