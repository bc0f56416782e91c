//! `procblock logs`: the newest lines of an instance's log.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::instance::connect;
use super::output::{Format, FormatArgs, print};
use crate::cli::EXIT_DONE;
use crate::control::ClientError;
use crate::logging::{Colors, Line};
use crate::value::{Map, Value};

/// How long the instance may take to send what it has.
const FIRST_MAX: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct LogsArgs {
    /// The instance; may be left out when one runs.
    name: Option<String>,
    /// Go on with new lines, until Ctrl-C or the end of the instance.
    #[arg(short, long)]
    follow: bool,
    /// How many of the newest lines to begin with; an instance keeps at most 10000.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    lines: u32,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(arguments: &LogsArgs) -> Result<u8, Failure> {
    let mut client = connect(arguments.name.as_deref())?;
    let mut options = Map::new();
    options.insert("lines".into(), arguments.lines.into());
    options.insert("follow".into(), arguments.follow.into());
    client.send("logs", vec![Value::Object(options)])?;
    let mut limit = Some(FIRST_MAX);
    loop {
        match client.next(limit) {
            Ok(page) if !show(&page, arguments.format.output) || !arguments.follow => return Ok(EXIT_DONE),
            Ok(_) => limit = None,
            Err(ClientError::Closed) if arguments.follow && limit.is_none() => {
                eprintln!("the instance ended");
                return Ok(EXIT_DONE);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Prints a page; false when nobody reads it any more.
fn show(page: &Value, format: Format) -> bool {
    let missed = page.get("missed").and_then(Value::as_u64).unwrap_or(0);
    if missed > 0 {
        eprintln!("({missed} lines were missed)");
    }
    let colors = Colors::for_terminal(std::io::stdout().is_terminal());
    let lines = page.get("lines").and_then(Value::as_array).into_iter().flatten().filter_map(Line::from_value);
    let text: String = match format {
        Format::Text => lines.map(|line| line.to_text(colors)).collect(),
        Format::Json => lines.map(|line| line.to_json()).collect(),
    };
    print(&text)
}
