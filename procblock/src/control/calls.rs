//! What a running instance answers: its own calls, and the shared functions by name.

use std::path::PathBuf;
use std::sync::Arc;

use unidist::service::Service;

use super::protocol::Hello;
use super::server::Calls;
use super::status::{one, status, threads};
use crate::host::{BoxFuture, Caller, HostError};
use crate::instance::Instance;
use crate::load::nearest;
use crate::logging::{Ring, ring};
use crate::value::Value;

/// Loads the file anew: a text for people, or why the old file goes on.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// The calls that are no functions.
const OWN_CALLS: &[&str] = &["status", "threads", "logs", "reload", "stop"];

/// Functions of these modules may be called from outside; those that start processes or touch files belong to scripts.
const MODULES: &[&str] = &["sharedlock", "sharedcounter", "sharedstate", "messagequeue", "sharedlog", "timeseries"];

/// The calls of an instance's socket.
pub struct InstanceCalls {
    instance: Arc<Instance>,
    hello: Hello,
    folder: PathBuf,
    reload: Option<Reload>,
    reloading: tokio::sync::Mutex<()>,
    store: Service,
}

impl InstanceCalls {
    /// For `instance`; relative paths start from `folder`; without `reload` the instance refuses to reload.
    pub fn new(instance: Arc<Instance>, hello: Hello, folder: PathBuf, reload: Option<Reload>) -> Self {
        let store = Service::new(&instance.unidist);
        InstanceCalls { instance, hello, folder, reload, reloading: tokio::sync::Mutex::default(), store }
    }

    async fn reload(&self) -> Result<Value, HostError> {
        let Some(reload) = &self.reload else {
            let text = "only a longrunning file is reloaded";
            return Err(HostError::new("not_longrunning", text));
        };
        let _one = self.reloading.lock().await;
        reload().await.map(Value::from).map_err(|text| HostError::new("reload_failed", text))
    }

    async fn function(&self, caller: &Caller, name: &str, arguments: Vec<Value>) -> Result<Value, HostError> {
        let Some((module, _)) = name.split_once('.') else {
            let near = nearest(name, OWN_CALLS.iter().copied());
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let known = OWN_CALLS.join(", ");
            let text = format!("there is no call {name:?}; there are: {known}, and functions as module.function{hint}");
            return Err(HostError::new("unknown_function", text));
        };
        if !MODULES.contains(&module) {
            let text = format!("{name} can't be called from outside; the modules are {}", MODULES.join(", "));
            return Err(HostError::new("unknown_function", text));
        }
        self.instance.host.call(caller, name, arguments).await
    }
}

impl Calls for InstanceCalls {
    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        name: &'a str,
        arguments: Vec<Value>,
    ) -> BoxFuture<'a, Result<Value, HostError>> {
        Box::pin(async move {
            match (name, arguments.as_slice()) {
                ("status", []) => Ok(status(&self.instance, &self.hello)),
                ("status", [Value::String(name)]) => one(&self.instance, name),
                ("status", _) => Err(HostError::new(
                    "bad_argument",
                    "status takes nothing, or the name of a run-thread or of workers",
                )),
                ("threads", []) => Ok(threads(&self.instance)),
                ("reload", []) => self.reload().await,
                ("stop", []) => {
                    log::info!("ProcessAndLoop: Stopped by a command: Releasing lock: __running");
                    self.instance.stop.request();
                    Ok(Value::Bool(true))
                }
                ("threads" | "reload" | "stop", _) => {
                    Err(HostError::new("bad_argument", format!("{name} takes no arguments")))
                }
                _ => self.function(caller, name, arguments).await,
            }
        })
    }

    fn opened(&self) -> Caller {
        let owner = self.instance.next_owner();
        Caller { owner, folder: self.folder.as_path().into(), script: "control socket".into() }
    }

    fn closed(&self, caller: &Caller) {
        self.instance.release_locks(&caller.owner);
    }

    fn ring(&self) -> Arc<Ring> {
        ring()
    }

    fn store(&self) -> Option<&Service> {
        Some(&self.store)
    }
}
