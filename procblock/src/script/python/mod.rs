//! Python scripts in warm worker processes: one call at a time a worker, each over its own socket.
//!
//! The program of the worker is embedded ([`WORKER`]) and given to the interpreter with `-c`; nothing is written to
//! disk. A worker whose call was ended, or whose socket broke, is ended too; one is replaced after 1,000 calls or
//! when it holds more than 256 MB.

mod pool;
mod protocol;
#[cfg(test)]
mod tests;
mod worker;

pub(super) use pool::Pool;

/// The worker's program.
const WORKER: &str = include_str!("worker.py");
