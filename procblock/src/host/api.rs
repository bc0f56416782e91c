//! The instance's functions, by name: where Lua, Python and the control socket end.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use unidist::{Stop, Unidist};

use crate::host::{BoxFuture, Caller, Host, HostError, file, http, process, random, rpc, timeseries};
use crate::http::HttpClient;
use crate::process::Keeper;
use crate::series::SeriesClient;
use crate::state_files::StateFiles;
use crate::store_calls::StoreCalls;
use crate::value::Value;

/// The lock that stands for the instance's life.
const RUNNING: &str = "__running";

/// Modules whose functions are not unidist's.
const OUTSIDE: [&str; 6] = ["process", "file", "rpc", "http", "random", "timeseries"];

/// What the functions work on.
pub(crate) struct Api {
    pub(crate) unidist: Unidist,
    pub(crate) own: Unidist,
    pub(crate) store_calls: StoreCalls,
    pub(crate) keeper: Keeper,
    pub(crate) series: Arc<SeriesClient>,
    pub(crate) http: Arc<HttpClient>,
    pub(crate) stop: Stop,
    pub(crate) lock_owners: Arc<LockOwners>,
    pub(crate) files: StateFiles,
}

/// Owners that took locks by a function: their locks are released when their block ends.
pub(crate) type LockOwners = Mutex<HashSet<Arc<str>>>;

/// Every function that scripts may call: `module.function`.
pub(crate) fn functions() -> Vec<String> {
    let shared = unidist::call::FUNCTIONS.iter().map(|function| function.name);
    shared
        .chain([process::FUNCTIONS, file::FUNCTIONS, http::FUNCTIONS, rpc::FUNCTIONS].concat())
        .chain([random::FUNCTIONS, timeseries::FUNCTIONS].concat())
        .map(str::to_string)
        .collect()
}

fn answer(called: Result<Value, unidist::Error>) -> Result<Value, HostError> {
    called.map_err(|error| HostError::new(error.code(), error.to_string()))
}

impl Api {
    /// The store that holds what a call is about, and whether its calls answer at once.
    fn store(&self, first: &str) -> (&Unidist, bool) {
        if first.starts_with("__") { (&self.own, true) } else { (&self.unidist, !self.store_calls.may_wait()) }
    }

    async fn shared(&self, caller: &Caller, name: &str, arguments: Vec<Value>) -> Result<Value, HostError> {
        let first = first(&arguments);
        if first == RUNNING
            && let Some(answer) = self.running(name)
        {
            return Ok(answer);
        }
        let (store, is_immediate) = self.store(first);
        let call_now = || unidist::call::call_now(store, name, &arguments, caller.owner.name());
        let called = if is_immediate { call_now() } else { self.store_calls.make(call_now) };
        if let Some(called) = called {
            if let Some(bucket) = self.files.concerns(name, &arguments).filter(|_| called.is_ok()) {
                let saved = self.files.save(store, bucket).await;
                saved.map_err(|text| HostError::new("not_saved", text))?;
            }
            return answer(called);
        }
        if name == "sharedlock.acquire" {
            self.lock_owners.lock().insert(Arc::clone(caller.owner.name()));
        }
        tokio::select! {
            called = unidist::call::call(store, name, &arguments, caller.owner.name()) => answer(called),
            () = self.stop.requested() => Err(HostError::new("stopped", "the instance is stopping")),
        }
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

/// The name of what a call is about.
fn first(arguments: &[Value]) -> &str {
    arguments.first().and_then(Value::as_str).unwrap_or_default()
}

impl Host for Api {
    fn call_now(&self, caller: &Caller, name: &str, arguments: &[Value]) -> Option<Result<Value, HostError>> {
        let module = name.split('.').next().unwrap_or_default();
        let first = first(arguments);
        let (store, is_immediate) = self.store(first);
        if OUTSIDE.contains(&module)
            || first == RUNNING
            || !is_immediate
            || self.files.concerns(name, arguments).is_some()
        {
            return None;
        }
        unidist::call::call_now(store, name, arguments, caller.owner.name()).map(answer)
    }

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
                Some("rpc") => rpc::call(self, caller, name, &arguments).await,
                Some("http") => http::call(self, caller, name, &arguments).await,
                Some("random") => random::call(name, &arguments),
                Some("timeseries") => timeseries::call(self, caller, name, &arguments).await,
                _ => self.shared(caller, name, arguments).await,
            }
        })
    }
}
