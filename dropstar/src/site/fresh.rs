//! Something made from files, made again by the next request after they changed.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

/// What can say whether the files behind it are as they were.
pub(crate) trait Current: Send + Sync + 'static {
    /// Whether none of its files has changed. May ask the file system, reads nothing.
    fn is_current(&self) -> bool;
}

/// Holds the newest version of something. Reading takes no lock; of several requests that find it outdated one makes
/// it, off the workers, and the others wait for that.
pub(crate) struct Fresh<T> {
    newest: ArcSwapOption<T>,
    making: Mutex<()>,
}

impl<T> Default for Fresh<T> {
    fn default() -> Self {
        Fresh { newest: ArcSwapOption::empty(), making: Mutex::new(()) }
    }
}

impl<T: Current> Fresh<T> {
    /// The newest version if it is still right, else one that `make` makes from the last one.
    pub(crate) async fn get(&self, make: impl FnOnce(Option<Arc<T>>) -> T + Send + 'static) -> Arc<T> {
        if let Some(newest) = self.current() {
            return newest;
        }
        // Boxed: it is rare, and every request would carry the room for it.
        Box::pin(self.make(make)).await
    }

    async fn make(&self, make: impl FnOnce(Option<Arc<T>>) -> T + Send + 'static) -> Arc<T> {
        let _making = self.making.lock().await;
        if let Some(newest) = self.current() {
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

    /// The newest version, if it is still right.
    pub(crate) fn current(&self) -> Option<Arc<T>> {
        let newest = self.newest.load();
        newest.as_ref().filter(|newest| newest.is_current()).cloned()
    }
}
