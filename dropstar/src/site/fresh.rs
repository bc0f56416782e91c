//! Something made from files, made again by the next request after they changed.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use crate::site::stamp::{Looked, Moment};

/// What can say whether the files behind it are as they were.
pub(crate) trait Current: Send + Sync + 'static {
    /// Whether none of its files has changed. May ask the file system, reads nothing.
    fn is_current(&self) -> bool;
}

/// Holds the newest version of something. Reading takes no lock; of several requests that find it outdated one makes
/// it, off the workers, and the others wait for that.
pub(crate) struct Fresh<T> {
    newest: ArcSwapOption<T>,
    looked: Looked,
    making: Mutex<()>,
}

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Fresh { newest: ArcSwapOption::empty(), looked: Looked::default(), making: Mutex::new(()) }
    }
}

impl<T: Current> Fresh<T> {
    /// Something that is made already.
    pub(crate) fn holding(made: T) -> Self {
        Fresh { newest: ArcSwapOption::from_pointee(made), ..Fresh::default() }
    }

    /// For a request that came at this moment: the newest version if it is still right, else one that `make` makes from
    /// the last one.
    pub(crate) async fn get(&self, came: Moment, make: impl FnOnce(Option<Arc<T>>) -> T + Send + 'static) -> Arc<T> {
        if let Some(newest) = self.current(came) {
            return newest;
        }
        // Boxed: it is rare, and every request would carry the room for it.
        Box::pin(self.make(came, make)).await
    }

    async fn make(&self, came: Moment, make: impl FnOnce(Option<Arc<T>>) -> T + Send + 'static) -> Arc<T> {
        let _making = self.making.lock().await;
        if let Some(newest) = self.current(came) {
            return newest;
        }
        let last = self.newest.load_full();
        let made = match tokio::task::spawn_blocking(move || make(last)).await {
            Ok(made) => Arc::new(made),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this request with it.
                Err(_) => std::future::pending().await,
            },
        };
        self.newest.store(Some(Arc::clone(&made)));
        made
    }

    /// The newest version, if it is still right for a request that came at this moment.
    pub(crate) fn current(&self, came: Moment) -> Option<Arc<T>> {
        // A look at an older version counts for the newest too: that one was made of what was there later.
        let newest = self.newest.load();
        newest.as_ref().filter(|newest| self.looked.or_look(came, || newest.is_current())).cloned()
    }
}
