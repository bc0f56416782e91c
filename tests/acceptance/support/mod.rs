//! What the tests share: starting procblock, waiting for what it does, and reading what it left.

mod disposition;
mod process;
mod rrd;
mod run;
mod running;
mod wait;

pub(crate) use process::{Process, children_of, kill};
pub(crate) use rrd::{Rows, is_png, rows, rrd_info};
pub(crate) use run::{Ended, Run};
pub(crate) use running::Running;
pub(crate) use wait::{LONG, eventually};
