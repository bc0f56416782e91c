//! What can be known about a file's scripts without running them: whether they are there, and their syntax.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::block::ScriptUse;
use crate::load::{Mark, Problems, Source, likely_name};
use crate::script::Script;
use crate::script::syntax::{Mistake, Text, lua_mistakes, python_mistakes};

/// A larger script is not looked at, in bytes.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// A script whose text is at hand.
struct Known {
    source: Arc<Source>,
    text: Arc<str>,
    first_line: Option<u32>,
    /// Where the block file names it.
    named: Mark,
}

impl Known {
    fn text(&self) -> Text<'_> {
        Text { text: &self.text, first_line: self.first_line }
    }
}

/// Looks at every script that steps name; `python` is the interpreter that the file wants.
pub(super) fn check(uses: &[ScriptUse], python: Option<&str>, problems: &mut Problems) {
    let mut lua: Vec<Known> = Vec::new();
    let mut python_texts: Vec<Known> = Vec::new();
    for found in uses {
        let inline = |text: &Arc<str>, first_line: u32| Known {
            source: Arc::clone(&found.node.mark.source),
            text: Arc::clone(text),
            first_line: Some(first_line),
            named: found.node.mark.clone(),
        };
        match &*found.script {
            Script::Lua { text, first_line, .. } => lua.push(inline(text, *first_line)),
            Script::Python { text, first_line, .. } => python_texts.push(inline(text, *first_line)),
            Script::File(path) => match (read(path, found, problems), ending(path)) {
                (Some(known), Some("lua")) => lua.push(known),
                (Some(known), Some("py")) => python_texts.push(known),
                _ => {}
            },
        }
    }
    if !lua.is_empty() {
        let texts: Vec<Text<'_>> = lua.iter().map(Known::text).collect();
        tell(&lua, lua_mistakes(&texts), "Lua", problems);
    }
    if let Some(first) = python_texts.first() {
        let interpreter = python.unwrap_or("python3");
        let texts: Vec<Text<'_>> = python_texts.iter().map(Known::text).collect();
        match python_mistakes(interpreter, &texts) {
            Ok(found) => tell(&python_texts, found, "Python", problems),
            Err(error) => {
                let what = format!("the Python interpreter {interpreter} can't be run: {error}");
                problems.error(&first.named, what, "install it, or name another: __usage: {python: /path/to/python3}");
            }
        }
    }
}

fn ending(path: &Path) -> Option<&str> {
    path.extension().and_then(|ending| ending.to_str())
}

/// A path as the user would write it: relative to where the block file was named.
pub(super) fn as_named(path: &Path, mark: &Mark) -> PathBuf {
    mark.source.name.parent().map_or_else(
        || path.to_owned(),
        |folder| path.strip_prefix(&mark.source.folder).map_or_else(|_| path.to_owned(), |inside| folder.join(inside)),
    )
}

/// The text of a script file; one that can't be run as it is becomes a problem.
fn read(path: &Path, found: &ScriptUse, problems: &mut Problems) -> Option<Known> {
    let mark = &found.node.mark;
    let shown = as_named(path, mark);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let remedy = likely_name(path).map_or_else(
                || "check the path: it is relative to the folder of the file that names it".to_owned(),
                |likely| format!("did you mean \"{likely}\"?"),
            );
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            let what = if is_missing {
                format!("there is no script {}", shown.display())
            } else {
                format!("the script {}: {error}", shown.display())
            };
            problems.error(mark, what, remedy);
            return None;
        }
    };
    if !metadata.is_file() {
        problems.error(mark, format!("the script {} is no file", shown.display()), "name a file");
        return None;
    }
    if !matches!(ending(path), Some("lua" | "py")) {
        if metadata.permissions().mode() & 0o111 == 0 {
            let what = format!("the script {} is neither .lua nor .py and may not be executed", shown.display());
            problems.error(mark, what, format!("chmod +x {}", shown.display()));
        }
        return None;
    }
    if metadata.len() > SIZE_MAX {
        problems.error(mark, format!("the script {} is larger than 16 MiB", shown.display()), "split it");
        return None;
    }
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let source = Source::new(shown, path.parent().unwrap_or(Path::new("/")), text.clone());
            Some(Known { source, text: text.into(), first_line: None, named: mark.clone() })
        }
        Err(error) => {
            let what = format!("the script {} can't be read: {error}", shown.display());
            problems.error(mark, what, "allow its reading, or save it as UTF-8");
            None
        }
    }
}

fn tell(known: &[Known], found: Vec<Option<Mistake>>, language: &str, problems: &mut Problems) {
    for (known, mistake) in known.iter().zip(found) {
        let Some(Mistake { line, column, message }) = mistake else { continue };
        let mut mark = Mark { source: Arc::clone(&known.source), line, column };
        if known.first_line.is_some() && line == known.named.line {
            mark.column = known.named.column.saturating_add(column.saturating_sub(1));
        } else if known.first_line.is_some() || column == 1 {
            // Columns of a text in a block file count without its indentation.
            let text = mark.source.line(line);
            let indent = text.chars().take_while(|c| c.is_whitespace()).count();
            mark.column = mark.column.saturating_add(u32::try_from(indent).unwrap_or(0));
        }
        problems.error(&mark, format!("{language}: {message}"), "");
    }
}
