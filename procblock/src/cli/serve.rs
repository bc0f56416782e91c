//! `procblock serve FOLDER|SITE`: the short form of a block file that serves one thing.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::block::{Compiled, Processed, compile};
use crate::cli::run::{execute, print, start_logging, tell_of};
use crate::cli::{EXIT_BAD_FILE, EXIT_USAGE};
use crate::life::Life;
use crate::load::{LoadError, Source, likely_name, load_text};
use crate::logging;
use crate::runner::{RunOptions, Runner};
use crate::value::Value;

/// Arguments of `serve`.
#[derive(Args, Debug)]
pub(super) struct ServeArgs {
    /// A folder with pages, templates, rpc and static, or a site file.
    #[arg(value_name = "FOLDER|SITE")]
    what: PathBuf,
    /// The port, 8686 unless the site says otherwise; 0 takes a free one.
    #[arg(long)]
    port: Option<u16>,
    /// The address to listen at, 127.0.0.1 unless the site says otherwise.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,
    /// Show what failed on the page itself, to whoever comes from this machine.
    #[arg(long)]
    dev: bool,
    /// Show what happens; twice for more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// The instance's name; else the folder's or file's.
    #[arg(long)]
    name: Option<String>,
    /// The engine of the shared things, such as memory: or file:FOLDER.
    #[arg(long, value_name = "URL", env = "UNIDIST_URL")]
    unidist: Option<String>,
    /// The log also goes to this file: JSON lines, 10 MiB x 5, opened anew on USR1.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
}

pub(super) fn run(arguments: ServeArgs) -> ExitCode {
    let path = std::path::absolute(&arguments.what).unwrap_or_else(|_| arguments.what.clone());
    if !path.exists() {
        let shown = arguments.what.display();
        let remedy = likely_name(&path).map_or_else(
            || "name a folder with pages/, or a site file; procblock new site NAME writes one".into(),
            |likely| format!("did you mean \"{likely}\"?"),
        );
        eprintln!("error: there is no folder or site file \"{shown}\"; {remedy}");
        return ExitCode::from(EXIT_BAD_FILE);
    }
    let source = arguments.block(&path);
    let load = move || load_text(Arc::clone(&source)).and_then(compile);
    let compiled = match load() {
        Ok(compiled) => compiled,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(EXIT_BAD_FILE);
        }
    };
    if let Err(code) = start_logging(arguments.verbose, arguments.log_file.clone(), true) {
        return code;
    }
    tell_of(&compiled);
    serve(arguments, compiled, Box::new(load))
}

fn serve(
    arguments: ServeArgs,
    compiled: Compiled,
    load: Box<dyn Fn() -> Result<Compiled, LoadError> + Send + Sync>,
) -> ExitCode {
    let options = RunOptions { name: arguments.name, unidist: arguments.unidist, ..RunOptions::default() };
    match Runner::new(&arguments.what, compiled, &[], options) {
        Ok(runner) => execute(Life { runner, words: Vec::new(), load }, report),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

impl ServeArgs {
    /// The block file that says the same.
    fn block(&self, path: &Path) -> Arc<Source> {
        let is_folder = path.is_dir();
        let folder = if is_folder { path } else { path.parent().unwrap_or(path) };
        let mut serve = match path.file_name().filter(|_| !is_folder) {
            Some(name) => json!({"site": name.to_string_lossy()}),
            None => json!({"folder": path.to_string_lossy()}),
        };
        if let Value::Object(serve) = &mut serve {
            serve.extend(self.port.map(|port| ("port".into(), port.into())));
            serve.extend(self.listen.map(|ip| ("listen".into(), ip.to_string().into())));
            serve.extend(self.dev.then(|| ("dev".into(), true.into())));
        }
        // JSON is YAML, whatever stands in the path.
        Source::new(self.what.clone(), folder, format!("serve: {serve}\n"))
    }
}

/// Each URL on a line.
fn report(processed: &Processed) {
    if let Some(error) = &processed.error {
        eprintln!("error: {}", logging::hidden(&error.message));
    }
    let urls = processed.result.get("serve").and_then(Value::as_array);
    for url in urls.into_iter().flatten().filter_map(Value::as_str) {
        print(&format!("{url}\n"));
    }
}
