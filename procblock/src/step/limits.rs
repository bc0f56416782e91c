//! `limits`: what a step's child or script may use, and which steps can be held to which of them.

use std::path::Path;
use std::time::Duration;

use crate::block::Run;
use crate::error::RunError;
use crate::load::{Node, Problems};
use crate::script::{Limits, Script};
use crate::spec::{FieldKind, FieldSpec, Fields, Setting, Size, same_key};

pub(super) const LIMIT_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("memory", FieldKind::Size, "Address space of a child (RLIMIT_AS), memory of a Lua state."),
    FieldSpec::new(
        "cpu",
        FieldKind::Duration,
        "CPU time: of a child and of a Python script in whole seconds, rounded up (RLIMIT_CPU), of a Lua script exactly.",
    ),
    FieldSpec::new("files", FieldKind::Integer, "Open files of a child or a Python worker (RLIMIT_NOFILE)."),
    FieldSpec::new(
        "processes",
        FieldKind::Integer,
        "How many processes a child and all below it may be, itself included. They are counted every 5 ms; one more, and all \
         of them are killed. (The kernel's RLIMIT_NPROC is none of a step's: it counts all processes of a user, and none of \
         root's.)",
    ),
];

/// Limits of a child or script.
#[derive(Default)]
pub struct LimitSettings {
    /// Bytes.
    pub memory: Option<Setting<Size>>,
    /// CPU time.
    pub cpu: Option<Setting<Duration>>,
    /// Open files.
    pub files: Option<Setting<i64>>,
    /// Processes.
    pub processes: Option<Setting<i64>>,
}

impl LimitSettings {
    pub(super) fn compile(node: &Node, problems: &mut Problems) -> LimitSettings {
        let fields = Fields::read(node, LIMIT_FIELDS, "limits", problems);
        let limits = LimitSettings {
            memory: fields.setting("memory", problems),
            cpu: fields.setting("cpu", problems),
            files: fields.setting("files", problems),
            processes: fields.setting("processes", problems),
        };
        for (name, setting) in [("files", &limits.files), ("processes", &limits.processes)] {
            if let (Some(Setting::Fixed(number)), Some(node)) = (setting, fields.node(name))
                && *number < 1
            {
                problems.error(&node.mark, format!("the limit {name} is {number}"), "expected 1 or more");
            }
        }
        limits
    }

    /// The limits with `${…}` filled in.
    ///
    /// # Errors
    /// A value can't be filled in, or is no limit.
    pub(super) fn fill(&self, run: &Run) -> Result<Limits, RunError> {
        let count = |name: &str, setting: &Option<Setting<i64>>| {
            let Some(number) = setting.as_ref().map(|setting| setting.get(run)).transpose()? else { return Ok(None) };
            let found = u64::try_from(number).ok().filter(|number| *number > 0);
            found.map(Some).ok_or_else(|| RunError::failed(format!("the limit {name} is {number}; expected 1 or more")))
        };
        Ok(Limits {
            memory: self.memory.as_ref().map(|memory| memory.get(run)).transpose()?.map(|size| size.0),
            cpu: self.cpu.as_ref().map(|cpu| cpu.get(run)).transpose()?,
            files: count("files", &self.files)?,
            processes: count("processes", &self.processes)?,
        })
    }
}

/// What a step runs, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    Child,
    ScriptProgram,
    Lua,
    Python,
    Nothing,
}

impl Runs {
    /// By the step's name and, of a script, its file; none while the file is not known.
    fn of(step: &str, value: &Node) -> Option<Runs> {
        Some(match step {
            "shell" | "exec" => Runs::Child,
            "lua" => Runs::Lua,
            "python" => Runs::Python,
            "script" => match value.as_text() {
                Some(path) if !path.contains("${") => Runs::of_file(Path::new(path)),
                _ => return None,
            },
            _ => Runs::Nothing,
        })
    }

    fn of_file(path: &Path) -> Runs {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("lua") => Runs::Lua,
            Some("py") => Runs::Python,
            _ => Runs::ScriptProgram,
        }
    }

    /// Why a limit holds nothing here, and what does; none when it holds.
    fn refusal(self, limit: &str) -> Option<&'static str> {
        match (self, limit) {
            (Runs::Child | Runs::ScriptProgram, _) | (Runs::Lua, "memory" | "cpu") => None,
            (Runs::Python, "memory" | "cpu" | "files") => None,
            (Runs::Lua, _) => Some("a Lua script runs inside procblock: its limits are memory and cpu"),
            (Runs::Python, _) => {
                Some("a Python script shares a warm worker: run it as exec: [python3, FILE] to limit processes")
            }
            (Runs::Nothing, _) => Some("remove it: the step runs no child and no script"),
        }
    }
}

/// Refuses what the step would pass over in silence: limits that nothing keeps, a user that no child runs as.
pub(super) fn refuse_without_effect(item: &Node, step: &str, value: &Node, problems: &mut Problems) {
    let Some(runs) = Runs::of(step, value) else { return };
    let limits = item.get("limits").and_then(|entry| entry.value.entries()).unwrap_or_default();
    for entry in limits.iter().filter(|entry| LIMIT_FIELDS.iter().any(|field| same_key(&entry.key, field.name))) {
        if let Some(remedy) = runs.refusal(&entry.key) {
            problems.error(&entry.mark, format!("the limit {} has no effect on this {step} step", entry.key), remedy);
        }
    }
    if let Some(entry) = item.get("user").filter(|_| runs != Runs::Child) {
        let what = format!("user has no effect on a {step} step, which runs as procblock's own user");
        problems.error(&entry.mark, what, "use exec: [PROGRAM, ARGUMENT…] or shell:, whose child takes the user on");
    }
}

/// The same for a script whose file is known only when it runs.
///
/// # Errors
/// A limit that would hold nothing.
pub(super) fn check_script_limits(script: &Script, limits: &Limits) -> Result<(), RunError> {
    let Script::File(path) = script else { return Ok(()) };
    let runs = Runs::of_file(path);
    for (limit, is_set) in [("files", limits.files.is_some()), ("processes", limits.processes.is_some())] {
        if let Some(remedy) = runs.refusal(limit).filter(|_| is_set) {
            let text = format!("the limit {limit} has no effect on the script {}; {remedy}", path.display());
            return Err(RunError::failed(text));
        }
    }
    Ok(())
}
