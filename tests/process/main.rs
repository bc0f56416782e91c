//! Child processes through the real keeper: what a command gives, that nothing it starts outlives it, whoever dies.
//!
//! Nothing here waits by the clock: ends are seen through a process's own descriptor, or the end of a pipe.

mod commands;
mod ends;
mod loads;
mod roles;
mod support;
mod workers;
