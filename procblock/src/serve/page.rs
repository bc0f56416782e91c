//! Dropped-in files: a script with its declaration, or a YAML definition.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dropstar::Purpose;

use crate::block::{Compiler, ScriptUse};
use crate::load::{LoadError, Mark, Node, Problem, load_file, read_file};
use crate::script::Script;
use crate::serve::comments;
use crate::serve::definition::{self, Body, Definition};

/// The endings of files that are pages or RPCs, in the order in which they are looked for.
pub const ENDINGS: &[&str] = &["lua", "py", "sh", "yaml"];

/// A dropped-in file, read and compiled, not tied to an instance.
pub struct PageFile {
    /// What it is.
    pub definition: Definition,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    /// What `check` tells, though the page is served.
    pub warnings: Vec<Problem>,
    /// Every script that it names, or that it is.
    pub scripts: Vec<ScriptUse>,
}

/// Reads a dropped-in file.
///
/// # Errors
/// It can't be read, or is wrong. What is wrong with a script beyond its declaration is told when it is run.
pub fn load(file: &Path, purpose: Purpose) -> Result<PageFile, LoadError> {
    let is_yaml = file.extension().is_some_and(|ending| ending == "yaml");
    if is_yaml { load_yaml(file, purpose) } else { load_script(file, purpose) }
}

fn load_yaml(file: &Path, purpose: Purpose) -> Result<PageFile, LoadError> {
    let document = load_file(file)?;
    let root = Arc::new(document.root);
    let mut compiler = Compiler::new(Arc::clone(&root), document.files);
    let definition = definition::read(&root, purpose, &mut compiler);
    compiler.finish_called();
    let files = compiler.files().to_vec();
    let scripts = std::mem::take(&mut compiler.scripts);
    let mut warnings = document.warnings;
    warnings.extend(compiler.problems.finish()?);
    Ok(PageFile { definition, files, warnings, scripts })
}

fn load_script(file: &Path, purpose: Purpose) -> Result<PageFile, LoadError> {
    let source = read_file(file)?;
    let declared = comments::read(&source, purpose)?;
    let path = source.folder.join(source.name.file_name().unwrap_or_default());
    let script = Script::File(path.clone());
    let named = Node::at(Mark::start(source));
    let scripts = vec![ScriptUse { script: Arc::new(script.clone()), node: named }];
    let definition = Definition { declared, template: None, body: Some(Body::Script(script)) };
    Ok(PageFile { definition, files: vec![path], warnings: Vec::new(), scripts })
}
