//! `process.run`: a child process for scripts.

use std::ffi::OsString;
use std::time::Duration;

use crate::host::api::Api;
use crate::host::{Caller, HostError};
use crate::process::{Command, Ended, Stdin};
use crate::spec::FromValue;
use crate::value::{Map, Value, to_text};

pub(super) const FUNCTIONS: &[&str] = &["process.run"];

/// `process.run({"program", "argument"}, {stdin, cwd, env, timeout, user})` gives `{status, output, output_error}`.
pub(super) async fn call(api: &Api, caller: &Caller, name: &str, arguments: &[Value]) -> Result<Value, HostError> {
    if name != "process.run" {
        return Err(HostError::new("unknown_function", format!("there is no function {name}; there is process.run")));
    }
    let command = command(caller, arguments)?;
    let finished = api.keeper.run(command, &api.stop).await;
    let finished = finished.map_err(|error| HostError::new("failed", error.to_string()))?;
    match finished.ended {
        Ended::TimedOut => return Err(HostError::new("timed_out", "the program timed out and was ended")),
        Ended::Stopped => return Err(HostError::new("stopped", "the instance is stopping")),
        Ended::Crowded(_) | Ended::Itself => {}
    }
    let mut result = Map::new();
    result.insert("status".into(), finished.status.code().into());
    result.insert("output".into(), finished.output.text().into());
    result.insert("output_error".into(), finished.error.text().into());
    Ok(Value::Object(result))
}

fn command(caller: &Caller, arguments: &[Value]) -> Result<Command, HostError> {
    let bad = |text: &str| HostError::new("bad_argument", text);
    let words = match arguments.first() {
        Some(Value::Array(words)) if !words.is_empty() => {
            words.iter().map(|word| OsString::from(to_text(word))).collect()
        }
        _ => return Err(bad("process.run takes a list: program and arguments")),
    };
    let empty = Map::new();
    let options = match arguments.get(1) {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(options)) => options,
        Some(_) => return Err(bad("the second argument of process.run is a mapping of options")),
    };
    let known = ["stdin", "cwd", "env", "timeout", "user"];
    if let Some(unknown) = options.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(bad(&format!("process.run has no option {unknown}; there are: {}", known.join(", "))));
    }
    let timeout = options.get("timeout").map(Duration::from_value).transpose();
    let environment = options.get("env").and_then(Value::as_object).unwrap_or(&empty);
    Ok(Command {
        environment: environment.iter().map(|(key, value)| (key.into(), to_text(value).into())).collect(),
        folder: caller.folder.join(options.get("cwd").and_then(Value::as_str).unwrap_or(".")),
        user: options.get("user").map(to_text),
        stdin: options.get("stdin").map_or(Stdin::Null, |text| Stdin::Bytes(to_text(text).into_bytes())),
        timeout: timeout.map_err(|expected| bad(&format!("timeout: expected {expected}")))?,
        name: caller.script.to_string(),
        ..Command::new::<Vec<OsString>, OsString>(words)
    })
}
