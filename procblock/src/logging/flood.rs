//! A bound on what children and scripts may put into the log in a second.
//!
//! Without it, one step that prints hundreds of megabytes would push everything else out of the ring and the log files,
//! and keep a processor busy with lines that nobody can read.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines of children and scripts in a second.
pub const FLOOD_LINES_MAX: u64 = 20_000;

/// Bytes of these lines in a second.
pub const FLOOD_BYTES_MAX: u64 = 8 * 1024 * 1024;

const SECOND: Duration = Duration::from_secs(1);

/// Counts lines by the second.
#[derive(Default)]
pub(super) struct Flood {
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    start: Option<Instant>,
    lines: u64,
    bytes: u64,
    left_out: u64,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is logged.
    Log,
    /// It is left out, the first of them: say so.
    LeaveOutFirst,
    /// It is left out.
    LeaveOut,
}

impl Flood {
    /// Whether a line is logged at this moment.
    pub(super) fn admit(&self, now: Instant) -> Verdict {
        let mut window = self.window.lock();
        window.advance(now);
        if window.lines < FLOOD_LINES_MAX && window.bytes < FLOOD_BYTES_MAX {
            window.lines += 1;
            return Verdict::Log;
        }
        window.left_out += 1;
        if window.left_out == 1 { Verdict::LeaveOutFirst } else { Verdict::LeaveOut }
    }

    /// Adds the length of a line that was logged.
    pub(super) fn add(&self, bytes: usize) {
        self.window.lock().bytes += bytes as u64;
    }

    /// How many lines were left out up to now, once their second is over; then counts anew.
    pub(super) fn take_left_out(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock();
        let is_over = window.start.is_none_or(|start| now.saturating_duration_since(start) >= SECOND);
        (is_over && window.left_out > 0).then(|| std::mem::take(&mut window.left_out))
    }
}

impl Window {
    fn advance(&mut self, now: Instant) {
        if self.start.is_none_or(|start| now.saturating_duration_since(start) >= SECOND) {
            (self.start, self.lines, self.bytes) = (Some(now), 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_over_the_bound_are_left_out_and_counted() {
        let flood = Flood::default();
        let start = Instant::now();
        for _ in 0..FLOOD_LINES_MAX {
            assert_eq!(flood.admit(start), Verdict::Log);
        }
        assert_eq!(flood.admit(start), Verdict::LeaveOutFirst);
        assert_eq!(flood.admit(start + SECOND / 2), Verdict::LeaveOut);
        assert_eq!(flood.take_left_out(start + SECOND / 2), None);
        assert_eq!(flood.take_left_out(start + SECOND), Some(2));
        assert_eq!(flood.take_left_out(start + SECOND), None);
        assert_eq!(flood.admit(start + SECOND), Verdict::Log);
    }

    #[test]
    fn long_lines_count_by_their_length() {
        let flood = Flood::default();
        let now = Instant::now();
        assert_eq!(flood.admit(now), Verdict::Log);
        flood.add(usize::try_from(FLOOD_BYTES_MAX).unwrap());
        assert_eq!(flood.admit(now), Verdict::LeaveOutFirst);
        assert_eq!(flood.admit(now + SECOND), Verdict::Log);
    }
}
