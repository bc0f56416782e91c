//! `procblock new KIND NAME`: first files that run at once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::run::print;
use crate::cli::schema::schema_text;
use crate::cli::{EXIT_DONE, EXIT_FAILED, EXIT_USAGE};

/// Where the schema is written, beside the new file.
const SCHEMA_PATH: &str = ".procblock/block.schema.json";

/// The longest name: it becomes part of file names.
const NAME_LENGTH_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A block with a Lua script.
    Block,
    /// A longrunning file that keeps and draws this machine's numbers.
    Monitor,
    /// An archive of a folder, with lock, retry and cleaning up.
    Backup,
    /// A page of a site.
    #[value(hide = true)]
    Page,
    /// A remote procedure of a site.
    #[value(hide = true)]
    Rpc,
    /// A site.
    #[value(hide = true)]
    Site,
}

#[derive(Args)]
pub(super) struct NewArgs {
    /// What the file is to be.
    #[arg(value_enum, value_name = "KIND")]
    kind: Kind,
    /// Its name: of the files and of what runs.
    name: String,
    /// The folder that the files are written to.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Replace files that are there.
    #[arg(long)]
    force: bool,
}

impl Kind {
    /// The files of this kind: what follows NAME in their names, and their text; none for a kind that is not there yet.
    fn files(self) -> Option<&'static [(&'static str, &'static str)]> {
        match self {
            Kind::Block => {
                Some(&[(".yaml", include_str!("templates/block.yaml")), (".lua", include_str!("templates/block.lua"))])
            }
            Kind::Monitor => Some(&[(".yaml", include_str!("templates/monitor.yaml"))]),
            Kind::Backup => Some(&[(".yaml", include_str!("templates/backup.yaml"))]),
            Kind::Page | Kind::Rpc | Kind::Site => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Block => "block",
            Kind::Monitor => "monitor",
            Kind::Backup => "backup",
            Kind::Page => "page",
            Kind::Rpc => "rpc",
            Kind::Site => "site",
        }
    }
}

pub(super) fn run(arguments: &NewArgs) -> ExitCode {
    let refuse = |text: String, code: u8| {
        eprintln!("error: {text}");
        ExitCode::from(code)
    };
    let Some(files) = arguments.kind.files() else {
        let word = arguments.kind.word();
        let text = format!("new {word} is not available in this version; there are: block, monitor, backup");
        return refuse(text, EXIT_USAGE);
    };
    if !is_name(&arguments.name) {
        let text = format!(
            "\"{}\" can't be a name; expected letters, digits, _ and -, at most {NAME_LENGTH_MAX}, beginning with a letter",
            arguments.name
        );
        return refuse(text, EXIT_USAGE);
    }
    match write(arguments, files) {
        Ok(()) => {
            let path = arguments.folder.join(format!("{}.yaml", arguments.name));
            print(&format!("procblock {}\n", path.strip_prefix(".").unwrap_or(&path).display()));
            ExitCode::from(EXIT_DONE)
        }
        Err(text) => refuse(text, EXIT_FAILED),
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Writes all files or, when one of them is there already, none.
fn write(arguments: &NewArgs, files: &[(&str, &str)]) -> Result<(), String> {
    let folder = &arguments.folder;
    let paths: Vec<PathBuf> = files.iter().map(|(end, _)| folder.join(format!("{}{end}", arguments.name))).collect();
    if let Some(there) = paths.iter().find(|path| path.symlink_metadata().is_ok()).filter(|_| !arguments.force) {
        return Err(format!("{} is there already; choose another name, or add --force to replace it", there.display()));
    }
    let schema = folder.join(SCHEMA_PATH);
    let parent = schema.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent).map_err(|error| format!("{} can't be made: {error}", parent.display()))?;
    write_file(&schema, &schema_text(), true)?;
    for (path, (_, text)) in paths.iter().zip(files) {
        write_file(path, &text.replace("NAME", &arguments.name), arguments.force)?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

fn write_file(path: &Path, text: &str, may_replace: bool) -> Result<(), String> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if may_replace {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{} can't be written: {error}", path.display()))
}
