//! The `file:` engine: what survives, what is refused, and what a kill, a full disk and flipped bits do.

mod damage;
mod failing;
mod folder;
mod injected;
mod kill;
mod survival;

use std::path::Path;
use std::sync::Arc;

use unidist::{Error, Unidist, VirtualClock};

/// How many rounds a long test makes: `ROUNDS`, or its default.
fn rounds(default: usize) -> usize {
    std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn url(folder: &Path) -> String {
    format!("file:{}", folder.display())
}

fn open(folder: &Path) -> Unidist {
    Unidist::open(&url(folder)).unwrap_or_else(|error| panic!("{error}"))
}

fn try_open(folder: &Path) -> Result<Unidist, Error> {
    Unidist::open(&url(folder))
}

fn open_with(folder: &Path, clock: &Arc<VirtualClock>) -> Unidist {
    let builder = Unidist::builder().clock(clock.clone());
    builder.open(&url(folder)).unwrap_or_else(|error| panic!("{error}"))
}
