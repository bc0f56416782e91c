//! `procblock new KIND NAME`: first files that run at once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use dropstar::PORT_DEFAULT;

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
    /// A page of the site in this folder: a script and its template.
    Page,
    /// A remote procedure of the site in this folder.
    Rpc,
    /// A site: a folder with a page, an rpc and what they share.
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

/// A file to write: its path, with NAME for the name, and its text.
type File = (&'static str, &'static str);

const BLOCK: &[File] =
    &[("NAME.yaml", include_str!("templates/block.yaml")), ("NAME.lua", include_str!("templates/block.lua"))];

const MONITOR: &[File] = &[("NAME.yaml", include_str!("templates/monitor.yaml"))];

const BACKUP: &[File] = &[("NAME.yaml", include_str!("templates/backup.yaml"))];

const PAGE: &[File] = &[
    ("pages/NAME.lua", include_str!("templates/page.lua")),
    ("templates/NAME.html", include_str!("templates/page.html")),
];

const RPC: &[File] = &[("rpc/NAME.lua", include_str!("templates/rpc.lua"))];

const SITE: &[File] = &[
    ("NAME/pages/index.lua", include_str!("templates/site_page.lua")),
    ("NAME/templates/index.html", include_str!("templates/site_page.html")),
    ("NAME/templates/_layout.html", include_str!("templates/site_layout.html")),
    ("NAME/rpc/press.lua", include_str!("templates/site_rpc.lua")),
    ("NAME/static/style.css", include_str!("templates/site.css")),
];

impl Kind {
    fn files(self) -> &'static [File] {
        match self {
            Kind::Block => BLOCK,
            Kind::Monitor => MONITOR,
            Kind::Backup => BACKUP,
            Kind::Page => PAGE,
            Kind::Rpc => RPC,
            Kind::Site => SITE,
        }
    }

    /// Whether it is a block file, which names its schema.
    fn is_block(self) -> bool {
        matches!(self, Kind::Block | Kind::Monitor | Kind::Backup)
    }

    /// What is served: the path behind the address of the server.
    fn address(self, name: &str) -> Option<String> {
        match self {
            Kind::Page => Some(format!("/{name}")),
            Kind::Rpc => Some(format!("/rpc/{name}?a=1")),
            _ => None,
        }
    }
}

pub(super) fn run(arguments: &NewArgs) -> ExitCode {
    let refuse = |text: String, code: u8| {
        eprintln!("error: {text}");
        ExitCode::from(code)
    };
    if !is_name(&arguments.name) {
        let text = format!(
            "\"{}\" can't be a name; expected letters, digits, _ and -, at most {NAME_LENGTH_MAX}, beginning with a letter",
            arguments.name
        );
        return refuse(text, EXIT_USAGE);
    }
    match write(arguments) {
        Ok(()) => {
            print(&arguments.next_command());
            ExitCode::from(EXIT_DONE)
        }
        Err(text) => refuse(text, EXIT_FAILED),
    }
}

impl NewArgs {
    /// The command that runs what was written.
    fn next_command(&self) -> String {
        let folder = self.folder.strip_prefix(".").unwrap_or(&self.folder);
        match (self.kind, self.kind.address(&self.name)) {
            (Kind::Site, _) => format!("procblock serve {}\n", folder.join(&self.name).display()),
            (_, Some(address)) => {
                let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                format!("procblock serve {}    then http://127.0.0.1:{PORT_DEFAULT}{address}\n", folder.display())
            }
            _ => format!("procblock {}\n", folder.join(format!("{}.yaml", self.name)).display()),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Writes all files or, when one of them is there already, none.
fn write(arguments: &NewArgs) -> Result<(), String> {
    let folder = &arguments.folder;
    let files = arguments.kind.files();
    let paths: Vec<PathBuf> =
        files.iter().map(|(path, _)| folder.join(path.replace("NAME", &arguments.name))).collect();
    if let Some(there) = paths.iter().find(|path| path.symlink_metadata().is_ok()).filter(|_| !arguments.force) {
        return Err(format!("{} is there already; choose another name, or add --force to replace it", there.display()));
    }
    if arguments.kind.is_block() {
        write_file(&folder.join(SCHEMA_PATH), &schema_text(), true)?;
    }
    for (path, (_, text)) in paths.iter().zip(files) {
        write_file(path, &text.replace("NAME", &arguments.name), arguments.force)?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

fn write_file(path: &Path, text: &str, may_replace: bool) -> Result<(), String> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("{} can't be made: {error}", folder.display()))?;
    }
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
