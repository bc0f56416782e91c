//! The states and who may use one.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::confined;
use super::run::State;
use super::watchdog::Watchdog;
use crate::cores::cores;
use crate::error::RunError;
use crate::host::Host;
use crate::script::{Call, Script, ScriptConfig, ended_text, waiting};
use crate::value::Map;

/// States that are kept while nobody uses them.
const IDLE_MAX: usize = 64;

/// Long calls beside the runtime's workers at once, for each core.
const ASIDE_PER_CORE: usize = 4;

/// All states of an instance. The one used last is used next, of those that have compiled the script: it is the warmest.
#[expect(clippy::vec_box, reason = "a state is large and moved out and in at every call")]
pub(in crate::script) struct Pool {
    idle: Mutex<Vec<Box<State>>>,
    free: Semaphore,
    aside: Arc<Semaphore>,
    watchdog: Arc<Watchdog>,
    host: Arc<dyn Host>,
    config: ScriptConfig,
}

impl Pool {
    pub(in crate::script) fn new(host: Arc<dyn Host>, config: ScriptConfig) -> Pool {
        Pool {
            idle: Mutex::new(Vec::new()),
            free: Semaphore::new(config.states_max.clamp(1, Semaphore::MAX_PERMITS)),
            aside: Arc::new(Semaphore::new(ASIDE_PER_CORE * cores())),
            watchdog: Arc::new(Watchdog::new(config.spare_workers.clone())),
            host,
            config,
        }
    }

    /// Threads lost in calls that do not return.
    pub(in crate::script) fn lost_threads(&self) -> usize {
        self.watchdog.lost()
    }

    pub(in crate::script) async fn call(&self, script: &Script, call: &Call<'_>) -> Result<Map, RunError> {
        self.watchdog.check()?;
        let _permit = match self.free.try_acquire() {
            Ok(permit) => permit,
            Err(_) => Box::pin(self.wait_for_state(call)).await?,
        };
        let mut state = match self.take(script) {
            Some(state) => state,
            None => self.new_state()?,
        };
        let result = confined::call(&mut state, script, call).await;
        if !state.is_spent() {
            let mut idle = self.idle.lock();
            if idle.len() < IDLE_MAX {
                idle.push(state);
            }
        }
        result
    }

    /// An idle state: the warmest of those that know the script, else the warmest.
    fn take(&self, script: &Script) -> Option<Box<State>> {
        let mut idle = self.idle.lock();
        let warmest = idle.len().checked_sub(1)?;
        let index = idle.iter().rposition(|state| state.knows(script)).unwrap_or(warmest);
        Some(idle.remove(index))
    }

    async fn wait_for_state(&self, call: &Call<'_>) -> Result<tokio::sync::SemaphorePermit<'_>, RunError> {
        let waited = waiting::within(call, self.free.acquire()).await;
        let permit = waited.map_err(|ended| {
            let (kind, message) = ended_text(ended, call);
            RunError::new(kind, format!("{message}; all {} Lua states were in use", self.config.states_max))
        })?;
        permit.map_err(|_| RunError::failed("lua is shut down"))
    }

    fn new_state(&self) -> Result<Box<State>, RunError> {
        let state = State::new(&self.host, &self.config, (&self.aside, &self.watchdog));
        let state = state.map_err(|error| RunError::failed(format!("cannot make a Lua state: {error}")))?;
        self.watchdog.add(state.control());
        Ok(Box::new(state))
    }
}
