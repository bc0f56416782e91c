//! Workers of the runtime that stand by until another one is held by a call that does not return.
//!
//! A runtime can't be given workers later. So it begins with more than there are cores, and those wait here: were they
//! to work too, they would take turns on the cores, which makes every answer of a busy server later.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Runtime;

/// The workers that stand by; by default none. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct SpareWorkers(Arc<Standing>);

#[derive(Debug, Default)]
struct Standing {
    called: Mutex<usize>,
    changed: Condvar,
}

impl SpareWorkers {
    /// Lets so many workers of a runtime stand by. Nothing may run on it yet: what a worker has before it then would
    /// wait with it. The runtime can't be shut down before all were called in.
    pub fn of(runtime: &Runtime, count: usize) -> SpareWorkers {
        let spare = SpareWorkers::default();
        for _ in 0..count {
            let standing = Arc::clone(&spare.0);
            runtime.spawn(async move { standing.stand_by() });
        }
        spare
    }

    /// Lets one more of them work, for good. Does nothing when none stands by.
    pub fn call_in(&self) {
        *self.0.called.lock() += 1;
        self.0.changed.notify_one();
    }
}

impl Standing {
    fn stand_by(&self) {
        let mut called = self.called.lock();
        self.changed.wait_while(&mut called, |called| *called == 0);
        *called -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn one_that_is_called_in_takes_the_place_of_one_that_is_held() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let spare = SpareWorkers::of(&runtime, 1);
        let (release, held) = mpsc::channel::<()>();
        let (began, has_begun) = mpsc::channel();
        runtime.spawn(async move {
            began.send(()).unwrap();
            held.recv_timeout(SOON).unwrap();
        });
        has_begun.recv_timeout(SOON).unwrap();
        let (answer, answered) = mpsc::channel();
        runtime.spawn(async move { answer.send(()).unwrap() });
        assert!(answered.recv_timeout(Duration::from_millis(50)).is_err(), "no worker was free");
        spare.call_in();
        answered.recv_timeout(SOON).unwrap();
        release.send(()).unwrap();
    }
}
