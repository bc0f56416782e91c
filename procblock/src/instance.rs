//! One running file: the services that its blocks share, and its life.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use unidist::{Stop, Unidist};

use crate::background::Background;
use crate::control::Hello;
use crate::happenings::Happenings;
use crate::host::api::{Api, LockOwners};
use crate::host::{Host, LockOwner};
use crate::http::HttpClient;
use crate::process::Keeper;
use crate::script::{ScriptConfig, Scripts};
use crate::series::SeriesClient;
use crate::serve::servers::Servers;
use crate::spare_workers::SpareWorkers;
use crate::state_files::StateFiles;
use crate::store_calls::StoreCalls;
use crate::thread::RunThreads;
use crate::workers::Workers;

/// How long an ending instance waits for runs under way: the children's grace and a little.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// What an instance is made from.
#[derive(Debug, Clone)]
pub struct InstanceConfig {
    /// Its name: of its socket, in `status` and logs.
    pub name: String,
    /// Whether it stays until stopped.
    pub is_longrunning: bool,
    /// The engine of the shared things, a URL. Default: `memory:`.
    pub unidist: String,
    /// The Python interpreter. Default: `python3`.
    pub python: String,
    /// The program that is executed as the keeper: procblock itself.
    pub keeper: PathBuf,
    /// The program `procblock-series`.
    pub series: PathBuf,
    /// Buckets that live in files.
    pub load_state: Vec<(String, PathBuf)>,
    /// The runtime's workers that stand by.
    pub spare_workers: SpareWorkers,
}

/// Why an instance did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// The engine's URL is wrong or its store can't be opened.
    #[error("{0}")]
    Store(#[from] unidist::Error),
    /// A file of `load state` can't be read.
    #[error("{0}")]
    State(String),
}

/// A running file.
pub struct Instance {
    /// Its name.
    pub name: String,
    /// This machine's name.
    pub node: String,
    /// Whether it stays until stopped.
    pub is_longrunning: bool,
    /// The lock `__running`: released by a stop.
    pub stop: Stop,
    /// The shared things.
    pub unidist: Unidist,
    /// The shared things whose names begin with `__`: of this instance only.
    pub own: Unidist,
    /// How calls of the shared things are made.
    pub(crate) store_calls: StoreCalls,
    /// The functions that scripts may call.
    pub host: Arc<dyn Host>,
    /// The script engines.
    pub scripts: Scripts,
    /// The parent of all children.
    pub keeper: Keeper,
    /// The client of procblock-series.
    pub series: Arc<SeriesClient>,
    /// Sends requests to HTTP servers.
    pub http: Arc<HttpClient>,
    /// The run-threads.
    pub threads: RunThreads,
    /// Tells what happens to whoever listens.
    pub happenings: Arc<Happenings>,
    owners: AtomicU64,
    /// What the names of holders of locks begin with.
    owner_prefix: Arc<str>,
    lock_owners: Arc<LockOwners>,
    /// Lists and workers that go on beside the blocks.
    pub background: Background,
    /// What is known of the workers.
    pub workers: Workers,
    /// The web server, when the file serves something.
    pub servers: Servers,
    seen: Mutex<HashSet<String>>,
    described: Mutex<Described>,
}

/// What an instance tells of itself.
#[derive(Debug, Default)]
struct Described {
    hello: Option<Hello>,
    sources: Vec<PathBuf>,
}

impl Instance {
    /// Makes the services; starts no process and no thread yet. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The store can't be opened, or a file of `load state` is wrong.
    pub fn start(config: InstanceConfig) -> Result<Arc<Self>, StartFailure> {
        let stop = Stop::new();
        let happenings = Arc::<Happenings>::default();
        let unidist = Unidist::open(&config.unidist)?;
        let own = Unidist::open("memory:")?;
        let store_calls = StoreCalls::of(&config.unidist);
        let files = StateFiles::load(&unidist, &config.load_state).map_err(StartFailure::State)?;
        let keeper = Keeper::new(config.keeper);
        let series = Arc::new(SeriesClient::new(config.series));
        let http = Arc::new(HttpClient::default());
        let lock_owners = Arc::new(LockOwners::default());
        let host: Arc<dyn Host> = Arc::new(Api {
            unidist: unidist.clone(),
            own: own.clone(),
            store_calls,
            keeper: keeper.clone(),
            series: Arc::clone(&series),
            http: Arc::clone(&http),
            stop: stop.clone(),
            lock_owners: Arc::clone(&lock_owners),
            files,
        });
        let script_config = ScriptConfig {
            python: config.python,
            functions: crate::host::api::functions(),
            spare_workers: config.spare_workers,
            ..ScriptConfig::default()
        };
        let owner_prefix = format!("{}.{}.", config.name, std::process::id()).into();
        let scripts = Scripts::new(Arc::clone(&host), Arc::new(keeper.clone()), script_config);
        Ok(Arc::new(Instance {
            name: config.name,
            node: node_name(),
            is_longrunning: config.is_longrunning,
            threads: RunThreads::new(tokio::runtime::Handle::current(), stop.clone(), Arc::clone(&happenings)),
            happenings,
            stop,
            unidist,
            own,
            store_calls,
            host,
            scripts,
            keeper,
            series,
            http,
            owners: AtomicU64::new(1),
            owner_prefix,
            lock_owners,
            background: Background::default(),
            workers: Workers::default(),
            servers: Servers::default(),
            seen: Mutex::default(),
            described: Mutex::default(),
        }))
    }

    /// The shared things that hold `name`: names that begin with `__` belong to this instance.
    pub fn store_of(&self, name: &str) -> &Unidist {
        if name.starts_with("__") { &self.own } else { &self.unidist }
    }

    /// A new owner of locks, unique on this machine.
    pub fn next_owner(&self) -> Arc<LockOwner> {
        let number = self.owners.fetch_add(1, Ordering::Relaxed);
        Arc::new(LockOwner::numbered(Arc::clone(&self.owner_prefix), number))
    }

    /// Releases the locks that `owner` took by functions and still holds.
    pub fn release_locks(&self, owner: &LockOwner) {
        let Some(owner) = owner.known_name().filter(|owner| self.lock_owners.lock().remove(*owner)) else { return };
        let Ok(owner) = unidist::Owner::named(owner) else { return };
        for store in [&self.unidist, &self.own] {
            if let Err(error) = store.sharedlock().release_all(&owner) {
                log::error!("locks of {owner}: {error}");
            }
        }
    }

    /// Says who it is: for `status`.
    pub fn introduce(&self, hello: Hello) {
        self.described.lock().hello = Some(hello);
    }

    /// Who it is.
    pub fn hello(&self) -> Hello {
        self.described.lock().hello.clone().unwrap_or_else(|| Hello::new(&self.name, None))
    }

    /// Says which files it is made of: for people who look behind its pages.
    pub fn show_sources(&self, files: Vec<PathBuf>) {
        self.described.lock().sources = files;
    }

    /// The files that it is made of.
    pub fn sources(&self) -> Vec<PathBuf> {
        self.described.lock().sources.clone()
    }

    /// Notes that a pass over the file names a run-thread, list or group of workers: it survives a reload.
    pub fn note(&self, name: &str) {
        self.seen.lock().insert(name.to_string());
    }

    /// Begins a pass over the file: nothing is named yet.
    pub fn begin_pass(&self) {
        self.seen.lock().clear();
    }

    /// Ends the run-threads, lists and workers that the pass did not name.
    pub fn end_unnamed(&self) {
        let seen = std::mem::take(&mut *self.seen.lock());
        self.threads.retain(&seen);
        self.background.retain(&seen);
        self.workers.retain(&seen);
    }

    /// Ends everything: listeners, run-threads, background lists, scripts, children; stores what was measured.
    ///
    /// Requests the stop if nobody has. Waits at most 10 s for runs under way.
    pub async fn shutdown(&self) {
        self.stop.request();
        tokio::join!(self.servers.end(), self.threads.shutdown(SHUTDOWN_MAX));
        if !self.background.ended(SHUTDOWN_MAX).await {
            log::warn!("some lists did not end in time");
        }
        self.keeper.shutdown().await;
        if !self.series.shutdown(SHUTDOWN_MAX).await {
            log::warn!("some samples were not stored");
        }
    }
}

/// This machine's name; `localhost` when it has none.
pub fn node_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".into())
}

/// The program `name` beside the running one.
pub fn beside(executable: &Path, name: &str) -> PathBuf {
    executable.parent().unwrap_or(Path::new("/")).join(name)
}
