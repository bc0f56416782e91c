//! Scripts that are programs: JSON on standard input, a JSON mapping or a text on standard output.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::error::{RunError, RunErrorKind};
use crate::script::processes::{Processes, Program, ProgramEnd, ProgramOutcome};
use crate::script::waiting::Ended;
use crate::script::{Call, ended_text, files};
use crate::value::{Map, Value, to_text};

/// How much of a failed program's error output an error carries, in bytes from its end.
const ERROR_OUTPUT_MAX: usize = 4096;

/// Runs the program at `path`.
pub(super) async fn call(processes: &dyn Processes, path: &Path, call: &Call<'_>) -> Result<Map, RunError> {
    check(path)?;
    let input = json!({
        "pipe_data": call.pipe_data,
        "input_data": call.input_data,
        "request_state": call.request_state.to_map(),
        "tag": call.tag,
    });
    let program = Program {
        arguments: vec![path.into()],
        environment: call.env.iter().map(|(name, value)| (name.into(), to_text(value).into())).collect(),
        folder: call.cwd.to_owned(),
        input: input.to_string().into_bytes(),
        timeout: call.timeout,
        limits: call.limits,
        name: call.caller.script.to_string(),
    };
    let outcome = processes.run(program, call.stop).await.map_err(|error| refused(path, &error))?;
    result(&outcome, call).map_err(|mut error| {
        error.place = Some(path.display().to_string());
        error
    })
}

fn check(path: &Path) -> Result<(), RunError> {
    let metadata = std::fs::metadata(path).map_err(|error| files::missing(path, &error))?;
    if !metadata.is_file() {
        return Err(RunError::failed(format!("script {} is not a file", path.display())));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        let path = path.display();
        return Err(RunError::failed(format!(
            "script {path} is neither .lua nor .py and may not be executed; allow it: chmod +x {path}"
        )));
    }
    Ok(())
}

fn refused(path: &Path, error: &std::io::Error) -> RunError {
    let path = path.display();
    RunError::failed(match error.kind() {
        ErrorKind::NotFound => format!("script {path} names an interpreter in its first line that is not there"),
        _ => format!("script {path} cannot be started: {error}; does it begin with a line such as #!/bin/sh?"),
    })
}

fn result(outcome: &ProgramOutcome, call: &Call<'_>) -> Result<Map, RunError> {
    let failure = match outcome.end {
        ProgramEnd::TimedOut => Some(ended_text(Ended::TimedOut, call)),
        ProgramEnd::Stopped => Some(ended_text(Ended::Stopped, call)),
        ProgramEnd::Crowded(count) => {
            let limit = call.limits.processes.unwrap_or_default();
            let message = format!("the script became {count} processes, its limit is {limit}, and was ended");
            Some((RunErrorKind::Limit, message))
        }
        ProgramEnd::Itself if outcome.status == 0 => None,
        ProgramEnd::Itself => {
            let kind = if outcome.is_limit { RunErrorKind::Limit } else { RunErrorKind::Failed };
            Some((kind, format!("the script {}", outcome.reason)))
        }
    };
    if let Some((kind, message)) = failure {
        let mut error = RunError::new(kind, message);
        error.status = Some(outcome.status);
        error.output = Some(end_of(&outcome.error)).filter(|text| !text.is_empty());
        return Err(error);
    }
    if outcome.output_cut > 0 {
        return Err(RunError::failed(format!(
            "the script printed {} bytes more than can be kept; write large results to a file",
            outcome.output_cut
        )));
    }
    match serde_json::from_slice::<Value>(&outcome.output) {
        Ok(Value::Object(map)) => Ok(map),
        _ if outcome.output.is_empty() => Ok(Map::new()),
        _ => {
            let text = String::from_utf8_lossy(&outcome.output).into_owned();
            Ok(Map::from_iter([("output".to_owned(), Value::String(text))]))
        }
    }
}

fn end_of(bytes: &[u8]) -> String {
    let start = bytes.len().saturating_sub(ERROR_OUTPUT_MAX);
    String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).trim_end().to_owned()
}
