//! `procblock token`: what programs show instead of a password.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use super::place::Place;
use super::{Failure, Format, ScopeWord, end};
use crate::cli::EXIT_DONE;
use crate::cli::control::table::{Table, time};
use crate::cli::run::print;
use crate::units::{DURATION_FORMS, parse_duration};

#[derive(Subcommand, Debug)]
pub(in crate::cli) enum TokenCommand {
    /// Make a token and print it, this once: it is kept nowhere.
    Add {
        /// The token's name, by which it is listed, removed and logged.
        name: String,
        #[command(flatten)]
        place: Place,
        /// How much its bearer may.
        #[arg(long, value_enum)]
        scope: ScopeWord,
        /// How long it is good for, such as 30d; without end unless given.
        #[arg(long, value_name = "DURATION", value_parser = parse_expiry)]
        expires: Option<Duration>,
    },
    /// Remove a token; it is refused from then on.
    Remove {
        /// The token's name.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// List the tokens: their names, not what they are.
    List {
        #[command(flatten)]
        place: Place,
        /// How the list is printed.
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
}

fn parse_expiry(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).filter(|duration| duration.as_secs() >= 1);
    duration.ok_or_else(|| format!("expected {DURATION_FORMS}, of a second or more"))
}

impl TokenCommand {
    pub(in crate::cli) fn run(&self) -> ExitCode {
        end(self.ended())
    }

    fn ended(&self) -> Result<u8, Failure> {
        match self {
            TokenCommand::Add { name, place, scope, expires } => {
                let file = place.file()?;
                let token = file.change(|users| users.add_token(name, (*scope).into(), now(), *expires))?;
                eprintln!(
                    "added token {name} to {}; copy it now, it is shown this once; send it as: Authorization: Bearer TOKEN",
                    file.path().display()
                );
                print(&format!("{token}\n"));
            }
            TokenCommand::Remove { name, place } => {
                let file = place.file()?;
                file.change(|users| users.remove_token(name))?;
                eprintln!("removed token {name} from {}", file.path().display());
            }
            TokenCommand::List { place, output } => list(place, *output)?,
        }
        Ok(EXIT_DONE)
    }
}

fn list(place: &Place, output: Format) -> Result<(), Failure> {
    let users = place.file()?.read()?.unwrap_or_default();
    let now = now();
    if output == Format::Json {
        let list: Vec<_> = users
            .tokens()
            .map(|(name, token)| {
                serde_json::json!({
                    "name": name, "scope": token.scope.word(), "created": token.created, "expires": token.expires,
                    "expired": token.is_expired(now),
                })
            })
            .collect();
        print(&format!("{:#}\n", serde_json::Value::from(list)));
        return Ok(());
    }
    let mut table = Table::new(&["TOKEN", "SCOPE", "CREATED", "EXPIRES"]);
    #[expect(clippy::cast_precision_loss, reason = "seconds of today fit a float exactly")]
    let shown = |seconds: u64| time(Some(seconds as f64));
    for (name, token) in users.tokens() {
        let expires = match token.expires {
            Some(_) if token.is_expired(now) => "expired".into(),
            Some(expires) => shown(expires),
            None => "never".into(),
        };
        table.add([name.to_string(), token.scope.word().into(), shown(token.created), expires]);
    }
    print(&table.to_text());
    Ok(())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
