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
mod mixed;
mod model;
mod names;
#[cfg(feature = "file")]
mod node;
mod queues;
mod state;
mod waiting;
mod watch;
