//! `procblock user`: people who log in.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::place::Place;
use super::{Failure, Format, ScopeWord, ask, end};
use crate::cli::EXIT_DONE;
use crate::cli::control::table::Table;
use crate::cli::run::print;

#[derive(Subcommand, Debug)]
pub(in crate::cli) enum UserCommand {
    /// Add a user; the password is asked for on the terminal.
    Add {
        /// The user's name.
        name: String,
        #[command(flatten)]
        place: Place,
        /// How much the user may.
        #[arg(long, value_enum, default_value = "call")]
        scope: ScopeWord,
        #[command(flatten)]
        source: PasswordSource,
        /// Without a password: only a trusted proxy can say that it is this user.
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// Change a user's password; their sessions end.
    Password {
        /// The user's name.
        name: String,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        source: PasswordSource,
    },
    /// Remove a user; their sessions end.
    Remove {
        /// The user's name.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// List the users.
    List {
        #[command(flatten)]
        place: Place,
        /// How the list is printed.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

#[derive(Args, Debug)]
pub(in crate::cli) struct PasswordSource {
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordSource {
    fn password(&self, name: &str) -> Result<String, Failure> {
        if self.password_stdin { ask::from_standard_input() } else { ask::on_terminal(name) }
    }
}

impl UserCommand {
    pub(in crate::cli) fn run(&self) -> ExitCode {
        end(self.ended())
    }

    fn ended(&self) -> Result<u8, Failure> {
        match self {
            UserCommand::Add { name, place, scope, source, no_password } => {
                let file = place.file()?;
                // What can be told before somebody types a password twice is told before.
                file.read()?.unwrap_or_default().add_user(name, None, (*scope).into()).map_err(dropstar_error)?;
                let password = (!no_password).then(|| source.password(name)).transpose()?;
                file.change(|users| users.add_user(name, password.as_deref(), (*scope).into()))?;
                let scope = dropstar::users::Scope::from(*scope).word();
                eprintln!("added user {name} with scope {scope} to {}", file.path().display());
            }
            UserCommand::Password { name, place, source } => {
                let file = place.file()?;
                file.read()?.unwrap_or_default().remove_user(name).map_err(dropstar_error)?;
                let password = source.password(name)?;
                file.change(|users| users.change_password(name, &password))?;
                eprintln!("changed the password of {name} in {}", file.path().display());
            }
            UserCommand::Remove { name, place } => {
                let file = place.file()?;
                file.change(|users| users.remove_user(name))?;
                eprintln!("removed user {name} from {}", file.path().display());
            }
            UserCommand::List { place, output } => list(place, *output)?,
        }
        Ok(EXIT_DONE)
    }
}

fn dropstar_error(error: dropstar::users::UsersError) -> Failure {
    dropstar::users::UsersFileError::from(error).into()
}

fn list(place: &Place, output: Format) -> Result<(), Failure> {
    let users = place.file()?.read()?.unwrap_or_default();
    let log_in = |has_password: bool| if has_password { "password" } else { "proxy" };
    if output == Format::Json {
        let list: Vec<_> = users
            .users()
            .map(|(name, user)| {
                serde_json::json!({"name": name, "scope": user.scope.word(), "log_in": log_in(user.has_password())})
            })
            .collect();
        print(&format!("{:#}\n", serde_json::Value::from(list)));
        return Ok(());
    }
    let mut table = Table::new(&["USER", "SCOPE", "LOG-IN"]);
    for (name, user) in users.users() {
        table.add([name.to_string(), user.scope.word().into(), log_in(user.has_password()).into()]);
    }
    print(&table.to_text());
    Ok(())
}
