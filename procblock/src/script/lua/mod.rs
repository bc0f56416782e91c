//! Lua scripts: a pool of states, each used by one call at a time.
//!
//! A call runs as a coroutine of its state, polled as a future: what waits in the API holds no thread. It begins on
//! the runtime's worker and leaves it after 2 ms of script time ([`control`]). A state whose call ran out of time or
//! memory, or was dropped half-way, is thrown away.

mod api;
mod confined;
mod control;
mod convert;
mod cpu;
mod failure;
#[cfg(test)]
mod hostile_tests;
mod load;
mod parameters;
mod pool;
mod run;
mod syntax;
mod take;
mod watchdog;

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;

pub(in crate::script) use control::Control;
pub(super) use pool::Pool;
#[cfg(test)]
pub(super) use run::bare_environment;
pub(super) use syntax::mistake;
pub(crate) use watchdog::LOST_MAX;
