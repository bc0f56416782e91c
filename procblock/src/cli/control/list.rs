//! `procblock list`: the running instances.

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::output::{Format, FormatArgs, print};
use super::table::{Table, time};
use crate::cli::EXIT_DONE;
use crate::control::{Found, Places, find_all};
use crate::value::Value;

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(arguments: &ListArgs) -> Result<u8, Failure> {
    let found = find_all(&Places::of_process());
    match arguments.format.output {
        Format::Json => arguments.format.print(&found.iter().map(to_value).collect()),
        Format::Text if found.is_empty() => eprintln!("no instance is running"),
        Format::Text => {
            print(&table(&found));
        }
    }
    Ok(EXIT_DONE)
}

/// The instances as text for people.
pub(super) fn table(found: &[Found]) -> String {
    let mut table = Table::new(&["NAME", "PROCESS", "SINCE", "FILE"]);
    for one in found {
        match &one.client {
            Ok(client) => {
                let hello = client.hello();
                let file = hello.file.as_ref().map(|file| file.display().to_string());
                let since = time(Some(hello.since));
                table.add([hello.name.clone(), hello.process.to_string(), since, file.unwrap_or_default()]);
            }
            Err(error) => table.add([one.name(), "-".into(), "-".into(), error.to_string()]),
        }
    }
    table.to_text()
}

fn to_value(found: &Found) -> Value {
    match &found.client {
        Ok(client) => {
            let hello = client.hello();
            json!({"name": hello.name, "pid": hello.process, "file": hello.file, "since": hello.since, "version": hello.version})
        }
        Err(error) => json!({"name": found.name(), "socket": found.socket, "error": error.to_string()}),
    }
}
