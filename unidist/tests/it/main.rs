//! The contract of the shared things, rule by rule, through the public API. Each test runs on each engine.

mod call;
mod common;
mod contention;
mod counters;
mod fences;
#[cfg(feature = "file")]
mod file;
mod host;
mod locks;
mod logs;
mod model;
#[cfg(feature = "file")]
mod node;
mod queues;
mod state;
mod watch;
