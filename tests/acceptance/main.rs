//! The built binaries, run as a user runs them: standard output, standard error, exit code and files.
//!
//! Each test has its own folder, home and runtime folder, and ends everything that it started, so that all of them
//! run side by side.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests: what does not hold is a failed test"
)]

mod attacks;
mod blocks;
mod cases;
mod children;
mod command_line;
mod control;
mod first_site;
mod http;
mod life;
mod load;
mod no_relay_chat;
mod scripts;
mod serve;
mod sites;
mod steps;
mod stores;
mod support;
mod terminal;
mod threads;
mod users;

#[cfg(feature = "series")]
mod demos;
#[cfg(feature = "series")]
mod kills;
#[cfg(feature = "series")]
mod restarts;
#[cfg(feature = "series")]
mod series;
