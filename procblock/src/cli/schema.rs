//! `procblock schema [KIND]`: the JSON Schemas for editors.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::EXIT_DONE;
use crate::cli::run::print;
use crate::docs::{block_schema, package_schema, page_schema, site_schema};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Block files.
    #[default]
    Block,
    /// Site files.
    Site,
    /// Package files of sites.
    Package,
    /// Pages and RPCs in YAML files of their own.
    Page,
}

#[derive(Args)]
pub(super) struct SchemaArgs {
    /// The schema of which files.
    #[arg(value_enum, default_value_t)]
    kind: Kind,
}

pub(super) fn run(arguments: &SchemaArgs) -> ExitCode {
    let schema = match arguments.kind {
        Kind::Block => block_schema(),
        Kind::Site => site_schema(),
        Kind::Package => package_schema(),
        Kind::Page => page_schema(),
    };
    print(&format!("{schema:#}\n"));
    ExitCode::from(EXIT_DONE)
}

/// The schema of block files as a file holds it.
pub(super) fn schema_text() -> String {
    format!("{:#}\n", block_schema())
}
