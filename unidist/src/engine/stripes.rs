//! An engine that guards keep open: each shares its count with few others, not with all.
//!
//! A count that every guard raises and lowers is a cache line that goes from core to core with each of them: two thirds
//! of what taking and releasing a lock costs otherwise.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::Engine;

const STRIPES_BITS: u32 = 5;
const STRIPES: usize = 1 << STRIPES_BITS;

/// Keeps an engine open. The count of its holders is on a cache line of its own.
#[repr(align(64))]
pub(crate) struct Stripe(Arc<dyn Engine>);

impl Deref for Stripe {
    type Target = dyn Engine;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// What the guards of one store take their share from; made with the first guard.
pub(crate) struct Stripes {
    engine: Arc<dyn Engine>,
    stripes: OnceLock<[Arc<Stripe>; STRIPES]>,
}

impl Stripes {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        Stripes { engine, stripes: OnceLock::new() }
    }

    /// The share of the thing whose name this is; equal names share it as long as they are one allocation.
    pub(crate) fn of(&self, name: &Arc<str>) -> Arc<Stripe> {
        let make = || std::array::from_fn(|_| Arc::new(Stripe(self.engine.clone())));
        // The highest bits of the product depend on every bit of the address; allocations of different threads may differ
        // in few of them.
        let product = (name.as_ptr().addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = (product >> (u64::BITS - STRIPES_BITS)) as usize;
        match self.stripes.get_or_init(make).get(index) {
            Some(stripe) => stripe.clone(),
            None => Arc::new(Stripe(self.engine.clone())),
        }
    }
}
