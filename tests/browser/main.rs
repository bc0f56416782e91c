//! Pages in headless Chromium, served by the built procblock: what a person sees, clicks and types.
//!
//! Each test has its own folder, port, browser and profile, and ends all of them; every wait has a deadline. `chromium`
//! and `chromedriver` are found through PATH.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: what does not hold is a failed test"
)]

mod browser;
#[cfg(feature = "series")]
mod charts;
mod driver;
mod dropstar_demo;
mod files;
mod following;
mod no_relay_chat;
mod pages;
mod site;
mod status;
mod system_monitor;

#[path = "../acceptance/support/mod.rs"]
#[allow(
    clippy::expect_used,
    dead_code,
    unused_imports,
    reason = "shared with the acceptance tests, which use all of it"
)]
mod support;
