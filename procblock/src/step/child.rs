//! What `shell` and `exec` share: a child process, what becomes of its output, when it has failed.

use std::ffi::OsString;

use crate::error::{RunError, RunErrorKind};
use crate::process::{CAPTURE_MAX, Command, Ended, Finished, Limits, Output, SpawnError, reason};
use crate::step::shared::{child_folder, environment};
use crate::step::{OutputAs, StepFailure, StepResult, StepRun};
use crate::value::{Map, Value, to_text};

/// How much of a failed child's output its error shows, in bytes.
const SHOWN_MAX: usize = 2000;

/// Runs a child as the step's attributes say.
pub(super) async fn run_child(
    step: &mut StepRun<'_>,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
) -> StepResult {
    let mut environment: Vec<(OsString, OsString)> =
        environment(step)?.into_iter().map(|(name, value)| (name.into(), to_text(&value).into())).collect();
    environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
    let limits = process_limits(step.attributes.limits.fill(&*step.run)?);
    let output = match &step.attributes.output {
        OutputAs::None => Output::Discard,
        OutputAs::File(path) => Output::File(step.folder().join(path.get(&*step.run)?)),
        OutputAs::Text | OutputAs::Lines | OutputAs::Json => Output::Capture { max: CAPTURE_MAX },
    };
    let program = arguments.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
    let command = Command {
        environment,
        folder: child_folder(step)?,
        user: step.attributes.user.as_ref().map(|user| user.get(&*step.run)).transpose()?,
        limits,
        output,
        timeout: step.timeout,
        name: step.name.to_string(),
        ..Command::new(arguments)
    };
    let finished = step.run.instance.keeper.run(command, &step.run.stop).await;
    let finished = finished.map_err(|error| not_run(&error))?;
    outcome(step, &program, &limits, finished)
}

/// The step's limits as the keeper takes them.
fn process_limits(limits: crate::script::Limits) -> Limits {
    let crate::script::Limits { memory, cpu, files, processes } = limits;
    Limits { memory, cpu, files, processes }
}

/// A child that did not start, with the exit code that a shell would give.
fn not_run(error: &SpawnError) -> RunError {
    let mut failure = RunError::new(error.kind(), error.to_string());
    failure.status = Some(error.exit_code());
    failure
}

fn outcome(step: &StepRun<'_>, program: &str, limits: &Limits, finished: Finished) -> StepResult {
    let status = finished.status.code();
    let error_text = finished.error.text();
    let mut result = Map::new();
    result.insert("status".into(), Value::Array(vec![status.into()]));
    let parsed = shape_output(&step.attributes.output, &finished.output.text(), &mut result);
    result.insert("output_error".into(), error_text.clone().into());
    let (kind, message) = match (finished.ended, finished.status) {
        (Ended::TimedOut, _) => {
            let limit = step.timeout.map(crate::units::format_duration).unwrap_or_default();
            (RunErrorKind::TimedOut, format!("{program} timed out after {limit} and was ended"))
        }
        (Ended::Stopped, _) => (RunErrorKind::Stopped, format!("{program} was ended because the instance is stopping")),
        (Ended::Crowded(count), _) => {
            let limit = limits.processes.unwrap_or_default();
            (RunErrorKind::Limit, format!("{program} became {count} processes, its limit is {limit}, and was ended"))
        }
        (Ended::Itself, status) if status.is_success() => match parsed {
            Ok(()) => return Ok(result),
            Err(message) => (RunErrorKind::Failed, message),
        },
        (Ended::Itself, status) => {
            let (reason, is_limit) = reason(status, limits);
            let kind = if is_limit { RunErrorKind::Limit } else { RunErrorKind::Failed };
            (kind, format!("{program} {reason}"))
        }
    };
    let mut error = RunError::new(kind, message);
    error.status = Some(status);
    let shown = if error_text.trim().is_empty() { finished.output.text() } else { error_text };
    error.output = Some(tail(shown.trim_end()).to_string());
    Err(StepFailure { error: Box::new(error), result })
}

/// Puts the output into the result as the step's `output` says; the error says why it was not JSON.
fn shape_output(shape: &OutputAs, text: &str, result: &mut Map) -> Result<(), String> {
    match shape {
        OutputAs::Text => {
            result.insert("output".into(), text.into());
        }
        OutputAs::Lines => {
            result.insert("output".into(), Value::Array(text.lines().map(Value::from).collect()));
        }
        OutputAs::Json => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => result.extend(map),
            Ok(value) => {
                result.insert("output".into(), value);
            }
            Err(error) => return Err(format!("its output is no JSON: {error}")),
        },
        OutputAs::None | OutputAs::File(_) => {}
    }
    Ok(())
}

/// The end of a text, whole characters.
fn tail(text: &str) -> &str {
    let start = text.ceil_char_boundary(text.len().saturating_sub(SHOWN_MAX));
    text.get(start..).unwrap_or_default()
}
