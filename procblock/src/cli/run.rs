//! `procblock FILE`: one file from start to stop.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use log::LevelFilter;

use crate::block::Processed;
use crate::cli::own_words::{OwnWords, take_own};
use crate::cli::{EXIT_BAD_FILE, EXIT_DONE, EXIT_FAILED, EXIT_USAGE};
use crate::life::{End, Life};
use crate::logging::{self, LoggingOptions};
use crate::runner::{RunOptions, Runner, StartError, load};
use crate::value::{Map, Value};

/// How many worker threads may be lost to scripts stuck inside a C function.
const LOST_THREADS_MAX: usize = 8;

/// How long the end of the process waits for standard error to take the last log lines.
const LOG_WAIT: Duration = Duration::from_secs(1);

/// The most threads that waiting scripts may hold unless the file says otherwise.
const THREADS_MAX: usize = 64;

/// How a result is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// JSON.
    #[default]
    Json,
    /// YAML.
    Yaml,
    /// A line for each key.
    Text,
    /// Nothing.
    None,
}

/// Arguments of a run.
#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// Show what happens; twice for more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How the result is printed.
    #[arg(short, long, value_enum, default_value_t)]
    output: OutputFormat,
    /// The instance's name.
    #[arg(long)]
    name: Option<String>,
    /// The folder that relative outputs and children start from.
    #[arg(long)]
    cwd: Option<PathBuf>,
    /// Set an input value; NAME may be dotted, VALUE is JSON if it parses, else text.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// The engine of the shared things, such as memory: or file:FOLDER.
    #[arg(long, value_name = "URL", env = "UNIDIST_URL")]
    unidist: Option<String>,
    /// The log also goes to this file: JSON lines, 10 MiB x 5, opened anew on USR1.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// End after one pass, whatever the file says.
    #[arg(long)]
    once: bool,
    /// The block file, then its own options and arguments.
    #[arg(required = true, value_name = "FILE", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Runs the file and says how it ended.
pub(super) fn run(mut arguments: RunArgs) -> ExitCode {
    let file = PathBuf::from(arguments.words.remove(0));
    match start(arguments, &file) {
        Ok(code) => code,
        Err(StartError::Help(text)) => {
            print(&text);
            ExitCode::from(EXIT_DONE)
        }
        Err(StartError::Usage(error)) => {
            eprintln!("{error}");
            ExitCode::from(EXIT_USAGE)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(EXIT_BAD_FILE)
        }
    }
}

fn start(mut arguments: RunArgs, file: &Path) -> Result<ExitCode, StartError> {
    let compiled = load(file)?;
    let (own, words) = take_own(&compiled.usage, std::mem::take(&mut arguments.words));
    if let Err(text) = arguments.overlay(own) {
        eprintln!("error: {text}");
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let stays = !arguments.once && (compiled.usage.longrunning || compiled.stays);
    let kept = if stays { LevelFilter::Info } else { LevelFilter::Off };
    let logging =
        LoggingOptions { kept, file: arguments.log_file.take(), ..LoggingOptions::with_verbosity(arguments.verbose) };
    if let Err(error) = logging::start(&logging) {
        eprintln!("error: {error}");
        return Ok(ExitCode::from(EXIT_FAILED));
    }
    let options = RunOptions {
        name: arguments.name,
        cwd: arguments.cwd.map(|cwd| std::path::absolute(&cwd).unwrap_or(cwd)),
        unidist: arguments.unidist,
        set: arguments.set.iter().map(|pair| split_pair(pair)).collect(),
        once: arguments.once,
    };
    for warning in &compiled.warnings {
        log::warn!("{warning}");
    }
    for path in &compiled.files {
        log::info!("Importing YAML: {}", path.display());
    }
    let life = Life { runner: Runner::new(file, compiled, &words, options)?, words };
    let threads = std::thread::available_parallelism().map_or(2, usize::from) + LOST_THREADS_MAX;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(life.runner.compiled.usage.threads_max.unwrap_or(THREADS_MAX))
        .thread_name("procblock")
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            // On a worker: what it waits for wakes the thread that then runs it, not one more.
            let life = runtime.spawn(life.live(move |processed| report(processed, arguments.output)));
            let ended = runtime.block_on(life).unwrap_or_else(|error| Err(format!("the run ended early: {error}")));
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(format!("the runtime could not start: {error}")),
    };
    logging::finish(LOG_WAIT);
    Ok(match ended {
        Ok(end) => ExitCode::from(exit_code(&end)),
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::from(EXIT_FAILED)
        }
    })
}

fn exit_code(end: &End) -> u8 {
    match (end.signal, end.is_longrunning, end.has_failed) {
        (0, _, true) => EXIT_FAILED,
        (0, _, false) | (_, true, _) => EXIT_DONE,
        (signal, false, _) => u8::try_from(128 + signal).unwrap_or(EXIT_FAILED),
    }
}

impl RunArgs {
    /// Adds the options that stood behind FILE.
    fn overlay(&mut self, own: OwnWords) -> Result<(), String> {
        self.verbose += own.verbose;
        self.set.extend(own.set);
        self.unidist = own.unidist.or(self.unidist.take());
        if let Some(word) = own.output {
            self.output = OutputFormat::from_str(&word, true)
                .map_err(|_| format!("-o is \"{word}\"; expected json, yaml, text or none"))?;
        }
        Ok(())
    }
}

fn report(processed: &Processed, output: OutputFormat) {
    let mut result = processed.result.clone();
    if let Some(error) = &processed.error {
        eprintln!("error: {}", logging::hidden(&error.to_string()));
        if let Some(shown) = error.output.as_ref().filter(|text| !text.is_empty()) {
            eprintln!("{}", logging::hidden(shown));
        }
        if let Value::Object(map) = &mut result {
            map.insert("error".into(), error.to_value());
        }
    }
    // Before it is written: a secret such as 5 or "true" must not tear holes into JSON.
    let result = logging::hidden_value(&result);
    match output {
        OutputFormat::None => {}
        OutputFormat::Json => print(&format!("{result:#}\n")),
        OutputFormat::Yaml => print(&crate::yaml::to_yaml(&result)),
        OutputFormat::Text => print(&logging::hidden(&to_text(&result))),
    }
}

fn to_text(result: &Value) -> String {
    let Value::Object(map) = result else { return format!("{}\n", crate::value::to_text(result)) };
    let mut lines = String::new();
    flatten(map, "", &mut lines);
    lines
}

fn flatten(map: &Map, prefix: &str, lines: &mut String) {
    for (key, value) in map {
        match value {
            Value::Object(inner) => flatten(inner, &format!("{prefix}{key}."), lines),
            other => lines.push_str(&format!("{prefix}{key}: {}\n", crate::value::to_text(other))),
        }
    }
}

/// Writes to standard output; a closed pipe is no reason to fail.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn split_pair(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
    (name.to_string(), value.to_string())
}
