//! From a file to its result: what `procblock FILE` does, as a library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::block::{Compiled, Input, Processed, Run, compile};
use crate::instance::{Instance, InstanceConfig, node_name};
use crate::load::{LoadError, load_file};
use crate::spare_workers::SpareWorkers;
use crate::usage::{self, Given, UsageError};
use crate::value::{DEPTH_MAX, Map, Value, check_depth};

/// What a caller may say about a run, besides the file.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The instance's name. Default: `__usage.name`, else the file's stem.
    pub name: Option<String>,
    /// The folder of relative outputs and children. Default: `__usage.cwd`, else the file's folder.
    pub cwd: Option<PathBuf>,
    /// The engine of the shared things. Default: `__usage.unidist`, else `memory:`.
    pub unidist: Option<String>,
    /// Over the input: dotted name and value, the value JSON if it parses, else text.
    pub set: Vec<(String, String)>,
    /// End after one pass, whatever the file says.
    pub once: bool,
}

/// A loaded file with its input: ready to run, or to be asked about.
pub struct Runner {
    /// The file as it was named.
    pub file: PathBuf,
    /// The compiled file.
    pub compiled: Compiled,
    /// Options and arguments over `data:`.
    pub input: Map,
    options: RunOptions,
}

/// Why a file was not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The file is missing or wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What stands behind the file on the command line is wrong.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The file's help was asked for.
    #[error("{0}")]
    Help(String),
}

/// Reads and compiles a file.
///
/// # Errors
/// Every mistake of the file and of the files it names.
pub fn load(file: &Path) -> Result<Compiled, LoadError> {
    compile(load_file(file)?)
}

impl Runner {
    /// A compiled file with the words that stand behind it on the command line, read by its own `__usage`.
    ///
    /// # Errors
    /// The words are wrong, or ask for help.
    pub fn new(file: &Path, compiled: Compiled, words: &[String], options: RunOptions) -> Result<Self, StartError> {
        let program = format!("procblock {}", file.display());
        let given = match usage::parse(&compiled.usage, words) {
            Ok(Given::Input(input)) => input,
            Ok(Given::Help) => return Err(StartError::Help(usage::help(&compiled.usage, &program, None))),
            Err(error) => return Err(UsageError(usage::help(&compiled.usage, &program, Some(&error.0))).into()),
        };
        let mut input = compiled.data.clone();
        input.extend(given);
        for (name, value) in &options.set {
            if name.split('.').count() > DEPTH_MAX {
                return Err(UsageError(format!("error: --set: a name has more than {DEPTH_MAX} parts")).into());
            }
            set_path(&mut input, name, serde_json::from_str(value).unwrap_or_else(|_| value.clone().into()));
        }
        for (name, value) in &input {
            check_depth(name, value).map_err(|text| UsageError(format!("error: {text}")))?;
        }
        for secret in compiled.usage.secrets(&input) {
            crate::logging::hide(&secret);
        }
        let runner = Runner { file: file.to_path_buf(), compiled, input, options };
        if runner.name().trim().is_empty() {
            let text = "error: the instance's name is empty; give one with --name or __usage: {name: …}";
            return Err(UsageError(text.into()).into());
        }
        Ok(runner)
    }

    /// The instance's name.
    pub fn name(&self) -> String {
        let stem = || self.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.options.name.clone().or_else(|| self.compiled.usage.name.clone()).or_else(stem);
        name.unwrap_or_else(|| "procblock".into())
    }

    /// Whether it stays until stopped.
    pub fn is_longrunning(&self) -> bool {
        !self.options.once && (self.compiled.usage.longrunning || self.compiled.stays)
    }

    /// Whether steps repeat though the file ends after one pass.
    pub fn repeats_in_vain(&self) -> bool {
        self.compiled.repeats && !self.is_longrunning() && !self.options.once
    }

    /// What its instance is made from; `executable` is procblock itself.
    pub fn instance_config(&self, executable: &Path) -> InstanceConfig {
        let usage = &self.compiled.usage;
        let or = |first: &Option<String>, second: &Option<String>, last: &str| {
            first.clone().or_else(|| second.clone()).unwrap_or_else(|| last.into())
        };
        InstanceConfig {
            name: self.name(),
            is_longrunning: self.is_longrunning(),
            unidist: or(&self.options.unidist, &self.own_store(), "memory:"),
            python: or(&usage.python, &None, "python3"),
            keeper: executable.to_path_buf(),
            series: crate::instance::beside(executable, "procblock-series"),
            load_state: usage.load_state.clone(),
            spare_workers: SpareWorkers::default(),
        }
    }

    /// The store that the file names; a folder is an output, so it is found as outputs are.
    fn own_store(&self) -> Option<String> {
        let url = self.compiled.usage.unidist.as_ref()?;
        match url.strip_prefix("file:") {
            Some(path) if !path.is_empty() && !path.starts_with(['/', '?']) => {
                let folder = self.folder().unwrap_or_else(|| self.compiled.block_folder.clone());
                let folder = std::path::absolute(&folder).unwrap_or(folder);
                Some(format!("file:{}", folder.join(path).display()))
            }
            _ => Some(url.clone()),
        }
    }

    /// What the caller said about the run.
    pub fn options(&self) -> &RunOptions {
        &self.options
    }

    /// The folder of relative outputs and children, when one was given; else each file's own.
    pub fn folder(&self) -> Option<PathBuf> {
        self.options.cwd.clone().or_else(|| self.compiled.folder.clone())
    }

    /// Runs the file's block once, in `instance`; what an earlier pass started and this one names goes on.
    pub async fn process(&self, instance: &Arc<Instance>) -> Processed {
        let input = Input::new(self.input.clone(), self.globals());
        let mut run = Run::new(Arc::clone(instance), Arc::new(input), self.folder());
        self.compiled.block.process(&mut run).await
    }

    fn globals(&self) -> Map {
        let mut globals = Map::new();
        globals.insert("data".into(), Value::Object(self.compiled.data.clone()));
        globals.insert("args".into(), self.input.get("args").cloned().unwrap_or_else(|| Value::Array(Vec::new())));
        globals.insert("node".into(), node_name().into());
        globals.insert("block".into(), self.name().into());
        globals
    }
}

/// Sets `a.b.c` inside a mapping; what stands in the way and is no mapping is replaced.
fn set_path(map: &mut Map, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        map.insert(path.to_string(), value);
        return;
    };
    let slot = map.entry(first.to_string()).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Value::Object(inner) = slot {
        set_path(inner, rest, value);
    }
}
