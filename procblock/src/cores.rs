//! How many cores this process may use.

use std::sync::OnceLock;

/// The cores, or processing time, that the system grants this process; 1 when it does not say. Asked once: the answer
/// takes the reading of several files.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}
