//! The programs behind pages and RPCs: a script, or a block.
//!
//! A request's arguments are `input_data`, what else is known of it `request_state`. Pipe data starts as the `data` of
//! the definition, so that no visitor can put a name among the results.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dropstar::{Answer, Failure, FailureKind, Program, Request};

use crate::block::{Block, InRequest, Input, Processed, Run};
use crate::error::{RunError, RunErrorKind};
use crate::host::{BoxFuture, Caller, LockOwner};
use crate::instance::Instance;
use crate::script::{Allow, Call, Limits, Script, Seen};
use crate::serve::environment::environment;
use crate::value::{Map, Value, kind_name};

/// How long the lists `on error` and `always` of a block may go on when its time is over.
const END_MAX: Duration = Duration::from_secs(1);

/// What programs have in common: the instance and where it works.
pub struct Surroundings {
    /// The instance.
    pub instance: Arc<Instance>,
    /// The folder of relative outputs and children, where one was given; else each file's own.
    pub folder: Option<Arc<Path>>,
    /// The folder of scripts that no YAML names: that of the file that serves them.
    pub base: Arc<Path>,
}

impl Surroundings {
    /// Where relative outputs go.
    pub(super) fn outputs(&self) -> &Arc<Path> {
        self.folder.as_ref().unwrap_or(&self.base)
    }
}

/// A dropped-in script.
pub(super) struct ScriptProgram {
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) script: Script,
    pub(super) allow: Allow,
    /// Its name in log lines.
    pub(super) name: Arc<str>,
    /// Whether it is a child, which is given the arguments in its environment.
    pub(super) is_child: bool,
    /// The server asks at each request whether the script's file has changed, and makes another program when it has.
    pub(super) seen: Seen,
}

/// A block.
pub(super) struct BlockProgram {
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) block: Arc<Block>,
    pub(super) data: Map,
    pub(super) allow: Allow,
    /// Names that expressions see: `data`, `node`, `block`.
    pub(super) globals: Map,
}

/// A definition of a package that is wrong: its page alone fails.
pub(super) struct WrongProgram(pub(super) String);

/// Releases what a request locked, however it ends.
struct Locks<'a> {
    instance: &'a Instance,
    owner: &'a LockOwner,
}

impl Drop for Locks<'_> {
    fn drop(&mut self) {
        self.instance.release_locks(self.owner);
    }
}

/// Of what a page's script is not given.
static NOTHING: LazyLock<Map> = LazyLock::new(Map::new);

impl Program for ScriptProgram {
    fn run<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(self.call(request))
    }
}

impl ScriptProgram {
    async fn call(&self, request: &Request) -> Result<Answer, Failure> {
        let instance = &self.surroundings.instance;
        let folder = Arc::clone(self.surroundings.outputs());
        let caller = Caller { owner: instance.next_owner(), folder, script: Arc::clone(&self.name) };
        let caller = Arc::new(caller);
        let _locks = Locks { instance, owner: &caller.owner };
        let env = self.is_child.then(|| Box::new(environment(request)));
        let call = Call {
            pipe_data: &NOTHING,
            block: &Value::Null,
            request_state: &request.state,
            input_data: &request.arguments,
            tag: "run",
            cwd: &caller.folder,
            env: env.as_deref().unwrap_or(&NOTHING),
            block_parent: &Value::Null,
            caller: &caller,
            allow: self.allow,
            begun: request.begun,
            timeout: Some(request.deadline.saturating_duration_since(request.begun)),
            limits: Limits::default(),
            stop: &request.stop,
            seen: Some(&self.seen),
        };
        match instance.scripts.call(&self.script, &call).await {
            Ok(Value::Object(values)) => Ok(Answer { values }),
            Ok(other) => Err(not_a_mapping(&other)),
            Err(error) => Err(failure(&error)),
        }
    }
}

impl Program for BlockProgram {
    fn run<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(self.process(request))
    }
}

impl BlockProgram {
    async fn process(&self, request: &Request) -> Result<Answer, Failure> {
        let arguments = Map::clone(&request.arguments);
        let mut globals = self.globals.clone();
        globals.insert("args".into(), Value::Object(arguments.clone()));
        let input = Input::of_request(arguments, Box::new(request.state.clone()), globals);
        let surroundings = &self.surroundings;
        let folder = surroundings.folder.as_deref().map(Path::to_path_buf);
        let mut run = Run::new(Arc::clone(&surroundings.instance), Arc::new(input), folder);
        run.pipe_data = self.data.clone();
        run.request = Some(InRequest::new(self.allow, request.deadline));
        run.stop = request.stop.clone();
        let processed = {
            let work = self.block.process(&mut run);
            tokio::pin!(work);
            let ended = tokio::select! {
                processed = &mut work => Ok(processed),
                kind = over(request) => Err(kind),
            };
            match ended {
                Ok(processed) => processed,
                Err(kind) => {
                    // What waits ends, and lists of `on error` and `always` run.
                    request.stop.request();
                    let _ = tokio::time::timeout(END_MAX, work).await;
                    return Err(ended_failure(kind));
                }
            }
        };
        match processed {
            Processed { error: Some(error), .. } => Err(failure(&error)),
            Processed { result: Value::Object(result), .. } => Ok(Answer { values: self.values(result, run) }),
            Processed { result, .. } => Err(not_a_mapping(&result)),
        }
    }

    /// What the block left: values of its own, and over them what its `run` list returned, without the inputs.
    fn values(&self, mut result: Map, mut run: Run) -> Map {
        let returned = run.request.take().map(|request| request.returned).unwrap_or_default();
        let is_input = |key: &str, value: &Value| !returned.contains(key) && self.data.get(key) == Some(value);
        if self.block.return_tag.as_ref().is_some_and(|(tag, _)| tag == "run") {
            result.retain(|key, value| !key.starts_with("__") && !is_input(key, value));
            return result;
        }
        if self.block.return_tag.is_none() && result.shift_remove("run").is_some() {
            let pipe_data = std::mem::take(&mut run.pipe_data);
            let outputs = pipe_data.into_iter().filter(|(key, value)| !key.starts_with("__") && !is_input(key, value));
            result.extend(outputs);
        }
        result
    }
}

impl Program for WrongProgram {
    fn run<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Answer, Failure>> {
        let failure = Failure { kind: FailureKind::Failed, text: self.0.clone(), place: None };
        Box::pin(std::future::ready(Err(failure)))
    }
}

/// Waits until the request must not go on, and says why.
async fn over(request: &Request) -> FailureKind {
    tokio::select! {
        () = request.stop.requested() => FailureKind::Stopped,
        () = tokio::time::sleep_until(request.deadline.into()) => FailureKind::TimedOut,
    }
}

fn ended_failure(kind: FailureKind) -> Failure {
    let text = match kind {
        FailureKind::TimedOut => "it did not end within its timeout",
        _ => "it was ended, because the client is gone or the server ends",
    };
    Failure { kind, text: text.into(), place: None }
}

fn not_a_mapping(value: &Value) -> Failure {
    let text = format!("the result is a {}, expected a mapping", kind_name(value));
    Failure { kind: FailureKind::Failed, text, place: None }
}

fn failure(error: &RunError) -> Failure {
    let kind = match error.kind {
        RunErrorKind::TimedOut => FailureKind::TimedOut,
        RunErrorKind::Stopped => FailureKind::Stopped,
        _ => FailureKind::Failed,
    };
    let step = error.step.as_ref().map(|step| format!("{step}: ")).unwrap_or_default();
    let mut text = format!("{step}{}", error.message);
    for more in [&error.output, &error.trace].into_iter().flatten().filter(|more| !more.trim().is_empty()) {
        text.push('\n');
        text.push_str(more.trim_end());
    }
    Failure { kind, text, place: error.place.clone() }
}
