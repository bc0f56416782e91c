//! Templates of pages. The only module that names minijinja.

mod names;
mod own;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value as Filled};
use parking_lot::RwLock;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::Template;
use crate::site::{Current, Files, Fresh, Moment};

pub(crate) use names::{Names, OwnNames};
pub(crate) use own::{OwnTemplates, below};

/// How much work one template may do, in minijinja's units of one instruction each.
const FUEL: u64 = 10_000_000;

/// A template that took no longer than this is filled on its worker the next time, any other beside the workers.
const QUICK: Duration = Duration::from_millis(1);

/// Templates that one page may be made of.
const PARTS_MAX: usize = 1000;

/// A template, in bytes.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The name under which a page's own template is known to its layouts.
const OWN: &str = "page.html";

/// What a page's values fill. Layouts and includes are looked for in its own folder, then in the site's.
pub(crate) struct PageTemplate {
    template: Template,
    /// Whether who holds this makes another when the template's own file changes.
    is_watched: bool,
    folders: Arc<[PathBuf]>,
    compiled: Fresh<Compiled>,
}

struct Compiled {
    environment: Result<Environment<'static>, String>,
    /// What a page's own template is called in errors.
    place: String,
    parts: Arc<RwLock<Vec<Files>>>,
    /// Whether it was filled quickly the last time.
    is_quick: AtomicBool,
}

impl Current for Compiled {
    fn is_current(&self) -> bool {
        self.parts.read().iter().all(Files::is_current)
    }
}

impl PageTemplate {
    /// A template that a definition names; it is read at the first request, and again when it or a part of it has
    /// changed.
    pub(crate) fn named(template: &Template, site_folder: Option<&Path>) -> PageTemplate {
        let own = match template {
            Template::File(path) => path.parent().unwrap_or(Path::new("/")).to_path_buf(),
            Template::Text { folder, .. } => folder.clone(),
        };
        let site_folder = site_folder.filter(|folder| **folder != own).map(Path::to_path_buf);
        PageTemplate {
            template: template.clone(),
            is_watched: false,
            folders: std::iter::once(own).chain(site_folder).collect(),
            compiled: Fresh::default(),
        }
    }

    /// The template of a dropped-in page, which watches its file, so that it is asked about once a request.
    pub(crate) fn dropped_in(path: PathBuf, site_folder: &Path) -> PageTemplate {
        let template = PageTemplate::named(&Template::File(path), Some(site_folder));
        PageTemplate { is_watched: true, ..template }
    }

    /// The template filled, for a request that came at this moment.
    ///
    /// # Errors
    /// It or a part of it can't be read or is wrong, a name is missing, or it does not end.
    pub(crate) async fn fill(&self, names: Names, came: Moment) -> Result<String, String> {
        let compiled = match self.compiled.current(came) {
            Some(compiled) => compiled,
            None => {
                let (template, folders) = (self.template.clone(), Arc::clone(&self.folders));
                let is_watched = self.is_watched;
                self.compiled.get(came, move |_| Compiled::new(&template, is_watched, &folders)).await
            }
        };
        compiled.fill(names)
    }
}

/// Does what may take long in the place of a blocking call, so that another thread takes over this worker.
fn beside_the_workers<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn describe(error: &minijinja::Error, own: &str) -> String {
    let name = error.name().filter(|name| *name != OWN).map_or(own.to_string(), |name| format!("template {name}"));
    let place = error.line().map_or(String::new(), |line| format!("{name}:{line}: "));
    let mut text = format!("{place}{}", error.kind());
    if let Some(detail) = error.detail() {
        text.push_str(": ");
        text.push_str(detail);
    }
    if error.kind() == ErrorKind::UndefinedError {
        text.push_str("; have the page return it, or write {{ NAME | default(\"\") }}");
    }
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

impl Compiled {
    fn new(template: &Template, is_watched: bool, folders: &Arc<[PathBuf]>) -> Compiled {
        let began = SystemTime::now();
        let parts: Arc<RwLock<Vec<Files>>> = Arc::default();
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(escaping);
        environment.set_loader(loader(Arc::clone(folders), Arc::clone(&parts)));
        let (own, place) = match template {
            Template::File(path) => {
                if !is_watched {
                    parts.write().push(Files::since(began, [path.clone()]));
                }
                let place = format!("template {}", path.display());
                (read(path).map_err(|error| format!("{place}: {error}")), place)
            }
            Template::Text { text, .. } => (Ok(text.to_string()), "template".to_string()),
        };
        let added =
            own.and_then(|own| environment.add_template_owned(OWN, own).map_err(|error| describe(&error, &place)));
        Compiled { environment: added.map(|()| environment), place, parts, is_quick: AtomicBool::new(false) }
    }

    fn fill(&self, names: Names) -> Result<String, String> {
        let environment = self.environment.as_ref().map_err(Clone::clone)?;
        let fill = || environment.get_template(OWN).and_then(|template| template.render(Filled::from_object(names)));
        let begun = Instant::now();
        let filled = if self.is_quick.load(Ordering::Relaxed) { fill() } else { beside_the_workers(fill) };
        self.is_quick.store(begun.elapsed() <= QUICK, Ordering::Relaxed);
        filled.map_err(|error| describe(&error, &self.place))
    }
}

/// Everything is HTML unless it says that it is plain text.
fn escaping(name: &str) -> AutoEscape {
    if name.ends_with(".txt") { AutoEscape::None } else { AutoEscape::Html }
}

fn loader(
    folders: Arc<[PathBuf]>,
    parts: Arc<RwLock<Vec<Files>>>,
) -> impl Fn(&str) -> Result<Option<String>, minijinja::Error> + Send + Sync + 'static {
    move |name| {
        if name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, format!("{name} is no name of a template")));
        }
        if parts.read().len() >= PARTS_MAX {
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "too many templates for one page"));
        }
        let began = SystemTime::now();
        let paths = folders.iter().map(|folder| folder.join(name));
        let found = paths.clone().find(|path| path.is_file());
        // One that is not there counts too: a page of an `ignore missing` changes when it appears.
        let seen = paths.take_while(|path| Some(path) != found.as_ref()).chain(found.clone());
        parts.write().push(Files::since(began, seen));
        let Some(path) = found else { return Ok(None) };
        read(&path).map(Some).map_err(|error| {
            minijinja::Error::new(ErrorKind::InvalidOperation, format!("{} can't be read", path.display()))
                .with_source(error)
        })
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let size = std::fs::metadata(path)?.len();
    if size > BYTES_MAX {
        return Err(std::io::Error::other(format!("it has {size} bytes, more than {BYTES_MAX}")));
    }
    std::fs::read_to_string(path)
}
