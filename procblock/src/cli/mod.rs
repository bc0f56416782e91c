//! The command line: arguments and exit codes.

mod check;
mod check_files;
mod check_scripts;
mod check_sites;
mod control;
mod docs;
mod graph;
mod new;
mod own_words;
mod rpc;
mod run;
mod schema;
mod series;
mod serve;
mod usage_error;
mod users;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Done, and for a longrunning file also after a stop.
pub const EXIT_DONE: u8 = 0;
/// A block failed, or a key or lock wanted is absent.
pub const EXIT_FAILED: u8 = 1;
/// The command line is wrong.
pub const EXIT_USAGE: u8 = 2;
/// A file is wrong or missing.
pub const EXIT_BAD_FILE: u8 = 78;

const EXIT_HELP: &str = "Exit codes:\n  0    done; for a longrunning file also after a stop\n  1    a block failed, a key or lock wanted is \
absent, a port is in use\n  2    wrong usage\n  3    no instance is running\n  78   a file is bad or missing\n  124  a wait with a \
time limit ended\n  130, 143  a short file was stopped by a signal\n\nprocblock's own options stand before FILE; what follows FILE \
belongs to the file (also --help), except -v, -vv, -o, --set and --unidist where the file does not declare them.";

#[derive(Parser)]
#[command(name = "procblock", version, about = "One YAML file is a whole small system.", after_help = EXIT_HELP)]
#[command(
    override_usage = "procblock FILE [options] [args]\n       procblock COMMAND …",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a block file; the word `run` may be left out.
    Run(run::RunArgs),
    /// Serve a folder or a site file over HTTP, until Ctrl-C.
    Serve(serve::ServeArgs),
    /// Check block files, site files and sites without running them.
    Check(check::CheckArgs),
    /// Print the JSON Schema of block, site or package files, for editors.
    Schema(schema::SchemaArgs),
    /// Show the reference: a page, or what it says about a word.
    Docs(docs::DocsArgs),
    /// Write first files that run: a block, a monitor, a backup, a page, an rpc or a site.
    New(new::NewArgs),
    #[command(flatten)]
    Control(control::ControlCommand),
    /// Call a procedure of a web server.
    Rpc(rpc::RpcArgs),
    /// List, read and export round-robin files.
    Series(series::SeriesArgs),
    /// Draw a window of a round-robin file.
    Graph(graph::GraphArgs),
    /// Users of a web server: who may log in.
    #[command(subcommand)]
    User(users::UserCommand),
    /// Tokens of a web server: what programs show to it.
    #[command(subcommand)]
    Token(users::TokenCommand),
}

/// Runs the command line and says how it ended.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut words: Vec<OsString> = arguments.into_iter().collect();
    if words.len() < 2 {
        eprintln!(
            "error: no procblock YAML file was specified\n\nusage: procblock FILE [options] [args]\n       procblock --help"
        );
        return ExitCode::from(EXIT_FAILED);
    }
    if is_run_without_word(&words) {
        words.insert(1, "run".into());
    }
    match Cli::try_parse_from(words) {
        Ok(cli) => match cli.command {
            Command::Run(arguments) => run::run(arguments),
            Command::Serve(arguments) => serve::run(arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Schema(arguments) => schema::run(&arguments),
            Command::Docs(arguments) => docs::run(&arguments),
            Command::New(arguments) => new::run(&arguments),
            Command::Control(command) => command.run(),
            Command::Rpc(arguments) => rpc::run(&arguments),
            Command::Series(arguments) => series::run(&arguments),
            Command::Graph(arguments) => graph::run(&arguments),
            Command::User(command) => command.run(),
            Command::Token(command) => command.run(),
        },
        Err(error) => {
            match usage_error::text(&error) {
                Some(text) => eprintln!("{text}"),
                None => drop(error.print()),
            }
            ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { EXIT_DONE })
        }
    }
}

/// procblock's own command line, as declared.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Whether the first word that is no option is no command: then it is a file.
fn is_run_without_word(words: &[OsString]) -> bool {
    let is_own = |word: &&OsString| matches!(word.to_str(), Some("--help" | "-h" | "--version" | "-V"));
    let Some(first) = words.get(1) else { return false };
    if is_own(&first) {
        return false;
    }
    let commands = command();
    let is_command = first.to_str().is_some_and(|word| word == "help" || commands.find_subcommand(word).is_some());
    !is_command
}
