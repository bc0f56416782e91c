//! `retry`: how often and how soon a failed step is tried again.

use std::time::Duration;

use crate::block::Run;
use crate::error::RunError;
use crate::load::{Node, Problems};
use crate::spec::{FieldKind, FieldSpec, Fields, Setting};

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec::new("attempts", FieldKind::Integer, "How often it is tried in all.").default("3"),
    FieldSpec::new("delay", FieldKind::Duration, "The wait before the second attempt; it doubles each time.")
        .default("1s"),
    FieldSpec::new("delay max", FieldKind::Duration, "The longest wait.").default("30s"),
    FieldSpec::new("jitter", FieldKind::Number, "Each wait is lengthened by a random part of it, up to this fraction.")
        .default("0.1"),
];

/// Attempts, 1 to a million; waits between them.
pub(super) struct Retry {
    attempts: Setting<i64>,
    delay: Setting<Duration>,
    delay_max: Setting<Duration>,
    jitter: Setting<f64>,
}

const ATTEMPTS_MAX: i64 = 1_000_000;

impl Retry {
    /// Reads `retry: N` or `retry: {attempts, delay, delay max, jitter}`.
    pub(super) fn compile(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut retry = Retry::default();
        if node.entries().is_none() {
            retry.attempts = Setting::compile(node, problems)?;
            return Some(retry);
        }
        let fields = Fields::read(node, FIELDS, "retry", problems);
        retry.attempts = fields.setting("attempts", problems).unwrap_or(retry.attempts);
        retry.delay = fields.setting("delay", problems).unwrap_or(retry.delay);
        retry.delay_max = fields.setting("delay max", problems).unwrap_or(retry.delay_max);
        retry.jitter = fields.setting("jitter", problems).unwrap_or(retry.jitter);
        Some(retry)
    }

    /// How often it is tried in all.
    pub(super) fn attempts(&self, run: &Run) -> Result<u32, RunError> {
        let attempts = self.attempts.get(run)?;
        if !(1..=ATTEMPTS_MAX).contains(&attempts) {
            return Err(RunError::failed(format!("retry attempts {attempts} is not in 1..{ATTEMPTS_MAX}")));
        }
        Ok(u32::try_from(attempts).unwrap_or(1))
    }

    /// The wait after failed attempt `attempt` (from 1).
    pub(super) fn delay(&self, attempt: u32, run: &Run) -> Result<Duration, RunError> {
        let first = self.delay.get(run)?;
        let longest = self.delay_max.get(run)?;
        let doubled = first.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(longest);
        let jitter = self.jitter.get(run)?.clamp(0.0, 1.0);
        Ok(doubled.mul_f64(1.0 + jitter * fastrand::f64()))
    }
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: Setting::Fixed(3),
            delay: Setting::Fixed(Duration::from_secs(1)),
            delay_max: Setting::Fixed(Duration::from_secs(30)),
            jitter: Setting::Fixed(0.1),
        }
    }
}
