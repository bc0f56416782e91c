//! The clock of a store that outlives its process: the date when it was opened, and from there it never goes back.
//!
//! So the times that were kept (leases, times to live, when a message was added) are on the same scale as those of this
//! run. While the store is open its clock does not follow a change of the machine's date.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Alarms, Clock};

pub(super) struct DatedClock {
    inner: Arc<dyn Clock>,
    /// The date when `inner` was at its origin.
    origin: Duration,
    /// Those that `inner` drives; it knows them weakly.
    alarms: Mutex<Vec<Arc<ShiftedAlarms>>>,
}

/// Alarms on the scale of the dated clock, as its inner clock sees them.
struct ShiftedAlarms {
    alarms: Weak<dyn Alarms>,
    origin: Duration,
}

impl DatedClock {
    pub(super) fn new(inner: Arc<dyn Clock>) -> Self {
        let origin = inner.unix_time().saturating_sub(inner.now());
        DatedClock { inner, origin, alarms: Mutex::default() }
    }
}

impl Clock for DatedClock {
    fn now(&self) -> Duration {
        self.origin.saturating_add(self.inner.now())
    }

    fn unix_time(&self) -> Duration {
        self.inner.unix_time()
    }

    fn drive(&self, alarms: Weak<dyn Alarms>) -> bool {
        let shifted = Arc::new(ShiftedAlarms { alarms, origin: self.origin });
        self.alarms.lock().push(shifted.clone());
        let weak: Weak<ShiftedAlarms> = Arc::downgrade(&shifted);
        self.inner.drive(weak)
    }
}

impl Alarms for ShiftedAlarms {
    fn next_due(&self) -> Option<Duration> {
        Some(self.alarms.upgrade()?.next_due()?.saturating_sub(self.origin))
    }

    fn run_due(&self) {
        if let Some(alarms) = self.alarms.upgrade() {
            alarms.run_due();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::timer::Timers;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn timers_run_at_their_date_when_the_inner_clock_is_moved_by_hand() {
        let inner = Arc::new(VirtualClock::new());
        inner.advance(Duration::from_secs(100));
        let timers = Timers::new(Arc::new(DatedClock::new(inner.clone())));
        assert_eq!(timers.now(), inner.unix_time());
        let rang = Arc::new(AtomicBool::new(false));
        let bell = rang.clone();
        timers.at(timers.now() + Duration::from_secs(10), move || bell.store(true, Ordering::SeqCst));
        inner.advance(Duration::from_secs(9));
        assert!(!rang.load(Ordering::SeqCst));
        inner.advance(Duration::from_secs(1));
        assert!(rang.load(Ordering::SeqCst));
    }
}
