//! A folder that is a site: `pages/`, `templates/`, `rpc/`, `static/`, `public/`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use foldhash::HashMap;
use parking_lot::RwLock;

use crate::answer::{PageTemplate, StaticRoot, log_broken};
use crate::request::Origin;
use crate::site::fresh::{Current, Fresh};
use crate::site::route::{Broken, Entry, Route};
use crate::site::stamp::{Files, Moment};
use crate::site::{Asked, Purpose, Shared};
use crate::{Loaded, Loader};

/// Pages and procedures kept ready at once; past it all are forgotten and made again when they are asked for.
const ENTRIES_MAX: usize = 10_000;

/// More procedures than this are not listed.
const LISTED_MAX: usize = 1000;

/// A folder that is a site.
pub(crate) struct FolderSite {
    folder: PathBuf,
    static_root: StaticRoot,
    public_root: StaticRoot,
    pages: Kept,
    procedures: Kept,
}

type Kept = RwLock<HashMap<String, Arc<Fresh<Found>>>>;

/// What stands behind a name.
struct Found {
    files: Files,
    what: What,
}

enum What {
    Entry(Arc<Entry>),
    Broken(Arc<Broken>),
    Nothing,
}

impl Current for Found {
    fn is_current(&self) -> bool {
        self.files.is_current()
    }
}

impl FolderSite {
    /// The site of a folder, which need not hold all of the five.
    pub(crate) fn new(folder: &Path) -> FolderSite {
        FolderSite {
            static_root: StaticRoot::new(folder.join("static")),
            public_root: StaticRoot::new(folder.join("public")),
            folder: folder.to_path_buf(),
            pages: Kept::default(),
            procedures: Kept::default(),
        }
    }

    /// What a path leads to.
    pub(crate) async fn route(&self, asked: Asked<'_>, shared: &Shared) -> Route {
        let Asked { path, came } = asked;
        let name = path.trim_start_matches('/');
        if let Some(procedure) = path.strip_prefix("/rpc/") {
            return self.find(procedure, Purpose::Rpc, (shared, came)).await.unwrap_or(Route::Missing);
        }
        let index = (name.is_empty() || name.ends_with('/')).then(|| format!("{name}index"));
        let page = index.as_deref().unwrap_or(name);
        if let Some(route) = self.find(page, Purpose::Page, (shared, came)).await {
            return route;
        }
        let file = index.as_ref().map(|index| format!("{index}.html"));
        let file = file.as_deref().unwrap_or(name);
        for (root, route) in [(&self.static_root, Route::Static as fn(_) -> _), (&self.public_root, Route::Public)] {
            if let Some(file) = shared.static_files.find(root, file, came).await {
                self.note_no_page(page, shared);
                return route(file);
            }
        }
        if index.is_none() && self.has_index(name) { Route::Folder(format!("{path}/")) } else { Route::Missing }
    }

    /// Remembers which files, once there, would make a page of a static file's name.
    fn note_no_page(&self, name: &str, shared: &Shared) {
        if self.pages.read().contains_key(name) || !is_name(name) {
            return;
        }
        let sought = Sought { folder: self.folder.clone(), name: name.to_string(), purpose: Purpose::Page };
        if let Some(files) = Files::absent(sought.every(&*shared.loader)) {
            let nothing = Fresh::holding(Found { files, what: What::Nothing });
            keep(&self.pages, name, || nothing);
        }
    }

    /// The procedures, by name, with those that do not load left out. Reads the folder.
    pub(crate) async fn procedures(&self, shared: &Shared, came: Moment) -> Vec<Arc<Entry>> {
        let (folder, loader) = (self.folder.join("rpc"), Arc::clone(&shared.loader));
        let names =
            tokio::task::spawn_blocking(move || names_below(&folder, loader.endings())).await.unwrap_or_default();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            if let Some(Route::Procedure(entry)) = self.find(&name, Purpose::Rpc, (shared, came)).await {
                entries.push(entry);
            }
        }
        entries
    }

    async fn find(&self, name: &str, purpose: Purpose, (shared, came): (&Shared, Moment)) -> Option<Route> {
        if !is_name(name) {
            return None;
        }
        let kept = match purpose {
            Purpose::Page => &self.pages,
            Purpose::Rpc => &self.procedures,
        };
        let known = kept.read().get(name).cloned();
        if let Some(found) = known.as_ref().and_then(|fresh| fresh.current(came)) {
            return found.route(purpose);
        }
        let sought = Sought { folder: self.folder.clone(), name: name.to_string(), purpose };
        if known.is_none() && !sought.exists(&*shared.loader) {
            return None;
        }
        let fresh = known.unwrap_or_else(|| keep(kept, name, Fresh::default));
        let loader = Arc::clone(&shared.loader);
        let found = fresh.get(came, move |last| sought.load(&*loader, last.as_deref())).await;
        if matches!(found.what, What::Nothing) {
            kept.write().remove(name);
        }
        found.route(purpose)
    }

    fn has_index(&self, name: &str) -> bool {
        is_name(name)
            && (self.folder.join("pages").join(name).is_dir()
                || self.folder.join("templates").join(name).join("index.html").is_file()
                || self.static_root.is_folder(name)
                || self.public_root.is_folder(name))
    }
}

fn keep(kept: &Kept, name: &str, make: impl FnOnce() -> Fresh<Found>) -> Arc<Fresh<Found>> {
    let mut kept = kept.write();
    if kept.len() >= ENTRIES_MAX {
        kept.clear();
    }
    Arc::clone(kept.entry(name.to_string()).or_insert_with(|| Arc::new(make())))
}

/// A name with which a file can be dropped in: not hidden, and not one with an underscore, which layouts, includes and
/// modules have.
fn is_name(name: &str) -> bool {
    name.len() <= 255 && name.split('/').all(|part| !part.is_empty() && !part.starts_with(['.', '_']))
}

/// The names of the files below a folder that end as the loader wants.
fn names_below(folder: &Path, endings: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let name = format!("{prefix}{stem}");
            if !is_name(&name) || names.len() >= LISTED_MAX {
                continue;
            }
            let ending = path.extension().and_then(|ending| ending.to_str());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && ending.is_none() {
                folders.push((path, format!("{name}/")));
            } else if ending.is_some_and(|ending| endings.contains(&ending)) {
                names.push(name);
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

impl Found {
    fn route(&self, purpose: Purpose) -> Option<Route> {
        match (&self.what, purpose) {
            (What::Entry(entry), Purpose::Page) => Some(Route::Page(Arc::clone(entry))),
            (What::Entry(entry), Purpose::Rpc) => Some(Route::Procedure(Arc::clone(entry))),
            (What::Broken(broken), _) => Some(Route::Broken(Arc::clone(broken))),
            (What::Nothing, _) => None,
        }
    }
}

/// A page or procedure that is looked for.
struct Sought {
    folder: PathBuf,
    name: String,
    purpose: Purpose,
}

impl Sought {
    /// Every file that can be it, in the order in which they are preferred.
    fn scripts(&self, loader: &dyn Loader) -> Vec<PathBuf> {
        let folder = self.folder.join(if self.purpose == Purpose::Page { "pages" } else { "rpc" });
        loader.endings().iter().map(|ending| folder.join(format!("{}.{ending}", self.name))).collect()
    }

    /// The template of a page.
    fn template(&self) -> Option<PathBuf> {
        let path = || self.folder.join("templates").join(format!("{}.html", self.name));
        (self.purpose == Purpose::Page).then(path)
    }

    /// Every file that can be it or a part of it.
    fn every(&self, loader: &dyn Loader) -> Vec<PathBuf> {
        self.scripts(loader).into_iter().chain(self.template()).collect()
    }

    fn exists(&self, loader: &dyn Loader) -> bool {
        self.every(loader).iter().any(|path| path.is_file())
    }

    fn load(&self, loader: &dyn Loader, last: Option<&Found>) -> Found {
        let began = SystemTime::now();
        let mut seen = Vec::new();
        let template = self.template();
        // That the template appears or vanishes makes another page of it.
        seen.extend(template.clone());
        let template = template.filter(|path| path.is_file());
        for script in self.scripts(loader) {
            seen.push(script.clone());
            if script.is_file() {
                return match loader.load(&script, self.purpose) {
                    Ok((loaded, files)) => {
                        let files = Files::since(began, seen.into_iter().chain(files));
                        Found { files, what: What::Entry(Arc::new(self.entry(loaded, template))) }
                    }
                    Err(failure) => {
                        let files = Files::since(began, seen.into_iter().chain(failure.files));
                        Found { files, what: self.broken(&script, failure.text, last) }
                    }
                };
            }
        }
        let what = match template {
            Some(template) => What::Entry(Arc::new(self.entry(template_alone(), Some(template)))),
            None => What::Nothing,
        };
        Found { files: Files::since(began, seen), what }
    }

    fn entry(&self, loaded: Loaded, template: Option<PathBuf>) -> Entry {
        let root = self.folder.join("templates");
        let template = match &loaded.template {
            Some(named) => Some(PageTemplate::named(named, Some(&root))),
            None => template.map(|path| PageTemplate::dropped_in(path, &root)),
        };
        let origin = Arc::new(Origin {
            purpose: self.purpose,
            name: self.name.clone(),
            mount: if self.purpose == Purpose::Page { "/".into() } else { "/rpc/".into() },
            package: self.folder.display().to_string(),
        });
        Entry { origin, loaded, template }
    }

    /// A file that is looked at again without having changed keeps its id and is not logged again.
    fn broken(&self, script: &Path, text: String, last: Option<&Found>) -> What {
        match last.map(|last| &last.what) {
            Some(What::Broken(last)) if last.text == text => What::Broken(Arc::clone(last)),
            _ => What::Broken(Arc::new(log_broken(self.purpose, script, text))),
        }
    }
}

/// A page without a script.
fn template_alone() -> Loaded {
    let declaration = crate::Declaration { is_read_only: true, ..Default::default() };
    Loaded { declaration: Arc::new(declaration), program: None, template: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_names_and_those_of_layouts_are_no_pages() {
        for name in ["a", "a/b", "a.b", "ä"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".a", "a/.b", "_layout", "a/_b", "a//b", "/a", "a/"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
