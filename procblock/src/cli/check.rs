//! `procblock check FILE…`: every problem of every file and site, nothing run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::block::survey;
use crate::cli::run::print;
use crate::cli::{EXIT_BAD_FILE, EXIT_DONE};
use crate::cli::{check_files, check_scripts, check_sites};
use crate::load::{Problem, Problems, Severity, load_file};
use crate::value::Value;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines on standard error; nothing for a good file.
    #[default]
    Text,
    /// A list of {file, line, column, severity, what, remedy} on standard output.
    Json,
}

#[derive(Args)]
pub(super) struct CheckArgs {
    /// Block files, site files, packages, pages, or folders that are sites.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How problems are printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Warnings refuse a file too.
    #[arg(long)]
    deny_warnings: bool,
}

pub(super) fn run(arguments: &CheckArgs) -> ExitCode {
    let mut found: Vec<Problem> = Vec::new();
    for file in &arguments.files {
        // A file that two others include is told about once.
        for problem in problems_of(file) {
            if !found.contains(&problem) {
                found.push(problem);
            }
        }
    }
    match arguments.output {
        Format::Text => found.iter().for_each(|problem| eprintln!("{problem}")),
        Format::Json => {
            let list: Vec<Value> = found.iter().map(to_value).collect();
            print(&format!("{:#}\n", Value::Array(list)));
        }
    }
    let refuses = |problem: &Problem| arguments.deny_warnings || problem.severity == Severity::Error;
    ExitCode::from(if found.iter().any(refuses) { EXIT_BAD_FILE } else { EXIT_DONE })
}

/// What is wrong with one file and with what it names.
fn problems_of(file: &Path) -> Vec<Problem> {
    let mut found = check_sites::check_path(file).unwrap_or_else(|| problems_of_block(file));
    found.sort_by(|a, b| place(a).cmp(&place(b)));
    found
}

fn problems_of_block(file: &Path) -> Vec<Problem> {
    let document = match load_file(file) {
        Ok(document) => document,
        Err(error) => return error.problems,
    };
    let survey = survey(document);
    let mut problems = Problems::new();
    check_scripts::check(&survey.scripts, survey.python.as_deref(), &mut problems);
    check_files::check(&survey, &mut problems);
    let mut found = survey.problems;
    found.extend(problems.into_sorted());
    found.extend(check_sites::check(&survey.sites, survey.python.as_deref()));
    found
}

fn place(problem: &Problem) -> (&Path, u32, u32) {
    (&problem.mark.source.name, problem.mark.line, problem.mark.column)
}

fn to_value(problem: &Problem) -> Value {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "file": problem.mark.source.name.display().to_string(),
        "line": problem.mark.line,
        "column": problem.mark.column,
        "severity": severity,
        "what": problem.what,
        "remedy": problem.remedy,
    })
}
