//! What several steps need: calling a script, calling a function of the host.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use unidist::Stop;

use crate::error::{RunError, RunErrorKind};
use crate::load::{Entry, Kind, Node, Problems, Style};
use crate::script::{Call, Script};
use crate::spec::Fields;
use crate::step::limits::check_script_limits;
use crate::step::{StepResult, StepRun};
use crate::value::{Map, Value, kind_name, to_text};

/// The line of the file on which a text scalar's first line stands.
pub(super) fn first_line(node: &Node) -> u32 {
    match node.kind {
        Kind::Scalar(_, Style::Block) => node.mark.line + 1,
        _ => node.mark.line,
    }
}

/// The file that a text stands in, for a script's messages.
pub(super) fn source_name(node: &Node) -> String {
    node.mark.source.name.display().to_string()
}

/// Calls a script with the step's data.
pub(super) async fn call_script(script: &Script, step: &mut StepRun<'_>) -> StepResult {
    let env = environment(step)?;
    let limits = step.attributes.limits.fill(&*step.run)?;
    check_script_limits(script, &limits)?;
    let folder = child_folder(step)?;
    let run = &*step.run;
    let mut caller = step.caller();
    caller.script = script_name(script).map_or(caller.script, Into::into);
    let caller = Arc::new(caller);
    let call = Call {
        pipe_data: &run.pipe_data,
        block: step.item,
        request_state: &*run.input.request_state,
        input_data: &run.input.input_data,
        tag: "run",
        cwd: &folder,
        env: &env,
        block_parent: &run.block,
        caller: &caller,
        allow: run.allow(),
        begun: Instant::now(),
        timeout: run.timeout(step.timeout),
        limits,
        stop: &run.stop,
        seen: None,
    };
    let called = run.instance.scripts.call(script, &call).await;
    match called.map_err(|error| place_of_step(stopped(error, &run.stop)))? {
        Value::Object(map) => Ok(map),
        other => Err(RunError::failed(format!("the script returned a {}, not a mapping", kind_name(&other))).into()),
    }
}

/// How log lines name a script of which they tell the line too; none for an executable, whose lines have no number.
fn script_name(script: &Script) -> Option<String> {
    let file = match script {
        Script::File(path) => path.as_path(),
        Script::Lua { name, .. } | Script::Python { name, .. } => return Some(name.clone()),
    };
    let has_lines = file.extension().is_some_and(|ending| ending == "lua" || ending == "py");
    file.file_name().filter(|_| has_lines).map(|name| name.to_string_lossy().into_owned())
}

/// A script that a stop met inside a function of the host sees an ordinary error there, and mostly ends by it.
fn stopped(mut error: RunError, stop: &Stop) -> RunError {
    if stop.is_requested() {
        error.kind = RunErrorKind::Stopped;
    }
    error
}

/// A failure that is known to be in a script's file but on none of its lines gets the place of the step, and names the
/// file itself.
fn place_of_step(mut error: RunError) -> RunError {
    let has_line = |place: &str| place.rsplit(':').next().is_some_and(|last| last.parse::<u32>().is_ok());
    if let Some(file) = error.place.take_if(|place| !has_line(place)) {
        error.message = format!("{file}: {}", error.message);
    }
    error
}

/// Calls a function of the host as this step's block.
pub(super) async fn call_host(step: &StepRun<'_>, name: &str, arguments: Vec<Value>) -> Result<Value, RunError> {
    let caller = step.caller();
    let host = &step.run.instance.host;
    host.call(&caller, name, arguments).await.map_err(|error| {
        let kind = match error.code.as_str() {
            "stopped" => RunErrorKind::Stopped,
            "timed_out" => RunErrorKind::TimedOut,
            _ => RunErrorKind::Failed,
        };
        RunError::new(kind, error.text)
    })
}

/// The step's `env`, filled in, every value as text.
pub(super) fn environment(step: &StepRun<'_>) -> Result<Map, RunError> {
    let Some(env) = &step.attributes.env else { return Ok(Map::new()) };
    match env.render(&*step.run)? {
        Value::Object(map) => Ok(map.into_iter().map(|(name, value)| (name, to_text(&value).into())).collect()),
        other => Err(RunError::failed(format!("env is a {}, not a mapping", kind_name(&other)))),
    }
}

/// The folder of the step's child.
pub(super) fn child_folder(step: &StepRun<'_>) -> Result<PathBuf, RunError> {
    match &step.attributes.cwd {
        Some(cwd) => Ok(step.folder().join(cwd.get(&*step.run)?)),
        None => Ok(step.folder().to_path_buf()),
    }
}

/// The one of several keys that says what a step of shared things does, with its value.
pub(super) fn one_of<'n>(
    fields: &Fields<'n>,
    actions: &'static [&'static str],
    entry: &Entry,
    problems: &mut Problems,
) -> Option<(&'static str, &'n Node)> {
    let mut given = actions.iter().filter_map(|action| Some((*action, fields.node(action)?)));
    match (given.next(), given.next()) {
        (Some(found), None) => Some(found),
        (None, _) => {
            let remedy = format!("expected one of: {}", actions.join(", "));
            problems.error(&entry.value.mark, format!("{} says nothing to do", entry.key), remedy);
            None
        }
        (Some((first, _)), Some((second, node))) => {
            let what = format!("{} has both {first} and {second}", entry.key);
            problems.error(&node.mark, what, "make two steps of it");
            None
        }
    }
}
