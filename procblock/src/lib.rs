//! procblock: one YAML file is a whole small system.
//!
//! A file is loaded into a [`load::Node`] tree that keeps its marks, compiled once into a chain of tags and
//! steps, and run by the [`block`] module. Scripts, child processes, run-threads and time series are modules of
//! their own; `ARCHITECTURE.md` maps them. The crate never reads its own process's working directory while it
//! runs a block: every path is resolved against the file that names it.

pub mod background;
pub mod block;
pub mod cli;
pub mod control;
mod cores;
pub mod docs;
pub mod error;
pub mod expr;
pub mod happenings;
pub mod host;
pub mod http;
pub mod instance;
pub mod life;
pub mod load;
pub mod logging;
pub mod process;
pub mod rpc;
pub mod runner;
pub mod script;
pub mod series;
pub mod serve;
mod spare_workers;
pub mod spec;
mod state_files;
pub mod step;
mod store_calls;
pub mod tag;
pub mod thread;
pub mod units;
pub mod usage;
pub mod value;
pub mod workers;
pub mod yaml;

pub use error::RunError;
pub use load::LoadError;
pub use spare_workers::SpareWorkers;
pub use value::{Map, Value};
