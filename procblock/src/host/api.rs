//! The instance's functions, by name: where Lua, Python and the control socket end.

use std::sync::Arc;

use unidist::{Stop, Unidist};

use crate::host::{BoxFuture, Caller, Host, HostError, file, process, timeseries};
use crate::process::Keeper;
use crate::series::SeriesClient;
use crate::value::Value;

/// The lock that stands for the instance's life.
const RUNNING: &str = "__running";

/// What the functions work on.
pub(crate) struct Api {
    pub(crate) unidist: Unidist,
    pub(crate) own: Unidist,
    pub(crate) keeper: Keeper,
    pub(crate) series: Arc<SeriesClient>,
    pub(crate) stop: Stop,
}

/// Every function that scripts may call: `module.function`.
pub(crate) fn functions() -> Vec<String> {
    let shared = unidist::call::FUNCTIONS.iter().map(|function| function.name);
    shared.chain(process::FUNCTIONS.iter().chain(file::FUNCTIONS).chain(timeseries::FUNCTIONS).copied()).map(str::to_string).collect()
}

impl Api {
    async fn shared(&self, caller: &Caller, name: &str, arguments: Vec<Value>) -> Result<Value, HostError> {
        let first = arguments.first().and_then(Value::as_str).unwrap_or_default();
        if first == RUNNING
            && let Some(answer) = self.running(name)
        {
            return Ok(answer);
        }
        let store = if first.starts_with("__") { &self.own } else { &self.unidist };
        let called = unidist::call::call(store, name, &arguments, &caller.owner, &self.stop).await;
        called.map_err(|error| HostError::new(error.code(), error.to_string()))
    }

    /// `__running` is held while the instance runs; releasing it stops the instance.
    fn running(&self, name: &str) -> Option<Value> {
        match name {
            "sharedlock.release" | "sharedlock.force_release" => {
                log::info!("Releasing lock: {RUNNING}");
                self.stop.request();
                Some(Value::Null)
            }
            "sharedlock.is_locked" => Some((!self.stop.is_requested()).into()),
            _ => None,
        }
    }
}

impl Host for Api {
    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        name: &'a str,
        arguments: Vec<Value>,
    ) -> BoxFuture<'a, Result<Value, HostError>> {
        Box::pin(async move {
            match name.split('.').next() {
                Some("process") => process::call(self, caller, name, &arguments).await,
                Some("file") => file::call(caller, name, &arguments).await,
                Some("timeseries") => timeseries::call(self, caller, name, &arguments).await,
                _ => self.shared(caller, name, arguments).await,
            }
        })
    }
}
