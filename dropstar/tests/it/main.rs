//! The server over real connections, with a loader whose language is JSON.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: what does not hold is a failed test"
)]

mod administering;
mod assets;
mod attacks;
mod connections;
mod events;
mod metrics;
mod pages;
mod procedures;
mod requests;
mod series;
mod sites;
mod static_files;
mod status;
mod support;
mod tls;
mod users;
