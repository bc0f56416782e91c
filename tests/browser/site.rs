//! A folder site, served by the built procblock on a free port.

use std::path::PathBuf;

use crate::support::{Run, Running};

/// A run that serves something. Dropped, it is ended.
pub(crate) struct Served {
    running: Running,
    url: String,
}

impl Served {
    /// Serves these files of a folder site: `("pages/index.html", "…")`.
    pub(crate) fn folder<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let run = Run::block("serve: {port: 0, folder: site}\n");
        let run = files.into_iter().fold(run, |run, (name, text)| run.file(&format!("site/{name}"), text));
        Served::start(run)
    }

    /// Starts a run that serves on a free port, and waits until it does.
    pub(crate) fn start(run: Run) -> Self {
        let running = run.own(["-v"]).start();
        let text = running.wait_for_error_text("serving http");
        let (_, rest) = text.split_once("serving http").unwrap();
        let rest = rest.split(['"', '\n']).next().unwrap_or_default();
        let url = format!("http{}", rest.trim_end().trim_end_matches('/'));
        Served { running, url }
    }

    /// Stops it and starts it again in its folder.
    pub(crate) fn again(self) -> Self {
        let ended = self.running.interrupt();
        assert_eq!(ended.code, Some(0), "{ended}");
        Served::start(Run::again(&ended))
    }

    /// The address of a path of it, `/` at its beginning.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A path in the run's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.running.path(name)
    }
}
