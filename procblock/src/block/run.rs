//! One block being run: its data, its results so far, its locks.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use unidist::Stop;

use crate::error::{RunError, RunErrorKind};
use crate::expr::Scope;
use crate::host::LockOwner;
use crate::instance::Instance;
use crate::load::{Mark, Source};
use crate::script::{Allow, RequestValues};
use crate::tag::Handler;
use crate::value::{Map, Value};

/// How deep blocks may run inside blocks, through nesting and `call` together.
const DEPTH_MAX: u32 = 64;

/// How long steps that wait for nothing go on before others have their turn.
const TURN_MAX: Duration = Duration::from_millis(1);

/// What came from outside: the same for every nested block and run-thread of one run.
#[derive(Debug)]
pub struct Input {
    /// Options and arguments over `data:`; a page's or RPC's arguments.
    pub input_data: Map,
    /// A request's headers, cookies, path …; empty outside pages.
    pub request_state: Box<dyn RequestValues>,
    /// Names that expressions see behind pipe data and results: `data`, `args`, `node`, `block`.
    pub globals: Map,
    /// `request_state` as expressions see it, made when the first of them asks.
    request_value: OnceLock<Value>,
}

impl Input {
    /// The input of a file.
    pub fn new(input_data: Map, globals: Map) -> Self {
        Self::of_request(input_data, Box::new(Map::new()), globals)
    }

    /// The input of a page or RPC.
    pub fn of_request(input_data: Map, request_state: Box<dyn RequestValues>, globals: Map) -> Self {
        Input { input_data, request_state, globals, request_value: OnceLock::new() }
    }

    fn request_value(&self) -> &Value {
        self.request_value.get_or_init(|| Value::Object(self.request_state.to_map().into_owned()))
    }
}

/// What a run of a page or RPC may do, and what it returned.
#[derive(Debug)]
pub struct InRequest {
    /// The modules that its scripts may use.
    pub allow: Allow,
    /// When it must have ended.
    pub deadline: Instant,
    /// Keys of pipe data that steps returned: the others are inputs.
    pub returned: HashSet<String>,
}

impl InRequest {
    /// Nothing returned yet.
    pub fn new(allow: Allow, deadline: Instant) -> Self {
        InRequest { allow, deadline, returned: HashSet::new() }
    }
}

/// How long `on error` and `always` lists may go on after a stop: the time that an ending instance waits.
const HANDLER_AFTER_STOP_MAX: Duration = Duration::from_secs(10);

static ENVIRONMENT: LazyLock<Value> = LazyLock::new(|| {
    let pairs = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, Value::String(value.into_string().ok()?))));
    Value::Object(pairs.collect())
});

/// A block while it runs.
pub struct Run {
    /// The services it uses.
    pub instance: Arc<Instance>,
    /// What came from outside.
    pub input: Arc<Input>,
    /// Passed along the chain; scripts get copies.
    pub pipe_data: Map,
    /// What this block's tags left so far.
    pub results: Map,
    /// What the tags of enclosing blocks left before this block began.
    pub outer: Arc<Map>,
    /// The error that `on error` lists see.
    pub error: Option<Value>,
    /// What failed earlier in the block.
    pub failure: Option<Arc<RunError>>,
    /// The base of relative outputs and the folder of children; `None`: the folder of the file that names them.
    pub folder: Option<PathBuf>,
    /// Unique in the instance: who holds the locks taken here.
    pub owner: Arc<LockOwner>,
    /// Ends the waits of this run.
    pub stop: Stop,
    /// The YAML of the block, for scripts that look at it.
    pub block: Arc<Value>,
    /// Locks held for the rest of the block, by name.
    pub guards: Vec<(String, unidist::LockGuard)>,
    /// Set in pages and RPCs: their lists are waited for, and their scripts may use fewer modules.
    pub request: Option<InRequest>,
    /// Whether a failure would be one of many alike, told already: then single attempts are no warning.
    pub is_failure_known: bool,
    /// Keys of pipe data that run-threads gave.
    fetched: HashSet<String>,
    depth: u32,
    /// Since when it goes on without having let others go first.
    turn_began: Instant,
}

impl Run {
    /// A new run from outside: pipe data starts as a copy of the input data.
    pub fn new(instance: Arc<Instance>, input: Arc<Input>, folder: Option<PathBuf>) -> Self {
        let owner = instance.next_owner();
        let stop = instance.stop.clone();
        let pipe_data = input.input_data.clone();
        Run {
            instance,
            input,
            pipe_data,
            results: Map::new(),
            outer: Arc::default(),
            error: None,
            failure: None,
            folder,
            owner,
            stop,
            block: Arc::default(),
            guards: Vec::new(),
            request: None,
            is_failure_known: false,
            fetched: HashSet::new(),
            depth: 0,
            turn_began: Instant::now(),
        }
    }

    /// What the enclosing blocks and this one left so far.
    pub(super) fn outer_with_results(&self) -> Arc<Map> {
        if self.results.is_empty() {
            return Arc::clone(&self.outer);
        }
        let mut outer = Map::clone(&self.outer);
        outer.extend(self.results.iter().map(|(key, value)| (key.clone(), value.clone())));
        Arc::new(outer)
    }

    /// Merges what a step returned into pipe data.
    pub fn merge(&mut self, result: Map) {
        if let Some(request) = &mut self.request {
            request.returned.extend(result.keys().cloned());
        }
        self.pipe_data.extend(result);
    }

    /// Merges what a run-thread gave into pipe data.
    pub fn merge_fetched(&mut self, result: Map) {
        self.fetched.extend(result.keys().cloned());
        self.merge(result);
    }

    /// How long a script may take that its step gives `timeout`: a request has an end of its own.
    pub fn timeout(&self, timeout: Option<Duration>) -> Option<Duration> {
        let Some(request) = &self.request else { return timeout };
        let left = request.deadline.saturating_duration_since(Instant::now());
        Some(timeout.map_or(left, |timeout| timeout.min(left)))
    }

    /// The modules that scripts of this run may use.
    pub fn allow(&self) -> Allow {
        self.request.as_ref().map_or(Allow::ALL, |request| request.allow)
    }

    /// The run that a run-thread starts each of its runs from: pipe data without what other run-threads gave, which
    /// would be out of date from the first run on.
    ///
    /// # Errors
    /// As [`Run::nested`].
    pub fn seed(&self) -> Result<Run, RunError> {
        // The list's own keys stand first as a rule: with the count known, a long list of run-threads is not gone through
        // for each of them.
        let count = self.pipe_data.len().saturating_sub(self.fetched.len());
        let own = self.pipe_data.iter().filter(|(key, _)| !self.fetched.contains(*key)).take(count);
        self.nested_with(own.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// A run for a block inside this one, or beside it in another run-thread: it starts from copies.
    ///
    /// # Errors
    /// Blocks are nested too deeply, as when a block calls itself for ever.
    pub fn nested(&self) -> Result<Run, RunError> {
        self.nested_with(self.pipe_data.clone())
    }

    fn nested_with(&self, pipe_data: Map) -> Result<Run, RunError> {
        if self.depth >= DEPTH_MAX {
            return Err(RunError::failed(format!(
                "blocks run inside blocks more than {DEPTH_MAX} deep; does one call itself?"
            )));
        }
        let outer = self.outer_with_results();
        Ok(Run {
            instance: Arc::clone(&self.instance),
            input: Arc::clone(&self.input),
            pipe_data,
            results: Map::new(),
            outer,
            error: self.error.clone(),
            failure: None,
            folder: self.folder.clone(),
            owner: self.instance.next_owner(),
            stop: self.stop.clone(),
            block: Arc::clone(&self.block),
            guards: Vec::new(),
            request: self.request.as_ref().map(|request| InRequest::new(request.allow, request.deadline)),
            is_failure_known: false,
            fetched: HashSet::new(),
            depth: self.depth + 1,
            turn_began: self.turn_began,
        })
    }

    /// The base of relative outputs that a file names, and the folder of the children that it starts.
    pub fn folder_of<'a>(&'a self, source: &'a Source) -> &'a Path {
        self.folder.as_deref().unwrap_or(&source.folder)
    }

    /// Releases every lock that this run took and still holds.
    pub fn release_locks(&mut self) {
        for (name, guard) in self.guards.drain(..) {
            drop(guard);
            log::info!("lock released: {name}");
        }
        self.instance.release_locks(&self.owner);
    }

    /// Lets others go first once this has gone on for a while: steps may be many that wait for nothing, and stops, time
    /// limits and run-threads want their turn too.
    pub async fn give_way(&mut self) {
        if self.turn_began.elapsed() > TURN_MAX {
            tokio::task::yield_now().await;
            self.turn_began = Instant::now();
        }
    }

    /// An error when the instance is stopping: nothing new is started then.
    ///
    /// # Errors
    /// A stop was requested.
    pub fn check_stop(&self) -> Result<(), RunError> {
        if self.stop.is_requested() {
            return Err(RunError::new(RunErrorKind::Stopped, "the instance is stopping"));
        }
        Ok(())
    }

    /// Runs an `on error` or `always` list with `error` in scope; pipe data stays as it was.
    ///
    /// The list runs although the instance is stopping, for at most 10 s after the stop.
    ///
    /// # Errors
    /// A step of the list failed.
    pub async fn handle(&mut self, handler: &Handler, error: Option<&RunError>) -> Result<(), RunError> {
        let pipe_data = self.pipe_data.clone();
        let outer_stop = std::mem::take(&mut self.stop);
        let outer_error = std::mem::replace(&mut self.error, error.map(RunError::to_value));
        let own_stop = self.stop.clone();
        let stopping = outer_stop.clone();
        let limit = async move {
            stopping.requested().await;
            tokio::time::sleep(HANDLER_AFTER_STOP_MAX).await;
            own_stop.request();
            std::future::pending::<()>().await;
        };
        let ran = tokio::select! {
            ran = handler.run_list().run(self) => ran,
            () = limit => Ok(()),
        };
        self.error = outer_error;
        self.stop = outer_stop;
        self.pipe_data = pipe_data;
        ran.map_err(|failure| *failure.error)
    }
}

impl Scope for Run {
    fn get(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.pipe_data.get(name).or_else(|| self.results.get(name)) {
            return Some(value);
        }
        match name {
            "env" => Some(&ENVIRONMENT),
            "error" if self.error.is_some() => self.error.as_ref(),
            "request_state" if self.request.is_some() => Some(self.input.request_value()),
            _ => self.outer.get(name).or_else(|| self.input.globals.get(name)),
        }
    }

    fn names(&self) -> Vec<&str> {
        let maps = [&self.pipe_data, &self.results, &self.outer, &self.input.globals];
        maps.into_iter().flat_map(Map::keys).map(String::as_str).chain(["env"]).collect()
    }
}

/// Locks that functions took are not kept by a run that was given up half-way.
impl Drop for Run {
    fn drop(&mut self) {
        self.release_locks();
    }
}

/// Fills in where a failure happened, if nothing nearer to it did.
pub fn placed(mut error: RunError, mark: &Mark) -> RunError {
    error.place.get_or_insert_with(|| mark.to_string());
    error
}
