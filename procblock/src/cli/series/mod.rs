//! `procblock series …`: round-robin files listed, read and exported.

mod export;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use unidist::timeseries::{Consolidation, Definition, Table, Window};

use crate::cli::{EXIT_BAD_FILE, EXIT_DONE, EXIT_FAILED, EXIT_USAGE};
use crate::logging::for_terminal;
use crate::series::{
    FailureKind, MOMENT_FORMS, SeriesClient, SeriesFailure, definition_to_text, find_files, list_to_text, parse_moment,
    table_to_text,
};
use crate::units::{DURATION_FORMS, parse_duration};
use crate::value::Value;

/// How long the end of a command waits for procblock-series.
const END_MAX: Duration = Duration::from_secs(5);

/// Arguments of `series`.
#[derive(Args, Debug)]
pub(super) struct SeriesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// List the round-robin files in folders and below: interval, newest sample, fields.
    List(ListArgs),
    /// Show the newest sample of a file, as it was given.
    Last(LastArgs),
    /// Show the rows of a window.
    Fetch(FetchArgs),
    /// Print everything that a file keeps.
    Export(ExportArgs),
    /// Show the structure of a file.
    Info(InfoArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Folders or files; the current folder unless given.
    folders: Vec<PathBuf>,
    /// How the list is printed.
    #[arg(short, long, value_enum, default_value_t = Plain::Text)]
    output: Plain,
}

#[derive(Args, Debug)]
struct LastArgs {
    #[command(flatten)]
    source: Source,
    /// How the sample is printed.
    #[arg(short, long, value_enum, default_value_t = Rows::Text)]
    output: Rows,
}

#[derive(Args, Debug)]
struct InfoArgs {
    #[command(flatten)]
    source: Source,
    /// How the structure is printed.
    #[arg(short, long, value_enum, default_value_t = Plain::Text)]
    output: Plain,
}

#[derive(Args, Debug)]
struct FetchArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    ends: Ends,
    /// Seconds, or a duration, that a row should sum up at least; the finest rows unless given.
    #[arg(long, value_name = "SECONDS", value_parser = parse_resolution)]
    resolution: Option<u64>,
    /// How samples become a row: AVERAGE, MIN, MAX or LAST.
    #[arg(long, value_name = "HOW", default_value = "AVERAGE", value_parser = parse_consolidation)]
    consolidation: Consolidation,
    /// How the rows are printed.
    #[arg(short, long, value_enum, default_value_t = Rows::Json)]
    output: Rows,
}

#[derive(Args, Debug)]
struct ExportArgs {
    #[command(flatten)]
    source: Source,
    /// How the rows are printed.
    #[arg(short, long, value_enum, default_value_t = export::Format::Json)]
    output: export::Format,
}

/// Which file.
#[derive(Args, Debug)]
pub(super) struct Source {
    /// The round-robin file.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// A running rrdcached that holds newer samples of the file: unix:/PATH or HOST:PORT.
    #[arg(long, value_name = "ADDRESS", env = "RRDCACHED_ADDRESS")]
    rrdcached: Option<String>,
}

impl Source {
    /// The file, once what an rrdcached holds of it is seen by reads.
    pub(super) fn through(&self, client: &SeriesClient) -> Result<&Path, Failed> {
        client.read_through(self.rrdcached.as_deref().filter(|text| !text.is_empty()).map(address))?;
        Ok(&self.file)
    }
}

/// An address as rrdtool takes it too: a path is a socket's, a host has rrdcached's own port.
fn address(text: &str) -> String {
    match text {
        path if path.starts_with('/') => format!("unix:{path}"),
        host if !host.contains(':') => format!("{host}:42217"),
        whole => whole.to_owned(),
    }
}

/// From when to when.
#[derive(Args, Debug)]
pub(super) struct Ends {
    /// Where it begins: now, -1h, -2d, seconds since 1970, or a date and time, local unless it ends in Z.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) from: Option<String>,
    /// Where it ends.
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    pub(super) to: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Plain {
    /// For people.
    Text,
    /// JSON.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rows {
    /// `{"step", "fields", "rows": [[time, value, …], …]}`; times in seconds since 1970, unknown is null.
    Json,
    /// `time,FIELD,…`; times in seconds since 1970, unknown is empty.
    Csv,
    /// For people.
    Text,
}

/// Why a command ended early.
#[derive(Debug)]
pub(super) enum Failed {
    /// What was asked for, or the file, is wrong.
    Series(SeriesFailure),
    /// The command line is.
    Usage(String),
    /// Something else, told in one line.
    Other(String),
    /// Nobody reads the output any more.
    Closed,
}

impl From<SeriesFailure> for Failed {
    fn from(failure: SeriesFailure) -> Self {
        Failed::Series(failure)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failed::Closed,
            _ => Failed::Other(format!("cannot write the output: {error}")),
        }
    }
}

pub(super) fn run(arguments: &SeriesArgs) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    ask(async |client| {
        match &arguments.what {
            What::List(list) => return print_list(client, list, &mut out).await,
            What::Last(last) => {
                let table = client.last(last.source.through(client)?).await?;
                print_table(&table, last.output, &mut out)?;
            }
            What::Fetch(fetch) => {
                let window = Window { resolution: fetch.resolution, ..fetch.ends.window("-1h")? };
                let table = client.fetch(fetch.source.through(client)?, fetch.consolidation, window).await?;
                print_table(&table, fetch.output, &mut out)?;
            }
            What::Export(all) => export::export(client, all.source.through(client)?, all.output, &mut out).await?,
            What::Info(info) => {
                let definition = client.info(info.source.through(client)?).await?;
                let text = match info.output {
                    Plain::Text => definition_to_text(&info.source.file, &definition),
                    Plain::Json => format!("{:#}\n", to_json(&definition)?),
                };
                out.write_all(text.as_bytes())?;
            }
        }
        out.flush()?;
        Ok(EXIT_DONE)
    })
}

/// Runs a command with a client of procblock-series, tells its failure in one line, and ends the helper.
pub(super) fn ask(command: impl AsyncFnOnce(&SeriesClient) -> Result<u8, Failed>) -> ExitCode {
    let client = SeriesClient::beside_current();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let (client, runtime) = match (client, runtime) {
        (Ok(client), Ok(runtime)) => (client, runtime),
        (Err(error), _) | (_, Err(error)) => return told(Failed::Other(format!("cannot start: {error}"))),
    };
    let ended = runtime.block_on(async {
        let ended = command(&client).await;
        client.shutdown(END_MAX).await;
        ended
    });
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failed) => told(failed),
    }
}

fn told(failed: Failed) -> ExitCode {
    let (code, text) = match failed {
        Failed::Closed => return ExitCode::from(EXIT_DONE),
        Failed::Usage(text) => (EXIT_USAGE, text),
        Failed::Other(text) => (EXIT_FAILED, text),
        Failed::Series(failure) => (exit_code(failure.kind), failure.text),
    };
    eprintln!("error: {}", for_terminal(&text));
    ExitCode::from(code)
}

fn exit_code(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Missing | FailureKind::Helper => EXIT_FAILED,
        FailureKind::Invalid => EXIT_USAGE,
        FailureKind::Damaged | FailureKind::Refused => EXIT_BAD_FILE,
    }
}

impl Ends {
    /// Both ends in seconds since 1970.
    pub(super) fn window(&self, from: &str) -> Result<Window, Failed> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let read = |option: &str, text: &str| {
            parse_moment(text, now).map_err(|text| Failed::Usage(format!("{option}: {text}")))
        };
        let window = Window::new(read("--from", self.from.as_deref().unwrap_or(from))?, read("--to", &self.to)?);
        if window.to <= window.from {
            let text = format!("the window ends before it begins; put --from before --to: {MOMENT_FORMS}");
            return Err(Failed::Usage(text));
        }
        Ok(window)
    }
}

async fn print_list(client: &SeriesClient, list: &ListArgs, out: &mut impl Write) -> Result<u8, Failed> {
    let mut code = EXIT_DONE;
    let mut tell = |kind: FailureKind, text: &str| {
        eprintln!("error: {}", for_terminal(text));
        code = code.max(exit_code(kind));
    };
    let here = [PathBuf::from(".")];
    let folders = if list.folders.is_empty() { &here[..] } else { &list.folders };
    let mut known = Vec::new();
    for path in find_files(folders, |failure| tell(failure.kind, &failure.text)) {
        match client.info(&path).await {
            Ok(definition) => known.push((path, definition)),
            Err(failure) if failure.kind == FailureKind::Helper => return Err(failure.into()),
            Err(failure) => tell(failure.kind, &failure.text),
        }
    }
    let text = match list.output {
        Plain::Text => list_to_text(&known.iter().map(|(path, file)| (path.as_path(), file)).collect::<Vec<_>>()),
        Plain::Json => {
            let mut files = Vec::new();
            for (path, definition) in &known {
                let mut file = crate::value::Map::new();
                file.insert("path".into(), path.display().to_string().into());
                if let Value::Object(structure) = to_json(definition)? {
                    file.extend(structure);
                }
                files.push(Value::Object(file));
            }
            format!("{:#}\n", Value::Array(files))
        }
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(code)
}

fn to_json(definition: &Definition) -> Result<Value, Failed> {
    serde_json::to_value(definition).map_err(|error| Failed::Other(error.to_string()))
}

fn print_table(table: &Table, output: Rows, out: &mut impl Write) -> io::Result<()> {
    match output {
        Rows::Json => writeln!(out, "{}", table.to_json()),
        Rows::Csv => out.write_all(table.to_csv().as_bytes()),
        Rows::Text => out.write_all(table_to_text(table).as_bytes()),
    }
}

fn parse_resolution(text: &str) -> Result<u64, String> {
    let seconds = parse_duration(text).map(|duration| duration.as_secs()).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| format!("expected {DURATION_FORMS}, at least 1 s"))
}

fn parse_consolidation(text: &str) -> Result<Consolidation, String> {
    Consolidation::from_name(text).ok_or_else(|| "expected AVERAGE, MIN, MAX or LAST".into())
}
