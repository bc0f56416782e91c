//! `procblock FILE`: one file from start to stop.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use clap::{Args, ValueEnum};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use unidist::Stop;

use crate::block::Processed;
use crate::cli::{EXIT_BAD_FILE, EXIT_DONE, EXIT_FAILED, EXIT_USAGE};
use crate::instance::Instance;
use crate::runner::{RunOptions, Runner, StartError};
use crate::value::{Map, Value};

/// How many worker threads may be lost to scripts stuck inside a C function.
const LOST_THREADS_MAX: usize = 8;

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
    match start(arguments, file) {
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

fn start(arguments: RunArgs, file: PathBuf) -> Result<ExitCode, StartError> {
    let options = RunOptions {
        name: arguments.name,
        cwd: arguments.cwd.map(|cwd| std::path::absolute(&cwd).unwrap_or(cwd)),
        unidist: arguments.unidist,
        set: arguments.set.iter().map(|pair| split_pair(pair)).collect(),
        once: arguments.once,
    };
    let runner = Runner::load(&file, &arguments.words, options)?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from) + LOST_THREADS_MAX;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(runner.compiled.usage.threads_max.unwrap_or(THREADS_MAX))
        .thread_name("procblock")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime could not start: {error}");
            return Ok(ExitCode::from(EXIT_FAILED));
        }
    };
    let code = runtime.block_on(live(&runner, arguments.output));
    runtime.shutdown_background();
    Ok(code)
}

/// From the first pass to the end of the instance.
async fn live(runner: &Runner, output: OutputFormat) -> ExitCode {
    let executable = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("procblock"));
    let instance = match Instance::start(runner.instance_config(&executable)) {
        Ok(instance) => instance,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    let signal = match watch_signals(&instance.stop) {
        Ok(signal) => signal,
        Err(error) => {
            eprintln!("error: signals can't be caught: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    if instance.is_longrunning {
        log::info!("Long Running Process: Starting...  (CWD: {})", runner.folder().display());
    }
    let processed = runner.process(&instance).await;
    report(&processed, output);
    if runner.repeats_in_vain() {
        log::warn!(
            "{} has repeated steps and ended after one pass; longrunning: true in __usage lets it stay",
            runner.file.display()
        );
    }
    if instance.is_longrunning && processed.error.is_none() {
        instance.stop.requested().await;
    }
    if instance.is_longrunning {
        log::info!("Quitting...");
    }
    instance.shutdown().await;
    exit_code(&instance, &processed, signal.load(Ordering::SeqCst))
}

fn exit_code(instance: &Instance, processed: &Processed, signal: i32) -> ExitCode {
    match (signal, instance.is_longrunning, &processed.error) {
        (0, _, Some(_)) => ExitCode::from(EXIT_FAILED),
        (0, _, None) | (_, true, _) => ExitCode::from(EXIT_DONE),
        (signal, false, _) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(EXIT_FAILED)),
    }
}

/// The first INT or TERM asks the instance to stop, the second ends the process at once.
fn watch_signals(stop: &Stop) -> std::io::Result<Arc<AtomicI32>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let received = Arc::new(AtomicI32::new(0));
    let (stop, seen) = (stop.clone(), Arc::clone(&received));
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if seen.swap(signal, Ordering::SeqCst) != 0 {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            let name = if signal == SIGINT { "Keyboard Interrupt" } else { "Terminated" };
            log::info!("ProcessAndLoop: {name}: Releasing lock: __running");
            stop.request();
        }
    })?;
    Ok(received)
}

fn report(processed: &Processed, output: OutputFormat) {
    let mut result = processed.result.clone();
    if let Some(error) = &processed.error {
        eprintln!("error: {error}");
        if let Some(shown) = error.output.as_ref().filter(|text| !text.is_empty()) {
            eprintln!("{shown}");
        }
        if let Value::Object(map) = &mut result {
            map.insert("error".into(), error.to_value());
        }
    }
    match output {
        OutputFormat::None => {}
        OutputFormat::Json => print(&format!("{result:#}\n")),
        OutputFormat::Yaml => print(&crate::yaml::to_yaml(&result)),
        OutputFormat::Text => print(&to_text(&result)),
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
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn split_pair(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
    (name.to_string(), value.to_string())
}
