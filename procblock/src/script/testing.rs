//! What the tests of all languages share.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;
use unidist::Stop;

use crate::error::RunError;
use crate::host::{BoxFuture, Caller, Host, HostError, LockOwner};
use crate::script::plain_processes::PlainProcesses;
use crate::script::{Allow, Call, Limits, Script, ScriptConfig, Scripts};
use crate::value::{Map, Value};

/// Knows a few functions and remembers their calls.
#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) calls: Mutex<Vec<(String, String, Vec<Value>)>>,
}

impl Host for TestHost {
    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        name: &'a str,
        arguments: Vec<Value>,
    ) -> BoxFuture<'a, Result<Value, HostError>> {
        self.calls.lock().push((caller.owner.name().to_string(), name.to_owned(), arguments.clone()));
        Box::pin(async move {
            match name {
                "sharedcounter.increment" => {
                    tokio::task::yield_now().await;
                    Ok(json!(arguments.len()))
                }
                "file.read" => Ok(json!({"text": "content", "arguments": arguments})),
                "sharedlock.release" => Err(HostError::new("not_holder", "not the holder of lock deploy")),
                "sharedstate.get" => Ok(Value::Null),
                "sharedlog.block" => {
                    // A function that breaks the rules: it holds its thread.
                    std::thread::park_timeout(Duration::from_millis(2500));
                    Ok(Value::Null)
                }
                other => Err(HostError::new("unknown_function", format!("no function {other}"))),
            }
        })
    }
}

/// Scripts with a host, and what a call needs.
pub(crate) struct Bench {
    pub(crate) host: Arc<TestHost>,
    pub(crate) scripts: Scripts,
    pub(crate) pipe_data: Map,
    pub(crate) block: Value,
    pub(crate) allow: Allow,
    pub(crate) timeout: Option<Duration>,
    pub(crate) limits: Limits,
    pub(crate) stop: Stop,
}

pub(crate) const FUNCTIONS: [&str; 6] =
    ["sharedcounter.increment", "sharedlock.release", "sharedstate.get", "sharedlog.block", "file.read", "process.run"];

impl Bench {
    pub(crate) fn new() -> Bench {
        Self::configured(|_| {})
    }

    pub(crate) fn configured(change: impl FnOnce(&mut ScriptConfig)) -> Bench {
        let host = Arc::new(TestHost::default());
        let mut config =
            ScriptConfig { functions: FUNCTIONS.iter().map(|name| (*name).to_owned()).collect(), ..Default::default() };
        change(&mut config);
        Bench {
            scripts: Scripts::new(Arc::clone(&host) as Arc<dyn Host>, Arc::new(PlainProcesses), config),
            host,
            pipe_data: Map::new(),
            block: Value::Null,
            allow: Allow::ALL,
            timeout: None,
            limits: Limits::default(),
            stop: Stop::new(),
        }
    }

    pub(crate) fn with(mut self, pipe_data: Value) -> Bench {
        if let Value::Object(map) = pipe_data {
            self.pipe_data = map;
        }
        self
    }

    pub(crate) fn within(mut self, timeout: Duration) -> Bench {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) async fn call(&self, script: &Script) -> Result<Value, RunError> {
        let empty = Map::new();
        let owner = Arc::new(LockOwner::numbered("block ".into(), 1));
        let caller = Arc::new(Caller { owner, folder: Path::new("/").into(), script: "test".into() });
        let call = Call {
            pipe_data: &self.pipe_data,
            block: &self.block,
            request_state: &empty,
            input_data: &self.pipe_data,
            tag: "run",
            cwd: Path::new("/tmp"),
            env: &empty,
            block_parent: &Value::Null,
            caller: &caller,
            allow: self.allow,
            begun: Instant::now(),
            timeout: self.timeout,
            limits: self.limits,
            stop: &self.stop,
            seen: None,
        };
        self.scripts.call(script, &call).await
    }

    pub(crate) async fn python(&self, text: &str) -> Result<Value, RunError> {
        self.call(&Script::Python { name: "/x/test.yaml".into(), text: text.into(), first_line: 10 }).await
    }

    pub(crate) async fn lua(&self, text: &str) -> Result<Value, RunError> {
        self.call(&Script::Lua { name: "/x/test.yaml".into(), text: text.into(), first_line: 10 }).await
    }
}
