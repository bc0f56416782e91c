//! `procblock check FILE…`: every problem of a file, nothing run.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::block::compile;
use crate::cli::{EXIT_BAD_FILE, EXIT_DONE};
use crate::load::load_file;

#[derive(Args)]
pub(super) struct CheckArgs {
    /// The block files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Warnings refuse a file too.
    #[arg(long)]
    deny_warnings: bool,
}

pub(super) fn run(arguments: &CheckArgs) -> ExitCode {
    let mut code = EXIT_DONE;
    for file in &arguments.files {
        match load_file(file).and_then(compile) {
            Ok(compiled) => {
                for warning in &compiled.warnings {
                    eprintln!("{warning}");
                }
                if arguments.deny_warnings && !compiled.warnings.is_empty() {
                    code = EXIT_BAD_FILE;
                }
            }
            Err(error) => {
                eprintln!("{error}");
                code = EXIT_BAD_FILE;
            }
        }
    }
    ExitCode::from(code)
}
