//! What a request is for.

use std::sync::Arc;

use crate::answer::{PageTemplate, StaticFile};
use crate::request::Origin;
use crate::{Declaration, Loaded, Need, Purpose};

/// What a request is for. Every one is decided about by the guard before it is answered.
#[derive(Clone)]
pub(crate) enum Route {
    /// A page of the site.
    Page(Arc<Entry>),
    /// A procedure of the site, called flat.
    Procedure(Arc<Entry>),
    /// A page or procedure whose file is wrong.
    Broken(Arc<Broken>),
    /// A file of the site.
    Static(Arc<StaticFile>),
    /// A file of the site that anybody may read.
    Public(Arc<StaticFile>),
    /// The same with a slash at its end, under which it is a folder's index.
    Folder(String),
    /// One of the server's own.
    Own(Own),
    /// There is no such thing.
    Missing,
}

/// The server's own routes, the same on every site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Own {
    /// `/rpc`: the list of procedures, and JSON-RPC 2.0.
    Procedures,
    /// `/openapi.json`.
    OpenApi,
    /// `/dropstar.js`.
    Script,
    /// `/dropstar-charts.js`.
    Charts,
    /// `/events`.
    Events,
    /// Under `/graph/`: pictures of series.
    Graph,
    /// Under `/series/`: what series hold.
    Series,
    /// `/healthz`.
    Health,
    /// `/readyz`.
    Ready,
    /// `/metrics`.
    Metrics,
    /// The status pages, at the path that the configuration names and below it.
    Status,
    /// `/version`.
    Version,
    /// `/login`.
    LogIn,
    /// `/logout`.
    LogOut,
}

impl Own {
    /// Those with a path of their own.
    pub(crate) const ALL: &[(&str, Own)] = &[
        ("/rpc", Own::Procedures),
        ("/openapi.json", Own::OpenApi),
        ("/dropstar.js", Own::Script),
        ("/dropstar-charts.js", Own::Charts),
        ("/events", Own::Events),
        ("/healthz", Own::Health),
        ("/readyz", Own::Ready),
        ("/metrics", Own::Metrics),
        ("/version", Own::Version),
        ("/login", Own::LogIn),
        ("/logout", Own::LogOut),
    ];

    /// Those that are asked for something below their path.
    pub(crate) const ABOVE: &[(&str, Own)] = &[("/graph/", Own::Graph), ("/series/", Own::Series)];

    /// The one at this path; `status` is that of the status pages.
    pub(crate) fn at(path: &str, status: &str) -> Option<Own> {
        if path.strip_prefix(status).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Some(Own::Status);
        }
        let exact = Own::ALL.iter().find(|(own, _)| *own == path);
        exact.or_else(|| Own::ABOVE.iter().find(|(own, _)| path.starts_with(own))).map(|(_, own)| *own)
    }

    /// What stands behind the path of one of [`Own::ABOVE`].
    pub(crate) fn below(self, path: &str) -> &str {
        let own = Own::ABOVE.iter().find(|(_, own)| *own == self);
        own.and_then(|(own, _)| path.strip_prefix(own)).unwrap_or_default()
    }
}

impl Route {
    /// What it says about itself.
    pub(crate) fn declaration(&self) -> Option<&Declaration> {
        match self {
            Route::Page(entry) | Route::Procedure(entry) => Some(&entry.loaded.declaration),
            _ => None,
        }
    }

    /// Who may use it, where it says so.
    pub(crate) fn need(&self) -> Option<Need> {
        self.declaration().and_then(|declaration| declaration.need)
    }

    /// Whether it changes nothing by any method.
    pub(crate) fn is_read_only(&self) -> bool {
        self.declaration().is_some_and(|declaration| declaration.is_read_only)
    }

    /// Whether it is answered as JSON whatever the request accepts.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Route::Own(Own::LogIn | Own::LogOut | Own::Status) => false,
            Route::Procedure(_) | Route::Own(_) => true,
            Route::Broken(broken) => broken.purpose == Purpose::Rpc,
            _ => false,
        }
    }
}

/// A page or procedure that can be run.
pub(crate) struct Entry {
    /// Where it is from.
    pub(crate) origin: Arc<Origin>,
    /// What runs it.
    pub(crate) loaded: Loaded,
    /// What a page's values fill.
    pub(crate) template: Option<PageTemplate>,
}

impl Entry {
    /// The path at which it is.
    pub(crate) fn path(&self) -> String {
        format!("{}{}", self.origin.mount, self.origin.name)
    }

    /// The methods that it answers to, as the header Allow lists them.
    pub(crate) fn methods(&self) -> &'static str {
        match (self.origin.purpose, self.loaded.declaration.is_read_only) {
            (Purpose::Page, true) => "GET, HEAD, OPTIONS",
            (Purpose::Page, false) => "GET, HEAD, OPTIONS, POST",
            (Purpose::Rpc, true) => "GET, HEAD, OPTIONS, POST",
            (Purpose::Rpc, false) => "OPTIONS, POST",
        }
    }
}

/// A page or procedure whose file is wrong. It is logged once, when it is found; each answer names the same id.
#[derive(Debug)]
pub(crate) struct Broken {
    /// What the file was to be.
    pub(crate) purpose: Purpose,
    /// What the log has it under.
    pub(crate) id: String,
    /// What is wrong, with its place.
    pub(crate) text: String,
}
