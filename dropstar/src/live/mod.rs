//! What pages show while it happens.

pub(crate) mod assets;
pub(crate) mod events;
mod exposition;
pub(crate) mod graph;
pub(crate) mod health;
pub(crate) mod metrics;
mod process;
pub(crate) mod series;
pub(crate) mod status;
pub(crate) mod traffic;
mod window;
