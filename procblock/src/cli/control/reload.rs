//! `procblock reload`: load an instance's file anew.

use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::instance::{connect, duration};
use super::output::print;
use crate::cli::EXIT_DONE;
use crate::logging::for_terminal;
use crate::value::to_text;

#[derive(Args)]
pub(crate) struct ReloadArgs {
    /// The instance; may be left out when one runs.
    name: Option<String>,
    /// How long to wait for the outcome.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    wait: Duration,
}

pub(super) fn run(arguments: &ReloadArgs) -> Result<u8, Failure> {
    let mut client = connect(arguments.name.as_deref())?;
    let text = to_text(&client.call("reload", Vec::new(), Some(arguments.wait))?);
    if !text.is_empty() {
        print(&format!("{}\n", for_terminal(&text)));
    }
    Ok(EXIT_DONE)
}
