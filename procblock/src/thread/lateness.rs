//! How late runs start: a histogram of fixed size.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets per doubling: neighbouring bounds differ by about 9 %.
const PER_DOUBLING: f64 = 8.0;

/// Up to 2^40 microseconds.
const BUCKETS: usize = 8 * 40;

/// Counts of starts by lateness, in buckets that grow by 2^(1/8) from one microsecond. A run-thread's first start is due
/// as soon as it can be: it is counted, but is neither late nor on time.
#[derive(Debug)]
pub struct Lateness {
    first: AtomicU64,
    buckets: Vec<AtomicU64>,
}

impl Default for Lateness {
    fn default() -> Self {
        Lateness { first: AtomicU64::new(0), buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Lateness {
    /// Counts the first start of a run-thread.
    pub fn record_first(&self) {
        self.first.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one start.
    pub fn record(&self, late: Duration) {
        let microseconds = late.as_secs_f64() * 1e6;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the number of buckets")]
        let index = (microseconds.max(1.0).log2() * PER_DOUBLING) as usize;
        if let Some(bucket) = self.buckets.get(index.min(BUCKETS - 1)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The lateness that a fraction of the starts (0 to 1) did not exceed, to within 9 %.
    pub fn quantile(&self, fraction: f64) -> Duration {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "a quantile of counts")]
        let wanted = total as f64 * fraction.clamp(0.0, 1.0);
        let mut seen = 0.0;
        for (index, count) in counts.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a quantile of counts")]
            {
                seen += *count as f64;
            }
            if seen >= wanted && seen > 0.0 {
                #[expect(clippy::cast_precision_loss, reason = "a small index")]
                return Duration::from_secs_f64(2f64.powf((index as f64 + 1.0) / PER_DOUBLING) * 1e-6);
            }
        }
        Duration::ZERO
    }

    /// How many starts were counted, first ones included.
    pub fn count(&self) -> u64 {
        self.first.load(Ordering::Relaxed) + self.timed()
    }

    /// How many starts had a time to be late for.
    pub fn timed(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_nine_percent() {
        let lateness = Lateness::default();
        for milliseconds in 1..=100 {
            lateness.record(Duration::from_millis(milliseconds));
        }
        lateness.record_first();
        assert_eq!((lateness.count(), lateness.timed()), (101, 100));
        let median = lateness.quantile(0.5).as_secs_f64() * 1e3;
        assert!((50.0..55.0).contains(&median), "{median}");
        let last = lateness.quantile(0.99).as_secs_f64() * 1e3;
        assert!((99.0..109.0).contains(&last), "{last}");
    }
}
