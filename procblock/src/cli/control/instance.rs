//! Which instance a command talks to, and calling it.

use std::time::Duration;

use clap::Args;
use unidist::Unidist;

use super::failure::Failure;
use crate::control::{Client, Places, find_one};
use crate::units::{DURATION_FORMS, parse_duration};
use crate::value::Value;

/// How long an instance may take to answer, beyond what it was asked to wait.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long one call waits for what a command follows; then it asks again.
pub(super) const FOLLOW_WAIT: Duration = Duration::from_secs(20);

/// Where the shared things are, for commands whose own arguments come first.
#[derive(Args, Debug)]
pub(super) struct InstanceArgs {
    /// The instance; may be left out when one runs.
    #[arg(short, long, value_name = "NAME")]
    instance: Option<String>,
    /// A store instead of an instance, such as file:FOLDER; --instance goes before $UNIDIST_URL.
    #[arg(long, value_name = "URL", env = "UNIDIST_URL", hide_env_values = true)]
    unidist: Option<String>,
}

/// What answers calls.
pub(super) enum Target {
    /// A running instance.
    Instance(Client),
    /// A store, opened here.
    Store(Unidist),
}

impl InstanceArgs {
    /// Calls a function once.
    pub(super) fn call(&self, name: &str, arguments: Vec<Value>) -> Result<Value, Failure> {
        self.call_waiting(name, arguments, Duration::ZERO)
    }

    /// Calls a function once that may wait for so long.
    pub(super) fn call_waiting(&self, name: &str, arguments: Vec<Value>, wait: Duration) -> Result<Value, Failure> {
        self.open()?.call(name, arguments, wait)
    }

    /// The URL of the store, unless an instance is named.
    pub(super) fn url(&self) -> Option<&str> {
        self.unidist.as_deref().filter(|url| self.instance.is_none() && !url.is_empty())
    }

    /// The instance's name, if one is given.
    pub(super) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// Opens the store, or connects to the instance.
    pub(super) fn open(&self) -> Result<Target, Failure> {
        match self.url() {
            Some(url) => Ok(Target::Store(Unidist::open(url)?)),
            None => Ok(Target::Instance(connect(self.instance())?)),
        }
    }
}

impl Target {
    /// Calls a function that may wait for so long.
    pub(super) fn call(&mut self, name: &str, arguments: Vec<Value>, wait: Duration) -> Result<Value, Failure> {
        match self {
            Target::Instance(client) => Ok(client.call(name, arguments, Some(wait.saturating_add(ANSWER_MAX)))?),
            Target::Store(store) => {
                let owner = format!("command {}", std::process::id());
                Ok(unidist::call::call_blocking(store, name, &arguments, &owner)?)
            }
        }
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
