//! Time as the shared things see it: leases, delays, times to live and ages.
//!
//! Everything that depends on time asks one [`Clock`], so that tests advance a [`VirtualClock`] instead of sleeping.

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// What is due at a time; a clock that is moved by hand runs it while it moves.
pub trait Alarms: Send + Sync {
    /// The earliest due time, on the clock's own scale.
    fn next_due(&self) -> Option<Duration>;
    /// Runs everything that is due now.
    fn run_due(&self);
}

/// A source of time.
pub trait Clock: Send + Sync {
    /// Time since the clock's origin. Never goes back, whatever is done to the machine's date.
    fn now(&self) -> Duration;
    /// The date, as time since 1970-01-01 UTC. For people; nothing is measured with it.
    fn unix_time(&self) -> Duration;
    /// True when the clock will itself run these alarms as it moves. False, the default, has a timer thread do it.
    fn drive(&self, _alarms: Weak<dyn Alarms>) -> bool {
        false
    }
}

/// The machine's monotonic clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose origin is now.
    pub fn new() -> Self {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn unix_time(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// A clock that moves only when told to; its date starts at 2020-01-01 UTC.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use unidist::{Clock, Unidist, VirtualClock};
/// let clock = Arc::new(VirtualClock::new());
/// let shared = Unidist::builder().clock(clock.clone()).open("memory:")?;
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), Duration::from_secs(60));
/// # Ok::<(), unidist::Error>(())
/// ```
#[derive(Default)]
pub struct VirtualClock {
    nanoseconds: AtomicU64,
    alarms: Mutex<Vec<Weak<dyn Alarms>>>,
    advancing: Mutex<()>,
}

const VIRTUAL_START: Duration = Duration::from_secs(1_577_836_800);

impl VirtualClock {
    /// A clock at its origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock on. Everything that falls due on the way runs on the calling thread, each at its own time.
    pub fn advance(&self, by: Duration) {
        let _one_at_a_time = self.advancing.lock();
        let target = self.now().saturating_add(by);
        while let Some(due) = self.next_due().filter(|due| *due <= target) {
            self.move_to(due.max(self.now()));
        }
        self.move_to(target);
    }

    fn next_due(&self) -> Option<Duration> {
        self.alarms().iter().filter_map(|alarms| alarms.next_due()).min()
    }

    fn move_to(&self, time: Duration) {
        self.nanoseconds.store(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::SeqCst);
        for alarms in self.alarms() {
            alarms.run_due();
        }
    }

    fn alarms(&self) -> Vec<std::sync::Arc<dyn Alarms>> {
        let mut alarms = self.alarms.lock();
        alarms.retain(|weak| weak.strong_count() > 0);
        alarms.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::SeqCst))
    }

    fn unix_time(&self) -> Duration {
        VIRTUAL_START + self.now()
    }

    fn drive(&self, alarms: Weak<dyn Alarms>) -> bool {
        self.alarms.lock().push(alarms);
        true
    }
}
