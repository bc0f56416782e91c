//! What can be known without running about the templates and programs that a file names: whether they are there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::block::{FileUse, FileUseKind, Survey};
use crate::cli::check_scripts::as_named;
use crate::load::{Mark, Problems, likely_name, nearest};

/// Programs of `PATH` that are looked through for one like a missing one's.
const PROGRAMS_COMPARED_MAX: usize = 10_000;

/// Looks for every template and program that is named by a literal text.
pub(super) fn check(survey: &Survey, problems: &mut Problems) {
    for FileUse { kind, node } in &survey.files_named {
        let Some(text) = node.as_text().filter(|text| !text.is_empty() && !text.contains("${")) else { continue };
        match kind {
            FileUseKind::Template => template(Path::new(text), &node.mark, problems),
            FileUseKind::Program if text.contains('/') => {
                let folder = survey.folder.as_deref().unwrap_or(&node.mark.source.folder);
                program_file(&folder.join(text), &node.mark, problems);
            }
            FileUseKind::Program => program_in_path(text, &node.mark, problems),
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

fn program_in_path(name: &str, mark: &Mark, problems: &mut Problems) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for folder in std::env::split_paths(&path) {
        if folder.join(name).is_file() {
            return;
        }
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        names.extend(entries.filter_map(|entry| entry.file_name().into_string().ok()));
        names.truncate(PROGRAMS_COMPARED_MAX);
    }
    names.sort();
    let remedy = match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "install it, or write its whole path".to_owned(),
    };
    problems.warning(mark, format!("there is no program \"{name}\" in PATH"), remedy);
}
