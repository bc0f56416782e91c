//! What can be known of sites without serving them: site files, packages, and what lies in folders.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use dropstar::{Mount, Purpose, RESERVED, SiteContent, Template};

use crate::block::ScriptUse;
use crate::cli::check_scripts::{self, as_named};
use crate::load::{Mark, Node, Problem, Problems, Source, likely_name, load_data_file, load_file};
use crate::serve::definition::Definition;
use crate::serve::{package, page, serving, site};

/// Files of one site that are looked at.
const FILES_MAX: usize = 10_000;

/// How deep folders of a site are looked through.
const DEPTH_MAX: usize = 16;

/// Everything that is wrong with what these sites hold; `python` is the interpreter that their file wants.
pub(super) fn check(contents: &[(SiteContent, Mark)], python: Option<&str>) -> Vec<Problem> {
    let mut check = Check { python, found: Vec::new(), seen: HashSet::new() };
    for (content, mark) in contents {
        match content {
            SiteContent::Folder(folder) => check.folder(folder),
            SiteContent::Packages(mounts) => mounts.iter().for_each(|mount| check.package(mount, mark)),
        }
    }
    check.found
}

/// The same for a path that is named itself: a site's folder, a site file, a package, a dropped-in file. None when it
/// is none of these.
pub(super) fn check_path(path: &Path) -> Option<Vec<Problem>> {
    let mut check = Check { python: None, found: Vec::new(), seen: HashSet::new() };
    if path.is_dir() {
        check.folder(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
        if !site::SITE_FOLDERS.iter().any(|name| path.join(name).is_dir()) {
            let text = format!("the folder holds none of {}", site::SITE_FOLDERS.join(", "));
            check.tell(&start_of(path), text, "name a block file, or the folder of a site");
        }
        return Some(check.found);
    }
    if let Some(purpose) = dropped_in(path) {
        check.page(path, purpose);
        return Some(check.found);
    }
    let root = load_data_file(path).ok()?.root;
    if site::is_site_file(&root) {
        return Some(match serving::load(path) {
            Ok((serving, warnings)) => {
                let mut found = warnings;
                found.extend(self::check(&serving.contents, None));
                found
            }
            Err(error) => error.problems,
        });
    }
    if package::is_package(&root) {
        let whole = Mount {
            package: path.to_path_buf(),
            aliases: Vec::new(),
            pages: "/".into(),
            procedures: "/rpc/".into(),
            static_files: "/".into(),
        };
        check.package(&whole, &start_of(path));
        return Some(check.found);
    }
    None
}

/// What a file is by the folder that it lies in.
fn dropped_in(path: &Path) -> Option<Purpose> {
    path.extension().and_then(|ending| ending.to_str()).filter(|ending| page::ENDINGS.contains(ending))?;
    let absolute = std::path::absolute(path).ok()?;
    let mut folders = absolute.parent()?.iter().rev().take(DEPTH_MAX);
    folders.find_map(|name| match name.to_str()? {
        "pages" => Some(Purpose::Page),
        "rpc" => Some(Purpose::Rpc),
        _ => None,
    })
}

fn start_of(path: &Path) -> Mark {
    Mark::start(Source::new(path, path.parent().unwrap_or(path), String::new()))
}

struct Check<'a> {
    python: Option<&'a str>,
    found: Vec<Problem>,
    /// Files that were looked at: two sites may share them.
    seen: HashSet<PathBuf>,
}

impl Check<'_> {
    fn tell(&mut self, mark: &Mark, what: String, remedy: &str) {
        let mut problems = Problems::new();
        problems.warning(mark, what, remedy);
        self.found.extend(problems.into_sorted());
    }

    fn folder(&mut self, folder: &Path) {
        for (name, purpose) in [("pages", Purpose::Page), ("rpc", Purpose::Rpc)] {
            let base = folder.join(name);
            let mut files = Vec::new();
            files_below(&base, 0, &mut files);
            files.sort();
            for file in &files {
                self.dropped_in(&base, file, purpose, &files);
            }
        }
    }

    fn dropped_in(&mut self, base: &Path, file: &Path, purpose: Purpose, all: &[PathBuf]) {
        let shown = shown(file);
        let name = file.strip_prefix(base).unwrap_or(file).with_extension("");
        let ending =
            |path: &Path| page::ENDINGS.iter().position(|ending| path.extension().is_some_and(|own| own == *ending));
        let wins =
            |other: &&PathBuf| other.with_extension("") == file.with_extension("") && ending(other) < ending(file);
        if let Some(winner) = all.iter().find(wins) {
            let what = format!("this file is never served: {} has the same name", self::shown(winner).display());
            self.tell(&start_of(&shown), what, "remove or rename one of them");
        }
        if purpose == Purpose::Page {
            self.reserved(&start_of(&shown), &format!("/{}", name.display()));
        }
        self.page(&shown, purpose);
    }

    fn reserved(&mut self, mark: &Mark, path: &str) {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if RESERVED.contains(&first) {
            let what = format!("the page {path} is never seen: the server answers at /{first} itself");
            self.tell(mark, what, "give it another name");
        }
    }

    fn page(&mut self, file: &Path, purpose: Purpose) {
        if !self.seen.insert(file.to_path_buf()) {
            return;
        }
        match page::load(file, purpose) {
            Ok(loaded) => {
                self.found.extend(loaded.warnings);
                self.definition(&loaded.definition);
                self.scripts(&loaded.scripts);
            }
            Err(error) => self.found.extend(error.problems),
        }
    }

    fn definition(&mut self, definition: &Definition) {
        let Some((Template::File(path), mark)) = &definition.template else { return };
        if path.is_file() {
            return;
        }
        let remedy = likely_name(path).map_or_else(
            || "check the path: it is relative to the folder of the file that names it".to_owned(),
            |likely| format!("did you mean \"{likely}\"?"),
        );
        let mut problems = Problems::new();
        problems.error(mark, format!("there is no template {}", as_named(path, mark).display()), remedy);
        self.found.extend(problems.into_sorted());
    }

    fn scripts(&mut self, scripts: &[ScriptUse]) {
        let mut problems = Problems::new();
        check_scripts::check(scripts, self.python, &mut problems);
        self.found.extend(problems.into_sorted());
    }

    fn package(&mut self, mount: &Mount, mark: &Mark) {
        let file = shown(&mount.package);
        if !self.seen.insert(file.clone()) {
            return;
        }
        let (package, problems) = match load_file(&file) {
            Ok(document) => package::read(document),
            Err(error) => return self.found.extend(error.problems),
        };
        self.found.extend(problems.into_sorted());
        self.found.extend(package.warnings);
        for (folder, node) in [&package.static_folder, &package.public_folder].into_iter().flatten() {
            if !folder.is_dir() {
                self.no_static_folder(folder, node);
            }
        }
        for (name, page) in &package.pages {
            self.reserved(mark, &format!("{}{name}", mount.pages));
            match page {
                Ok(definition) => self.definition(definition),
                Err(error) => self.found.extend(error.problems.iter().cloned()),
            }
        }
        for error in package.procedures.values().filter_map(|found| found.as_ref().err()) {
            self.found.extend(error.problems.iter().cloned());
        }
        self.scripts(&package.scripts);
    }

    fn no_static_folder(&mut self, folder: &Path, node: &Node) {
        let near = likely_name(folder).map(|likely| format!("did you mean \"{likely}\"?"));
        let what = format!("there is no folder \"{}\"", node.as_text().unwrap_or_default());
        let mut problems = Problems::new();
        problems.error(&node.mark, what, near.unwrap_or_else(|| "make it, or check the path".into()));
        self.found.extend(problems.into_sorted());
    }
}

/// A path as a person at this folder would write it.
fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf)).unwrap_or_else(|| path.to_path_buf())
}

/// Files that can be pages or RPCs, without hidden ones and those that begin with an underscore.
fn files_below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with(['.', '_'])) {
        let path = entry.path();
        if found.len() >= FILES_MAX {
            return;
        }
        if path.is_dir() && depth < DEPTH_MAX {
            files_below(&path, depth + 1, found);
        } else if path.extension().and_then(|end| end.to_str()).is_some_and(|end| page::ENDINGS.contains(&end)) {
            found.push(path);
        }
    }
}
