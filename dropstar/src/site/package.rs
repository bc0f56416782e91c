//! A package: a file that names pages, procedures and a static folder, mounted into a site.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::answer::{PageTemplate, StaticRoot, log_broken};
use crate::request::Origin;
use crate::site::fresh::{Current, Fresh};
use crate::site::route::{Broken, Entry, Route};
use crate::site::stamp::{Files, Moment};
use crate::site::{Asked, Purpose, Shared};
use crate::{Loaded, Loader, Mount};

/// A package where it is mounted.
pub(crate) struct MountedPackage {
    mount: Arc<Mount>,
    package: Fresh<Version>,
}

/// What the package file last gave.
struct Version {
    files: Files,
    /// What it names; of a file that went wrong while it was served, what it named before.
    content: Option<Arc<Content>>,
    broken: Option<Arc<Broken>>,
}

impl Current for Version {
    fn is_current(&self) -> bool {
        self.files.is_current()
    }
}

#[derive(Default)]
struct Content {
    static_root: Option<StaticRoot>,
    public_root: Option<StaticRoot>,
    pages: HashMap<String, Arc<Entry>>,
    procedures: HashMap<String, Arc<Entry>>,
}

impl MountedPackage {
    /// A package at its mount. Its file is read at the first request.
    pub(crate) fn new(mount: &Mount) -> MountedPackage {
        MountedPackage { mount: Arc::new(mount.clone()), package: Fresh::default() }
    }

    /// What a path leads to; none if the package has no such thing.
    pub(crate) async fn route(&self, asked: Asked<'_>, shared: &Shared) -> Option<Route> {
        let path = asked.path;
        let version = self.version(shared, asked.came).await;
        let Some(content) = &version.content else {
            let is_below = path.starts_with(&self.mount.pages) || path.starts_with(&self.mount.procedures);
            return version.broken.clone().filter(|_| is_below).map(Route::Broken);
        };
        if let Some(entry) = path.strip_prefix(&*self.mount.pages).and_then(|name| content.page(name)) {
            return Some(Route::Page(Arc::clone(entry)));
        }
        let procedure = path.strip_prefix(&*self.mount.procedures).and_then(|name| content.procedures.get(name));
        if let Some(entry) = procedure {
            return Some(Route::Procedure(Arc::clone(entry)));
        }
        content.file(asked, path.strip_prefix(&*self.mount.static_files)?, shared).await
    }

    /// The procedures with the paths at which they are.
    pub(crate) async fn procedures(&self, shared: &Shared, came: Moment) -> Vec<Arc<Entry>> {
        let version = self.version(shared, came).await;
        let entries = version.content.iter().flat_map(|content| content.procedures.values().cloned());
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by(|one, other| one.origin.name.cmp(&other.origin.name));
        entries
    }

    async fn version(&self, shared: &Shared, came: Moment) -> Arc<Version> {
        if let Some(version) = self.package.current(came) {
            return version;
        }
        let (mount, loader) = (Arc::clone(&self.mount), Arc::clone(&shared.loader));
        self.package.get(came, move |last| Version::load(&mount, &*loader, last.as_deref())).await
    }
}

impl Content {
    /// A static file; what is not public hides what is.
    async fn file(&self, asked: Asked<'_>, name: &str, shared: &Shared) -> Option<Route> {
        let is_index = name.is_empty() || name.ends_with('/');
        let index = is_index.then(|| format!("{name}index.html"));
        let wanted = index.as_deref().unwrap_or(name);
        let found = async |root: &Option<StaticRoot>| match root {
            Some(root) => shared.static_files.find(root, wanted, asked.came).await,
            None => None,
        };
        if let Some(file) = found(&self.static_root).await {
            return Some(Route::Static(file));
        }
        if let Some(file) = found(&self.public_root).await {
            return Some(Route::Public(file));
        }
        let is_folder = [&self.static_root, &self.public_root].into_iter().flatten().any(|root| root.is_folder(name));
        (!is_index && is_folder).then(|| Route::Folder(format!("{}/", asked.path)))
    }

    /// A page by its name; the index of a folder of pages for a name that is empty or ends with a slash.
    fn page(&self, name: &str) -> Option<&Arc<Entry>> {
        let index =
            || (name.is_empty() || name.ends_with('/')).then(|| self.pages.get(&format!("{name}index"))).flatten();
        self.pages.get(name).or_else(index)
    }
}

impl Version {
    fn load(mount: &Mount, loader: &dyn Loader, last: Option<&Version>) -> Version {
        let began = SystemTime::now();
        let own = mount.package.clone();
        match loader.load_package(&own) {
            Ok((package, files)) => {
                let entries = |loaded: std::collections::BTreeMap<String, Loaded>, purpose| {
                    let entry = |(name, loaded)| (String::clone(&name), Arc::new(entry(mount, name, loaded, purpose)));
                    loaded.into_iter().map(entry).collect()
                };
                let content = Content {
                    static_root: package.static_folder.map(StaticRoot::new),
                    public_root: package.public_folder.map(StaticRoot::new),
                    pages: entries(package.pages, Purpose::Page),
                    procedures: entries(package.procedures, Purpose::Rpc),
                };
                let files = Files::since(began, files.into_iter().chain([own]));
                Version { files, content: Some(Arc::new(content)), broken: None }
            }
            Err(failure) => {
                let files = Files::since(began, failure.files.into_iter().chain([own]));
                let known = last.and_then(|last| last.broken.clone()).filter(|broken| broken.text == failure.text);
                let broken = known.unwrap_or_else(|| Arc::new(log_broken(Purpose::Page, &mount.package, failure.text)));
                Version { files, content: last.and_then(|last| last.content.clone()), broken: Some(broken) }
            }
        }
    }
}

fn entry(mount: &Mount, name: String, loaded: Loaded, purpose: Purpose) -> Entry {
    let origin = Arc::new(Origin {
        purpose,
        name,
        mount: if purpose == Purpose::Page { mount.pages.clone() } else { mount.procedures.clone() },
        package: mount.package.display().to_string(),
    });
    let template = loaded.template.as_ref().map(|template| PageTemplate::named(template, None));
    Entry { origin, loaded, template }
}
