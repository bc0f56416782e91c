//! `procblock schema [block]`: the JSON Schema for editors.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::EXIT_DONE;
use crate::cli::run::print;
use crate::docs::block_schema;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Block files.
    #[default]
    Block,
}

#[derive(Args)]
pub(super) struct SchemaArgs {
    /// The schema of which files.
    #[arg(value_enum, default_value_t)]
    kind: Kind,
}

pub(super) fn run(arguments: &SchemaArgs) -> ExitCode {
    match arguments.kind {
        Kind::Block => print(&schema_text()),
    }
    ExitCode::from(EXIT_DONE)
}

/// The schema of block files as a file holds it.
pub(super) fn schema_text() -> String {
    format!("{:#}\n", block_schema())
}
