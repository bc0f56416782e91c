//! Which instance a command talks to, and calling it.

use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use crate::control::{Client, Places, find_one};
use crate::units::{DURATION_FORMS, parse_duration};
use crate::value::Value;

/// How long an instance may take to answer, beyond what it was asked to wait.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The instance, for commands whose own arguments come first.
#[derive(Args, Debug)]
pub(super) struct InstanceArgs {
    /// The instance; may be left out when one runs.
    #[arg(short, long, value_name = "NAME")]
    instance: Option<String>,
}

impl InstanceArgs {
    /// Calls a function of the instance.
    pub(super) fn call(&self, name: &str, arguments: Vec<Value>) -> Result<Value, Failure> {
        self.call_waiting(name, arguments, Duration::ZERO)
    }

    /// Calls a function that may wait for so long.
    pub(super) fn call_waiting(&self, name: &str, arguments: Vec<Value>, wait: Duration) -> Result<Value, Failure> {
        let limit = wait.saturating_add(ANSWER_MAX);
        Ok(connect(self.instance.as_deref())?.call(name, arguments, Some(limit))?)
    }
}

/// Connects to the instance of this name, or the only one.
pub(super) fn connect(name: Option<&str>) -> Result<Client, Failure> {
    Ok(find_one(&Places::of_process(), name)?)
}

/// Calls an instance's own call without arguments.
pub(super) fn ask(client: &mut Client, name: &str) -> Result<Value, Failure> {
    Ok(client.call(name, Vec::new(), Some(ANSWER_MAX))?)
}

/// A duration as users write it, for clap.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("expected {DURATION_FORMS}"))
}
