//! What the tests share: a site in a folder with a server on it, and a plain client.

mod client;
mod language;
mod log_lines;
mod told;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dropstar::{BoxFuture, Failure, FailureKind, Graph, Instance, Map, ServeConfig, Server, Site, SiteContent, Value};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use unidist::Unidist;

pub(crate) use client::{Connection, Reply};
pub(crate) use language::{Json, Seen};
pub(crate) use log_lines::audit_lines;
pub(crate) use told::{HOSTILE, tell};

/// The longest that anything in a test may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A server on a site in a folder. Ends with the test.
pub(crate) struct Fixture {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
    pub(crate) runtime: Runtime,
    pub(crate) seen: Arc<Seen>,
    /// The shared things of the instance around the server.
    pub(crate) unidist: Unidist,
    /// What it answers to calls.
    pub(crate) told: Told,
}

/// What an instance answers to calls, by name; nothing is missing.
pub(crate) type Told = Arc<Mutex<BTreeMap<String, Value>>>;

fn failure(kind: FailureKind, text: String) -> Failure {
    Failure { kind, text, place: None }
}

/// An instance that shows what the test tells it, and draws the series `cpu`.
struct Shown {
    unidist: Unidist,
    told: Told,
    /// How often it drew.
    drawn: AtomicUsize,
}

impl Instance for Shown {
    fn unidist(&self) -> &Unidist {
        &self.unidist
    }

    fn call<'a>(&'a self, name: &'a str, _arguments: Map) -> BoxFuture<'a, Result<Value, Failure>> {
        Box::pin(async move {
            let told = self.told.lock().unwrap().get(name).cloned();
            told.ok_or_else(|| failure(FailureKind::Missing, format!("no {name}")))
        })
    }

    fn draw<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move {
            match graph.series.as_str() {
                "cpu" => {}
                "broken" => return Err(failure(FailureKind::Failed, "librrd says no".into())),
                other => return Err(failure(FailureKind::Missing, format!("no series {other}"))),
            }
            // Others that ask for the same picture meanwhile wait for this one.
            tokio::time::sleep(Duration::from_millis(50)).await;
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed) + 1;
            Ok(format!("{drawn} {}x{}", graph.width, graph.height).into_bytes())
        })
    }

    fn follow(&self, _sink: dropstar::Sink) {}

    fn newest(&self, _kind: dropstar::EventKind, _name: &str) -> Option<Map> {
        None
    }
}

impl Fixture {
    /// A folder site with these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Fixture {
        Fixture::with(files, |_, _| {})
    }

    /// A folder site with these files, whose configuration is changed; the folder is given too.
    pub(crate) fn with(files: &[(&str, &str)], change: impl FnOnce(&mut ServeConfig, &Path)) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            write(&folder.path().join(path), content);
        }
        let mut config = folder_config(folder.path());
        change(&mut config, folder.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let seen = Arc::new(Seen::default());
        let loader = Arc::new(Json::new(Arc::clone(&seen)));
        let unidist = Unidist::open("memory:").unwrap();
        let told = Told::default();
        let instance =
            Arc::new(Shown { unidist: unidist.clone(), told: Arc::clone(&told), drawn: AtomicUsize::new(0) });
        let server = runtime.block_on(Server::start(vec![config], loader, instance)).unwrap();
        Fixture { folder, server, runtime, seen, unidist, told }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, kind: &str, body: &str) -> Reply {
        self.request("POST", path, &[("content-type", kind)], body)
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut connection = self.connect();
        connection.request(method, path, headers, body);
        connection.reply_to(method)
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        write(&self.folder.path().join(path), content);
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.path(path)).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn replace(&self, configs: Vec<ServeConfig>) {
        self.runtime.block_on(self.server.replace(configs)).unwrap();
    }

    pub(crate) fn end(&self) {
        self.runtime.block_on(self.server.end());
    }
}

/// An instance with nothing to show.
pub(crate) fn nothing() -> Arc<dyn Instance> {
    Arc::new(Shown { unidist: Unidist::open("memory:").unwrap(), told: Told::default(), drawn: AtomicUsize::new(0) })
}

/// A site of a folder on a free port.
pub(crate) fn folder_config(folder: &Path) -> ServeConfig {
    let content = SiteContent::Folder(folder.to_path_buf());
    let mut config = ServeConfig::new(vec![Site { name: "example.test".into(), aliases: Vec::new(), content }]);
    config.listen.set_port(0);
    config
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}
