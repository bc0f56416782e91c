//! What can be known without running about the templates and programs that a file names: whether they are there.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::block::{FileUse, FileUseKind, Survey};
use crate::cli::check_scripts::as_named;
use crate::load::{Mark, Problems, likely_name, nearest};

/// Programs of `PATH` that are looked through for one like a missing one's.
const PROGRAMS_COMPARED_MAX: usize = 10_000;

/// Looks for every template and program that is named by a literal text.
pub(super) fn check(survey: &Survey, problems: &mut Problems) {
    let mut programs = Programs::default();
    for FileUse { kind, node } in &survey.files_named {
        let Some(text) = node.as_text().filter(|text| !text.is_empty() && !text.contains("${")) else { continue };
        match kind {
            FileUseKind::Template => template(Path::new(text), &node.mark, problems),
            FileUseKind::Program if text.contains('/') => {
                let folder = survey.folder.as_deref().unwrap_or(&node.mark.source.folder);
                program_file(&folder.join(text), &node.mark, problems);
            }
            FileUseKind::Program => programs.check(text, &node.mark, problems),
        }
    }
}

fn template(path: &Path, mark: &Mark, problems: &mut Problems) {
    let path = mark.source.resolve(path);
    let shown = as_named(&path, mark);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => problems.error(mark, format!("the template {} is no file", shown.display()), "name a file"),
        Err(_) => {
            let remedy = likely_name(&path).map_or_else(
                || "check the path: it is relative to the folder of the file that names it".to_owned(),
                |likely| format!("did you mean \"{likely}\"?"),
            );
            problems.error(mark, format!("there is no template {}", shown.display()), remedy);
        }
    }
}

/// Another machine may have the program, and a step before may make it: only a warning.
fn program_file(path: &Path, mark: &Mark, problems: &mut Problems) {
    let shown = as_named(path, mark);
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 == 0 => {
            let what = format!("the program {} may not be executed", shown.display());
            problems.warning(mark, what, format!("chmod +x {}", shown.display()));
        }
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => problems.warning(mark, format!("the program {} is no file", shown.display()), "name a program"),
        Err(_) => {
            let remedy = likely_name(path)
                .map_or_else(|| "check the path".to_owned(), |likely| format!("did you mean \"{likely}\"?"));
            problems.warning(mark, format!("there is no program {}", shown.display()), remedy);
        }
    }
}

/// The programs of `PATH`. Each name is looked for once, and the folders are read once.
#[derive(Default)]
struct Programs {
    /// What to do about a name; none: it is there.
    remedies: HashMap<String, Option<String>>,
    names: Option<Vec<String>>,
}

impl Programs {
    fn check(&mut self, name: &str, mark: &Mark, problems: &mut Problems) {
        if !self.remedies.contains_key(name) {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let is_there = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
            let remedy = if is_there { None } else { Some(self.remedy(name)) };
            self.remedies.insert(name.to_owned(), remedy);
        }
        if let Some(Some(remedy)) = self.remedies.get(name) {
            problems.warning(mark, format!("there is no program \"{name}\" in PATH"), remedy);
        }
    }

    fn remedy(&mut self, name: &str) -> String {
        let names = self.names.get_or_insert_with(program_names);
        match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "install it, or write its whole path".to_owned(),
        }
    }
}

fn program_names() -> Vec<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let entries = std::env::split_paths(&path).flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.take(PROGRAMS_COMPARED_MAX).collect();
    names.sort();
    names
}
