//! What happens inside an instance, told to whoever listens: results of run-threads, samples of series.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::series::Series;
use crate::thread::RunThread;

/// Something that happened.
#[derive(Clone, Copy)]
pub enum Happening<'a> {
    /// A run of a run-thread has ended; its state knows how.
    Ran(&'a RunThread),
    /// A sample was given to a series; its client knows it.
    Sampled(&'a Series),
}

/// Is told what happens; gives false when it wants to hear no more. Must not wait.
pub type Listener = Box<dyn Fn(Happening<'_>) -> bool + Send + Sync>;

/// The listeners of an instance. Telling costs next to nothing while there are none.
#[derive(Default)]
pub struct Happenings {
    has_listeners: AtomicBool,
    listeners: Mutex<Vec<Listener>>,
}

impl Happenings {
    /// Adds a listener.
    pub fn listen(&self, listener: Listener) {
        self.listeners.lock().push(listener);
        self.has_listeners.store(true, Ordering::Release);
    }

    /// Tells all listeners, one after the other.
    pub fn tell(&self, happening: Happening<'_>) {
        if !self.has_listeners.load(Ordering::Acquire) {
            return;
        }
        let mut listeners = self.listeners.lock();
        listeners.retain(|listener| listener(happening));
        self.has_listeners.store(!listeners.is_empty(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use unidist::timeseries::{FieldSpec, SeriesSpec};

    use super::*;

    #[test]
    fn listeners_are_told_until_they_have_heard_enough() {
        let (happenings, heard) = (Happenings::default(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&heard);
        happenings.listen(Box::new(move |_| count.fetch_add(1, Ordering::Relaxed) < 1));
        let client = crate::series::SeriesClient::new("/nowhere/procblock-series".into());
        let fields = vec![FieldSpec::gauge("a")];
        let series = client.declare(SeriesSpec::new("/a.rrd", std::time::Duration::from_secs(5), fields)).unwrap();
        for _ in 0..4 {
            happenings.tell(Happening::Sampled(&series));
        }
        assert_eq!(heard.load(Ordering::Relaxed), 2);
    }
}
