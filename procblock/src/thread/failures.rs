//! What is told of a run-thread's failures: a line for what is new, not one for each period.

use std::time::{Duration, Instant};

use crate::units::format_duration;

/// The same failure is told again after this time.
const REMIND_AFTER: Duration = Duration::from_secs(3600);

/// The failures since the newest good run.
#[derive(Debug, Default)]
pub(super) struct Failures {
    row: Option<Row>,
}

#[derive(Debug)]
struct Row {
    message: String,
    count: u64,
    since: Instant,
    told: Instant,
}

impl Failures {
    /// Whether the newest run failed.
    pub(super) fn are_going_on(&self) -> bool {
        self.row.is_some()
    }

    /// Counts a failed run that began at `now`; what is to be told of it: the first failure, another message than the
    /// one before, and every hour that the same one goes on.
    pub(super) fn add(&mut self, message: String, now: Instant) -> Option<String> {
        let Some(row) = &mut self.row else {
            self.row = Some(Row { message: message.clone(), count: 1, since: now, told: now });
            return Some(message);
        };
        row.count += 1;
        let is_reminder = now.saturating_duration_since(row.told) >= REMIND_AFTER;
        if row.message == message && !is_reminder {
            return None;
        }
        row.message.clone_from(&message);
        row.told = now;
        if is_reminder { Some(format!("{message}; {}", row.so_far(now))) } else { Some(message) }
    }

    /// A good run that began at `now`; what is to be told when failures came before it.
    pub(super) fn end(&mut self, now: Instant) -> Option<String> {
        let row = self.row.take()?;
        Some(format!("runs again after {}", row.so_far(now)))
    }
}

impl Row {
    /// `3 failures in 15s`.
    fn so_far(&self, now: Instant) -> String {
        let lasted = Duration::from_millis(
            u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX),
        );
        let failures = if self.count == 1 { "failure" } else { "failures" };
        format!("{} {failures} in {}", self.count, format_duration(lasted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_told_and_the_same_again_after_an_hour() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let mut add = |seconds: u64, message: &str| failures.add(message.into(), start + Duration::from_secs(seconds));
        assert_eq!(add(0, "broken").as_deref(), Some("broken"));
        for second in 1..100 {
            assert_eq!(add(second, "broken"), None);
        }
        assert_eq!(add(100, "worse").as_deref(), Some("worse"));
        assert_eq!(add(3699, "worse"), None);
        assert_eq!(add(3700, "worse").as_deref(), Some("worse; 103 failures in 1h1m40s"));
        assert_eq!(add(7299, "worse"), None);
        assert_eq!(
            failures.end(start + Duration::from_secs(7300)).as_deref(),
            Some("runs again after 104 failures in 2h1m40s")
        );
        assert_eq!(failures.end(start + Duration::from_secs(7301)), None);
        assert_eq!(failures.add("worse".into(), start).as_deref(), Some("worse"));
    }
}
