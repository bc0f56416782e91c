//! Server and client together, over real sockets.

mod busy;
mod instances;
mod sockets;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::host::{BoxFuture, Caller, HostError};
use crate::logging::Ring;
use crate::value::Value;

const LIMIT: Duration = Duration::from_secs(30);

/// Calls: `echo` returns its arguments, `place` the name of the thread, `wait` never answers, anything else is an error.
#[derive(Default)]
struct Echo {
    ring: Arc<Ring>,
    waiting: Arc<AtomicUsize>,
    closed: AtomicUsize,
    changed: Arc<Notify>,
}

struct Waiting(Arc<AtomicUsize>, Arc<Notify>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        self.1.notify_waiters();
    }
}

impl Echo {
    /// Waits until so many `wait` calls are under way and so many connections have ended.
    async fn until(&self, waiting: usize, closed: usize) {
        let reached = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.waiting.load(Ordering::SeqCst) == waiting && self.closed.load(Ordering::SeqCst) == closed {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(LIMIT, reached).await.unwrap();
    }
}

impl Calls for Echo {
    fn call<'a>(
        &'a self,
        _: &'a Caller,
        name: &'a str,
        arguments: Vec<Value>,
    ) -> BoxFuture<'a, Result<Value, HostError>> {
        Box::pin(async move {
            match name {
                "echo" => Ok(Value::Array(arguments)),
                "place" => Ok(std::thread::current().name().into()),
                "wait" => {
                    self.waiting.fetch_add(1, Ordering::SeqCst);
                    let _waiting = Waiting(Arc::clone(&self.waiting), Arc::clone(&self.changed));
                    self.changed.notify_waiters();
                    std::future::pending().await
                }
                _ => Err(HostError::new("unknown_function", "no such call")),
            }
        })
    }

    fn opened(&self) -> Caller {
        Caller::default()
    }

    fn closed(&self, _: &Caller) {
        self.closed.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring)
    }
}

fn hello(name: &str) -> Hello {
    let process = std::process::id();
    Hello { procblock: PROTOCOL, version: "1".into(), process, name: name.into(), file: None, since: 1.0 }
}

fn serve(folder: &Path, name: &str, calls: Arc<dyn Calls>) -> (Server, PathBuf) {
    let claim = Claim::take_in(folder, name).unwrap();
    let socket = claim.socket().to_path_buf();
    (Server::start(claim, hello(name), calls).unwrap(), socket)
}

/// Runs blocking code, such as the client's, beside the server.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::time::timeout(2 * LIMIT, tokio::task::spawn_blocking(work)).await.unwrap().unwrap()
}
