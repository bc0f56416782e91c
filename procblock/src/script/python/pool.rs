//! The workers and who may use one.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::worker::Worker;
use crate::error::RunError;
use crate::host::Host;
use crate::script::processes::Processes;
use crate::script::{Call, Script, ScriptConfig, ended_text, files, waiting};
use crate::value::Map;

/// How long a worker is kept while nobody calls it.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// All workers of an instance. The one used last is used next.
pub(in crate::script) struct Pool {
    idle: Mutex<Idle>,
    free: Semaphore,
    processes: Arc<dyn Processes>,
    host: Arc<dyn Host>,
    config: ScriptConfig,
    this: Weak<Pool>,
}

#[derive(Default)]
struct Idle {
    workers: Vec<(Instant, Worker)>,
    /// A task looks for workers that were idle too long.
    is_swept: bool,
}

impl Pool {
    pub(in crate::script) fn new(
        host: Arc<dyn Host>,
        processes: Arc<dyn Processes>,
        config: ScriptConfig,
    ) -> Arc<Pool> {
        Arc::new_cyclic(|this| Pool {
            idle: Mutex::default(),
            free: Semaphore::new(config.workers_max.clamp(1, Semaphore::MAX_PERMITS)),
            processes,
            host,
            config,
            this: this.clone(),
        })
    }

    /// Runs a script in a worker. The worker of a call that is ended, or given up, is ended.
    pub(in crate::script) async fn call(&self, script: &Script, call: &Call<'_>) -> Result<Map, RunError> {
        if let Script::File(path) = script {
            // Told here, a missing file costs no worker.
            std::fs::metadata(path).map_err(|error| files::missing(path, &error))?;
        }
        let called = waiting::within(call, self.call_worker(script, call)).await;
        called.unwrap_or_else(|ended| {
            let (kind, message) = ended_text(ended, call);
            let mut error = RunError::new(kind, message);
            error.place = Some(match script {
                Script::File(path) => path.display().to_string(),
                Script::Lua { name, .. } | Script::Python { name, .. } => name.clone(),
            });
            Err(error)
        })
    }

    async fn call_worker(&self, script: &Script, call: &Call<'_>) -> Result<Map, RunError> {
        let _permit = self.free.acquire().await.map_err(|_| RunError::failed("python is shut down"))?;
        let idle = self.idle.lock().workers.pop();
        let mut worker = match idle {
            Some((_, worker)) => worker,
            None => Worker::start(&*self.processes, &self.config).await?,
        };
        let result = worker.call(script, call, &self.host).await;
        if worker.is_fit() {
            self.keep(worker);
        }
        result
    }

    fn keep(&self, worker: Worker) {
        let mut idle = self.idle.lock();
        idle.workers.push((Instant::now(), worker));
        if !std::mem::replace(&mut idle.is_swept, true) {
            tokio::spawn(sweep(self.this.clone()));
        }
    }

    /// Ends workers that were idle too long; when the next one is due, if any is left.
    fn end_idle(&self) -> Option<Duration> {
        let mut idle = self.idle.lock();
        let ended: Vec<_> = idle.workers.extract_if(.., |(since, _)| since.elapsed() >= IDLE_MAX).collect();
        let next = idle.workers.iter().map(|(since, _)| IDLE_MAX.saturating_sub(since.elapsed())).min();
        idle.is_swept = next.is_some();
        drop(idle);
        drop(ended);
        next
    }
}

async fn sweep(pool: Weak<Pool>) {
    let mut wait = IDLE_MAX;
    loop {
        tokio::time::sleep(wait).await;
        let Some(next) = pool.upgrade().and_then(|pool| pool.end_idle()) else { return };
        wait = next.max(Duration::from_millis(100));
    }
}
