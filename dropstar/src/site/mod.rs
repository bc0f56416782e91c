//! From Host and path to a route: folder sites, packages with mounts, and what was made of their files.

mod folder;
mod fresh;
mod package;
mod route;
mod stamp;

use std::sync::Arc;

use foldhash::HashMap;

pub(crate) use fresh::{Current, Fresh};
pub(crate) use route::{Broken, Entry, Own, Route};
pub(crate) use stamp::{Files, Looked, Moment, Stamp};

use crate::answer::StaticFiles;
use crate::request::RequestHead;
use crate::{Loader, Purpose, ServeConfig, SiteContent};
use folder::FolderSite;
use package::MountedPackage;

/// What sites need to find something.
pub(crate) struct Shared {
    /// Makes programs of files.
    pub(crate) loader: Arc<dyn Loader>,
    /// Static files in memory.
    pub(crate) static_files: Arc<StaticFiles>,
}

/// What is looked for in a site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The decoded path.
    pub(crate) path: &'a str,
    /// When the request came: what changed before that is seen.
    pub(crate) came: Moment,
}

impl<'a> Asked<'a> {
    fn of(head: &'a RequestHead) -> Asked<'a> {
        Asked { path: &head.path, came: head.came }
    }
}

/// The sites of a listener.
pub(crate) struct Sites {
    sites: Vec<Content>,
    hosts: HashMap<String, Place>,
    /// The path of the status page.
    status: String,
    shared: Shared,
}

/// Where a host leads.
#[derive(Clone, Copy)]
struct Place {
    site: usize,
    /// One package of it, for an alias of that package.
    package: Option<usize>,
}

enum Content {
    Folder(FolderSite),
    Packages(Vec<MountedPackage>),
}

impl Sites {
    /// The sites of a configuration. Reads no file yet.
    pub(crate) fn new(config: &ServeConfig, shared: Shared) -> Sites {
        let mut hosts = HashMap::default();
        for (index, site) in config.sites.iter().enumerate() {
            for host in std::iter::once(&site.name).chain(&site.aliases) {
                hosts.entry(normal(host)).or_insert(Place { site: index, package: None });
            }
        }
        for (index, site) in config.sites.iter().enumerate() {
            let SiteContent::Packages(mounts) = &site.content else { continue };
            for (package, mount) in mounts.iter().enumerate() {
                for host in &mount.aliases {
                    let place = Place { site: index, package: Some(package) };
                    hosts.entry(normal(host)).or_insert(place);
                }
            }
        }
        let sites = config.sites.iter().map(|site| match &site.content {
            SiteContent::Folder(folder) => Content::Folder(FolderSite::new(folder)),
            SiteContent::Packages(mounts) => Content::Packages(mounts.iter().map(MountedPackage::new).collect()),
        });
        Sites { sites: sites.collect(), hosts, status: config.status.clone(), shared }
    }

    /// What a request is for. May ask the file system and load a page; reads nothing of a body and runs nothing.
    pub(crate) async fn route(&self, head: &RequestHead) -> Route {
        let Some((site, package)) = self.site(head) else { return Route::Missing };
        if let Some(own) = Own::at(&head.path, &self.status) {
            return Route::Own(own);
        }
        site.route(Asked::of(head), package, &self.shared).await
    }

    /// Every procedure of the site that a request reaches, sorted by its path.
    pub(crate) async fn procedures(&self, head: &RequestHead) -> Vec<Arc<Entry>> {
        let mut entries = match self.site(head) {
            None => Vec::new(),
            Some((Content::Folder(folder), _)) => folder.procedures(&self.shared, head.came).await,
            Some((Content::Packages(packages), package)) => {
                let mut entries = Vec::new();
                for (index, mounted) in packages.iter().enumerate() {
                    if package.is_none_or(|only| only == index) {
                        entries.extend(mounted.procedures(&self.shared, head.came).await);
                    }
                }
                entries
            }
        };
        entries.sort_by_key(|entry| entry.path());
        entries.dedup_by_key(|entry| entry.path());
        entries
    }

    /// The procedure that JSON-RPC calls by this name: the rest of its path behind `/rpc/`, or its whole path without
    /// the first slash.
    pub(crate) async fn procedure(&self, head: &RequestHead, method: &str) -> Route {
        let Some((site, package)) = self.site(head) else { return Route::Missing };
        for path in [format!("/rpc/{method}"), format!("/{method}")] {
            let asked = Asked { path: &path, came: head.came };
            let route = site.route(asked, package, &self.shared).await;
            if matches!(route, Route::Procedure(_) | Route::Broken(_)) {
                return route;
            }
        }
        Route::Missing
    }

    /// The site of a request's host. The guard has its say about hosts that no site names, which are the first site's:
    /// the listener's address, `localhost`, or any.
    fn site(&self, head: &RequestHead) -> Option<(&Content, Option<usize>)> {
        let place = self.hosts.get(&head.host).copied().unwrap_or(Place { site: 0, package: None });
        Some((self.sites.get(place.site)?, place.package))
    }
}

impl Content {
    /// What a path leads to, in one package or in all.
    async fn route(&self, asked: Asked<'_>, package: Option<usize>, shared: &Shared) -> Route {
        let packages = match self {
            Content::Folder(folder) => return folder.route(asked, shared).await,
            Content::Packages(packages) => packages,
        };
        let mut broken = None;
        for (index, mounted) in packages.iter().enumerate() {
            if package.is_some_and(|only| only != index) {
                continue;
            }
            match mounted.route(asked, shared).await {
                // A package that can't be read hides nothing of the others.
                Some(Route::Broken(found)) => broken = broken.or(Some(found)),
                Some(route) => return route,
                None => {}
            }
        }
        broken.map_or(Route::Missing, Route::Broken)
    }
}

/// A host as requests' are: in lower case, without the root's dot and the brackets of an address.
fn normal(host: &str) -> String {
    host.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase()
}
