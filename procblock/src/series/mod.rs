//! Time series of a run: samples go to files and graphs through procblock-series, a process of its own, so that a
//! fault in librrd never ends the runner and the runner does not link it.
//!
//! [`SeriesClient`] gathers samples and hands them over in batches, at the latest one second or 1,000 samples after
//! they came (the flush window): what a killed runner loses. What the helper has not confirmed is kept and given again
//! to its successor. The client never blocks whoever stores, and everything that waits is bounded.

mod came_of;
mod client;
mod driver;
mod export;
mod failure;
mod find;
mod helper;
mod moment;
mod pending;
pub mod protocol;
mod show;
mod status;
mod writable;

pub use client::{FLUSH_SAMPLES, FLUSH_WINDOW, Series, SeriesClient};
pub use export::ArchiveRows;
pub use failure::{FailureKind, SeriesFailure};
pub use find::find_files;
pub use moment::{MOMENT_FORMS, parse_moment, show_moment};
pub use show::{definition_to_text, list_to_text, table_to_text};
pub use status::{SeriesStatus, SeriesTotals};
pub use writable::{irreplaceable, unwritable};
