//! `procblock user …` and `procblock token …`: who may use a web server.
//!
//! They change the site's users file, which a running server reads again by itself. A password is asked for on the
//! terminal or read from standard input, never taken from the command line, where everybody on the machine could see it.

mod ask;
mod place;
mod token;
mod user;

use std::process::ExitCode;

use clap::ValueEnum;
use dropstar::users::{Scope, UsersFileError};

use crate::cli::{EXIT_BAD_FILE, EXIT_FAILED};
use crate::logging::for_terminal;

pub(super) use token::TokenCommand;
pub(super) use user::UserCommand;

/// How much a user or token may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeWord {
    /// See pages, call what is read only.
    Read,
    /// Change things: send forms, call every procedure.
    Call,
    /// Everything, also what is declared for administrators.
    Admin,
}

impl From<ScopeWord> for Scope {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Read => Scope::Read,
            ScopeWord::Call => Scope::Call,
            ScopeWord::Admin => Scope::Admin,
        }
    }
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    #[default]
    Text,
    /// JSON.
    Json,
}

/// Why a command did not do its work.
#[derive(Debug)]
struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    fn new(code: u8, text: impl Into<String>) -> Self {
        Failure { code, text: text.into() }
    }
}

impl From<UsersFileError> for Failure {
    fn from(error: UsersFileError) -> Self {
        let code = match error {
            UsersFileError::Refused(_) | UsersFileError::Write { .. } => EXIT_FAILED,
            _ => EXIT_BAD_FILE,
        };
        Failure::new(code, error.to_string())
    }
}

/// The exit code of a command, after its failure was told.
fn end(ended: Result<u8, Failure>) -> ExitCode {
    ExitCode::from(ended.unwrap_or_else(|failure| {
        for (index, line) in failure.text.lines().enumerate() {
            eprintln!("{}{}", if index == 0 { "error: " } else { "" }, for_terminal(line));
        }
        failure.code
    }))
}
