//! `procblock store` and `procblock fsck`: stores in folders, their copies, and whether they are whole.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use unidist::Unidist;
use unidist::file::Report;

use super::failure::Failure;
use super::output::{Format, FormatArgs, print};
use crate::cli::{EXIT_DONE, EXIT_FAILED, EXIT_USAGE};
use crate::logging::for_terminal;

#[derive(Subcommand)]
pub(crate) enum StoreCommand {
    /// Copy a store, also while it is in use, into a new folder: a store of one moment.
    Backup(BackupArgs),
    /// Copy a backup, which must be whole, to a new folder.
    Restore(RestoreArgs),
    /// Copy what is whole of a damaged store to a new folder, and name what is not.
    Salvage(RestoreArgs),
}

#[derive(Args)]
pub(crate) struct BackupArgs {
    /// The store, file:FOLDER.
    #[arg(value_name = "URL")]
    store: String,
    /// The folder of the copy, which must be empty or not exist.
    folder: PathBuf,
}

#[derive(Args)]
pub(crate) struct RestoreArgs {
    /// The copy, file:FOLDER.
    #[arg(value_name = "URL")]
    from: String,
    /// The folder of the new store, which must be empty or not exist.
    folder: PathBuf,
}

#[derive(Args)]
pub(crate) struct FsckArgs {
    /// The store, file:FOLDER; no process may have it open.
    #[arg(value_name = "URL", env = "UNIDIST_URL", hide_env_values = true)]
    store: String,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(command: StoreCommand) -> Result<u8, Failure> {
    match command {
        StoreCommand::Backup(arguments) => {
            let folder = folder_of(&arguments.store)?;
            if !folder.join("format").exists() {
                return Err(Failure::failed(format!("there is no store in {}", folder.display())));
            }
            let url = format!("file:{}", folder.display());
            let opened = match Unidist::open(&url) {
                // One that another process has open may be kept in the weaker way.
                Err(unidist::Error::Store { reason, .. }) if reason.contains("sync=interval") => {
                    Unidist::open(&format!("{url}?sync=interval"))
                }
                opened => opened,
            };
            opened?.backup(&arguments.folder)?;
            Ok(EXIT_DONE)
        }
        StoreCommand::Restore(arguments) => {
            unidist::file::restore(&folder_of(&arguments.from)?, &arguments.folder)?;
            Ok(EXIT_DONE)
        }
        StoreCommand::Salvage(arguments) => {
            let report = unidist::file::salvage(&folder_of(&arguments.from)?, &arguments.folder)?;
            Ok(show(&report, Format::Text))
        }
    }
}

/// Checks a store that no process has open.
pub(super) fn fsck(arguments: &FsckArgs) -> Result<u8, Failure> {
    let folder = folder_of(&arguments.store)?;
    match unidist::file::check(&folder) {
        Ok(report) => Ok(show(&report, arguments.format.output)),
        Err(error) if error.code() == "owned" => {
            let remedy =
                format!("procblock store backup file:{} COPY makes a copy that can be checked", folder.display());
            Err(Failure::failed(format!("{error}; {remedy}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn folder_of(url: &str) -> Result<PathBuf, Failure> {
    let path = url.strip_prefix("file:").map(|path| path.split('?').next().unwrap_or(path));
    let path = path.map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        Some(path) if !path.is_empty() => Ok(Path::new(path).to_path_buf()),
        _ => Err(Failure::new(EXIT_USAGE, format!("{url:?} is no store in a folder: write file:FOLDER"))),
    }
}

/// Prints what was found; damage is exit code 1.
fn show(report: &Report, format: Format) -> u8 {
    match format {
        Format::Json => {
            let damages: Vec<_> = report
                .damages
                .iter()
                .map(|damage| json!({"table": damage.table, "key": damage.key, "reason": damage.reason}))
                .collect();
            let value = json!({
                "folder": report.folder,
                "rows": report.rows,
                "is_whole": report.is_whole(),
                "damages": damages,
                "more_damages": report.more_damages,
            });
            print(&format!("{value:#}\n"));
        }
        Format::Text => {
            let mut text: String =
                report.damages.iter().map(|damage| format!("{}\n", for_terminal(&damage.to_string()))).collect();
            if report.more_damages > 0 {
                text.push_str(&format!("and {} more\n", report.more_damages));
            }
            let rows = report.rows;
            let folder = report.folder.display().to_string();
            let end = if report.is_whole() { "it is whole".to_owned() } else { "the rest is whole".to_owned() };
            text.push_str(&format!("{}: {rows} rows read, {end}\n", for_terminal(&folder)));
            print(&text);
        }
    }
    if report.is_whole() { EXIT_DONE } else { EXIT_FAILED }
}
