//! Lists and workers that go on beside the blocks of a longrunning file, by name.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use unidist::Stop;

use crate::value::Value;

/// One of them.
struct Running {
    /// Its YAML: the same again means that it goes on.
    definition: Value,
    stop: Stop,
    task: JoinHandle<()>,
}

/// What goes on beside the blocks.
#[derive(Default)]
pub struct Background {
    running: Mutex<HashMap<String, Running>>,
}

impl Background {
    /// Starts `make` under a name with a stop of its own, unless the same definition runs under that name already; one
    /// with another definition is stopped first. Must be called inside a tokio runtime.
    pub fn start<F>(&self, name: &str, definition: &Value, instance: &Stop, make: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut running = self.running.lock();
        if let Some(earlier) = running.get(name) {
            if earlier.definition == *definition && !earlier.task.is_finished() {
                return;
            }
            earlier.stop.request();
        }
        let stop = Stop::new();
        let (own, outer) = (stop.clone(), instance.clone());
        let work = make(stop.clone());
        let task = tokio::spawn(async move {
            let forward = async {
                outer.requested().await;
                own.request();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = work => {}
                () = forward => {}
            }
        });
        running.insert(name.to_string(), Running { definition: definition.clone(), stop, task });
    }

    /// Stops those whose names are not among `names`.
    pub fn retain(&self, names: &HashSet<String>) {
        self.running.lock().retain(|name, running| {
            let stays = names.contains(name);
            if !stays {
                running.stop.request();
            }
            stays
        });
    }

    /// Waits until all have ended, at most `limit`. Their stop must have been requested.
    ///
    /// True when all ended in time.
    pub async fn ended(&self, limit: Duration) -> bool {
        let running: Vec<Running> = self.running.lock().drain().map(|(_, running)| running).collect();
        let deadline = tokio::time::Instant::now() + limit;
        let mut all = true;
        for one in running {
            one.stop.request();
            all &= tokio::time::timeout_at(deadline, one.task).await.is_ok();
        }
        all
    }
}
