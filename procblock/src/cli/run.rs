//! `procblock FILE`: one file from start to stop.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use log::LevelFilter;

use crate::block::{Compiled, Processed};
use crate::cli::own_words::{OwnWords, take_own};
use crate::cli::{EXIT_BAD_FILE, EXIT_DONE, EXIT_FAILED, EXIT_USAGE};
use crate::cores::cores;
use crate::life::{End, Life};
use crate::load::nearest;
use crate::logging::{self, LoggingOptions};
use crate::runner::{RunOptions, Runner, StartError, load};
use crate::script::LOST_MAX;
use crate::spare_workers::SpareWorkers;
use crate::value::{Map, Value};

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
    if let Some(text) = no_file(&file) {
        eprintln!("error: {text}");
        return ExitCode::from(EXIT_USAGE);
    }
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

/// What to say of a first word that names no file and was probably meant as something else.
fn no_file(file: &Path) -> Option<String> {
    let word = file.to_str().filter(|_| file.symlink_metadata().is_err())?;
    if word.starts_with('-') {
        let own = crate::cli::command();
        let run = own.find_subcommand("run");
        let longs = run.into_iter().flat_map(clap::Command::get_arguments).filter_map(clap::Arg::get_long);
        let names: Vec<String> = longs.map(|long| format!("--{long}")).collect();
        let remedy = nearest(word, names.iter().map(String::as_str)).map_or_else(
            || "procblock --help shows them; options of a file stand behind it".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        return Some(format!("procblock has no option {word}; {remedy}"));
    }
    if word.contains(['/', '.']) {
        return None;
    }
    let yaml = format!("{word}.yaml");
    if Path::new(&yaml).exists() {
        return Some(format!("there is no file or command {word}; did you mean {yaml}?"));
    }
    let commands = crate::cli::command();
    let near = nearest(word, commands.get_subcommands().map(clap::Command::get_name))?;
    Some(format!("there is no command {word}, and no file of that name; did you mean procblock {near}?"))
}

fn start(mut arguments: RunArgs, file: &Path) -> Result<ExitCode, StartError> {
    let compiled = load(file)?;
    let (own, words) = take_own(&compiled.usage, std::mem::take(&mut arguments.words));
    if let Err(text) = arguments.overlay(own) {
        eprintln!("error: {text}");
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let stays = !arguments.once && (compiled.usage.longrunning || compiled.stays);
    if let Err(code) = start_logging(arguments.verbose, arguments.log_file.take(), stays) {
        return Ok(code);
    }
    let options = RunOptions {
        name: arguments.name,
        cwd: arguments.cwd.map(|cwd| std::path::absolute(&cwd).unwrap_or(cwd)),
        unidist: arguments.unidist,
        set: arguments.set.iter().map(|pair| split_pair(pair)).collect(),
        once: arguments.once,
    };
    tell_of(&compiled);
    let again = file.to_path_buf();
    let life =
        Life { runner: Runner::new(file, compiled, &words, options)?, words, load: Box::new(move || load(&again)) };
    Ok(execute(life, move |processed| report(processed, arguments.output)))
}

/// Starts the log; what a long run logs is kept for `procblock logs`. The error is the exit code, told already.
pub(super) fn start_logging(verbose: u8, file: Option<PathBuf>, stays: bool) -> Result<(), ExitCode> {
    let kept = if stays { LevelFilter::Info } else { LevelFilter::Off };
    let logging = LoggingOptions { kept, file, ..LoggingOptions::with_verbosity(verbose) };
    logging::start(&logging).map_err(|error| {
        eprintln!("error: {error}");
        ExitCode::from(EXIT_FAILED)
    })
}

/// Logs what there is to say about a file that is accepted.
pub(super) fn tell_of(compiled: &Compiled) {
    for warning in &compiled.warnings {
        log::warn!("{warning}");
    }
    for path in &compiled.files {
        log::info!("Importing YAML: {}", path.display());
    }
}

/// The stack of a worker, in bytes: room for blocks that call each other as deep as they may. Only what is used of it
/// takes memory.
const STACK: usize = 16 * 1024 * 1024;

/// Lives a life on a runtime of its own, from start to stop.
pub(super) fn execute(life: Life, report: impl FnOnce(&Processed) + Send + 'static) -> ExitCode {
    let threads = cores() + LOST_MAX;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(life.runner.compiled.usage.threads_max.unwrap_or(THREADS_MAX))
        .thread_name("procblock")
        .thread_stack_size(STACK)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let spare = SpareWorkers::of(&runtime, LOST_MAX);
            // On a worker: what it waits for wakes the thread that then runs it, not one more.
            let life = runtime.spawn(life.live(spare, report));
            let ended = runtime.block_on(life).unwrap_or_else(|error| Err(format!("the run ended early: {error}")));
            // The process ends next: waking each idle worker for that would only take time.
            std::mem::forget(runtime);
            ended
        }
        Err(error) => Err(format!("the runtime could not start: {error}")),
    };
    logging::finish(LOG_WAIT);
    match ended {
        Ok(end) => ExitCode::from(exit_code(&end)),
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::from(EXIT_FAILED)
        }
    }
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
