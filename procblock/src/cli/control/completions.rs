//! `procblock completions`: completions of a shell.

use clap::Args;
use clap_complete::{Shell, generate};

use super::failure::Failure;
use super::output::print;
use crate::cli::{EXIT_DONE, command};

#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArgs) -> Result<u8, Failure> {
    let mut bytes = Vec::new();
    generate(arguments.shell, &mut command(), "procblock", &mut bytes);
    print(&String::from_utf8_lossy(&bytes));
    Ok(EXIT_DONE)
}
