//! The lines of the audit log, for tests to wait for.

use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use super::DEADLINE;

/// The lines told so far, by all tests of this process.
pub(crate) struct Lines(Mutex<Vec<String>>);

static LINES: OnceLock<Lines> = OnceLock::new();

/// Begins to keep the lines.
pub(crate) fn audit_lines() -> &'static Lines {
    LINES.get_or_init(|| {
        log::set_max_level(log::LevelFilter::Info);
        log::set_logger(&Keeper).unwrap();
        Lines(Mutex::default())
    })
}

impl Lines {
    /// Waits until they hold something; gives them all.
    pub(crate) fn until(&self, hold: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let lines = self.0.lock().unwrap().clone();
            if hold(&lines) {
                return lines;
            }
            assert!(Instant::now() < deadline, "it was not told: {lines:#?}");
            std::thread::yield_now();
        }
    }
}

struct Keeper;

impl log::Log for Keeper {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "audit"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata())
            && let Some(Lines(lines)) = LINES.get()
        {
            lines.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}
