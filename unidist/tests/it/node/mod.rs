//! Several openings of one store, in this process and in others: the first has it, the others go through its socket.

mod killed;
mod owners;
mod private;
mod socket;

use std::path::Path;

use unidist::{AcquireOptions, Unidist};

use crate::common::AT_ONCE;

fn open(folder: &Path) -> Unidist {
    let url = format!("file:{}", folder.display());
    Unidist::open(&url).unwrap_or_else(|error| panic!("{error}"))
}

fn once() -> AcquireOptions {
    AcquireOptions { wait: AT_ONCE, ..AcquireOptions::default() }
}
