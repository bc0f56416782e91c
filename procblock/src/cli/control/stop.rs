//! `procblock stop`: end an instance.

use std::time::Duration;

use clap::Args;

use super::failure::{EXIT_TIMED_OUT, Failure};
use super::instance::{ask, connect, duration};
use crate::cli::EXIT_DONE;
use crate::cli::control::failure::EXIT_NO_INSTANCE;

#[derive(Args)]
pub(crate) struct StopArgs {
    /// The instance; may be left out when one runs.
    name: Option<String>,
    /// How long to wait until it has ended; 0 only asks.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    wait: Duration,
}

pub(super) fn run(arguments: &StopArgs) -> Result<u8, Failure> {
    let mut client = connect(arguments.name.as_deref())?;
    let name = client.hello().name.clone();
    let process = client.hello().process;
    match ask(&mut client, "stop") {
        // It ended so fast that the answer was lost.
        Err(failure) if failure.code == EXIT_NO_INSTANCE => return Ok(EXIT_DONE),
        other => other?,
    };
    if arguments.wait.is_zero() || client.wait_ended(arguments.wait) {
        return Ok(EXIT_DONE);
    }
    let waited = crate::units::format_duration(arguments.wait);
    let text = format!("{name} (process {process}) has not ended within {waited}; it goes on stopping");
    Err(Failure::new(EXIT_TIMED_OUT, text))
}
