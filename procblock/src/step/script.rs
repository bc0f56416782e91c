//! `script`: a file that is run: Lua in process, Python in a warm worker, anything else as a child.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::block::Compiler;
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::load::Entry;
use crate::script;
use crate::spec::{Example, Expected, FieldKind, Setting};
use crate::step::shared::call_script;
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};

/// `script: FILE`.
pub(super) struct Script;

impl Step for Script {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "script",
            summary: "Runs a script file: `.lua` in process, `.py` in a warm Python worker, any executable as a child.",
            text: "Lua and Python define `ProcessBlock(pipe_data, block, request_state, input_data, tag, cwd, env, block_parent)` \
                   and return a mapping, which is merged into pipe data. An executable gets the same as JSON on standard input \
                   and prints JSON or text. The path is relative to the file's folder; an edit is seen at the next run.",
            value: FieldKind::Path,
            examples: &[Example {
                yaml: "run:\n  - script: no_such_file.lua\n",
                expected: Expected::Failure("no_such_file.lua"),
            }],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let path: Setting<String> = Setting::compile(&entry.value, &mut compiler.problems)?;
        let prefix = compiler.script_prefix.clone();
        let fixed = match &path {
            Setting::Fixed(path) => {
                let folder = &entry.value.mark.source.folder;
                Some(Arc::new(script::Script::File(folder.join(with_prefix(prefix.as_deref(), path)))))
            }
            Setting::Templated(..) => None,
        };
        compiler.add_script(fixed.as_ref(), &entry.value);
        Some(Box::new(ScriptAction { path, prefix, folder: entry.value.mark.source.folder.clone(), fixed }))
    }
}

/// `script_path_prefix` before a relative path.
fn with_prefix(prefix: Option<&str>, path: &str) -> PathBuf {
    match prefix {
        Some(prefix) if Path::new(path).is_relative() => PathBuf::from(format!("{prefix}{path}")),
        _ => PathBuf::from(path),
    }
}

struct ScriptAction {
    path: Setting<String>,
    prefix: Option<String>,
    folder: PathBuf,
    fixed: Option<Arc<script::Script>>,
}

impl ScriptAction {
    fn script(&self, step: &StepRun<'_>) -> Result<Arc<script::Script>, RunError> {
        if let Some(fixed) = &self.fixed {
            return Ok(Arc::clone(fixed));
        }
        let path = self.path.get(step.run)?;
        Ok(Arc::new(script::Script::File(self.folder.join(with_prefix(self.prefix.as_deref(), &path)))))
    }
}

impl StepAction for ScriptAction {
    fn keeps_time(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let script = self.script(step)?;
            call_script(&script, step).await
        })
    }
}
