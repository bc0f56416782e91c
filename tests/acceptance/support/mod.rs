//! What the tests share: starting procblock, waiting for what it does, and reading what it left.

mod disposition;
pub(crate) mod process;
#[cfg(feature = "series")]
mod rrd;
mod run;
mod running;
mod wait;
mod web;

pub(crate) use process::{Process, children_of, kill};
#[cfg(feature = "series")]
pub(crate) use rrd::{is_png, is_png_bytes, last_update, log_texts, logged_samples, rows, rrd_info};
pub(crate) use run::{Ended, Run};
pub(crate) use running::Running;
pub(crate) use wait::{LONG, eventually};
pub(crate) use web::{Reply, Web};
