//! Sites: what site files, folders and packages say, one by one.

use std::path::{Path, PathBuf};

use dropstar::{Mount, Site, SiteContent};

use crate::load::{Document, Entry, Mark, Node, Problems, likely_name};
use crate::serve::fields::{LISTENER_FIELDS, MOUNT_FIELDS, SITE_FIELDS};
use crate::serve::listener;
use crate::spec::{Fields, same_key};

/// Folders of which a site that is a folder has at least one.
pub const SITE_FOLDERS: [&str; 5] = ["pages", "public", "rpc", "static", "templates"];

/// A site with its listener, as it was read.
pub(super) struct Draft<'n> {
    pub(super) site: Site,
    pub(super) mark: Mark,
    /// What is said of the listener; what stands first wins.
    pub(super) entries: Vec<&'n Entry>,
    /// Where its file of users is looked for.
    pub(super) home: PathBuf,
}

/// Whether a YAML file looks like a site file: names of sites, each with what it holds.
pub fn is_site_file(root: &Node) -> bool {
    let entries = root.entries().unwrap_or_default();
    let has = |entry: &Entry, keys: &[&str]| keys.iter().any(|key| entry.value.get(key).is_some());
    let is_plain = |entry: &Entry| entry.value.entries().is_some() && crate::tag::find(&entry.key).is_none();
    let is_surely = |entry: &Entry| {
        has(entry, &["packages"]) || has(entry, &["folder"]) && has(entry, &["port", "listen", "aliases"])
    };
    let is_site = entries.iter().any(is_surely) || entries.iter().all(|entry| has(entry, &["folder"]));
    !entries.is_empty() && is_site && entries.iter().all(is_plain)
}

/// Whether a key of a site is said of its listener.
pub(super) fn is_of_listener(entry: &Entry) -> bool {
    LISTENER_FIELDS.iter().any(|field| same_key(&entry.key, field.name))
}

/// The sites of a site file.
pub(super) fn site_file<'n>(document: &'n Document, problems: &mut Problems) -> Vec<Draft<'n>> {
    let root = &document.root;
    let Some(entries) = root.entries().filter(|entries| !entries.is_empty()) else {
        let what = if root.is_null() {
            "the site file is empty".into()
        } else {
            format!("the site file is a {}", root.kind_name())
        };
        problems.error(
            &root.mark,
            what,
            "expected a mapping: HOST: {packages: [{path: FILE}]} or HOST: {folder: FOLDER}",
        );
        return Vec::new();
    };
    if let Some(entry) = entries.iter().find(|entry| crate::tag::find(&entry.key).is_some()) {
        let what = format!("a site file with the tag \"{}\"", entry.key);
        problems.error(
            &entry.mark,
            what,
            "a block file is run: procblock FILE; a site file maps hosts to what they hold",
        );
        return Vec::new();
    }
    entries.iter().filter_map(|entry| site(entry, problems)).collect()
}

fn site<'n>(entry: &'n Entry, problems: &mut Problems) -> Option<Draft<'n>> {
    if !is_host(&entry.key) {
        let what = format!("the site's name \"{}\" can't be a host", entry.key.escape_debug());
        problems.error(&entry.mark, what, "expected a host without port, such as admin.example");
    }
    let node = &entry.value;
    let fields = Fields::read(node, SITE_FIELDS, &format!("the site {}", entry.key), problems);
    let entries: Vec<&Entry> = node.entries()?.iter().filter(|entry| is_of_listener(entry)).collect();
    let content = match (fields.node("folder"), fields.node("packages")) {
        (Some(folder), None) => SiteContent::Folder(site_folder(folder, problems)?),
        (None, Some(packages)) => SiteContent::Packages(mounts(packages, problems)),
        (Some(_), Some(packages)) => {
            let what = format!("the site {} is a folder and has packages", entry.key);
            problems.error(&packages.mark, what, "make two sites of it");
            return None;
        }
        (None, None) => {
            let what = format!("the site {} holds nothing", entry.key);
            problems.error(&node.mark, what, "add packages: [{path: FILE}], or folder: FOLDER");
            return None;
        }
    };
    let aliases = fields.node("aliases").map(|node| hosts(node, problems)).unwrap_or_default();
    let site = Site { name: entry.key.to_lowercase(), aliases, content };
    Some(Draft { site, mark: entry.mark.clone(), entries, home: node.mark.source.folder.clone() })
}

pub(super) fn folder_site<'n>(node: &Node, entries: Vec<&'n Entry>, problems: &mut Problems) -> Option<Draft<'n>> {
    let folder = site_folder(node, problems)?;
    let name = folder.file_name().map_or("site".into(), |name| name.to_string_lossy().to_lowercase());
    let site = Site { name, aliases: Vec::new(), content: SiteContent::Folder(folder.clone()) };
    Some(Draft { site, mark: node.mark.clone(), entries, home: folder })
}

fn site_folder(node: &Node, problems: &mut Problems) -> Option<PathBuf> {
    let text = node.as_text()?;
    if text.contains("${") {
        problems.error(&node.mark, "the folder of a site can't hold ${…}", "write the path itself");
        return None;
    }
    let folder: PathBuf = node.mark.source.resolve(text).components().collect();
    if !folder.is_dir() {
        if folder.exists() {
            let what = format!("\"{text}\" is no folder");
            problems.error(&node.mark, what, "a site is a folder, or a site file whose name ends in .yaml");
        } else {
            missing(node, &folder, "folder", problems);
        }
        // Told; the rest of the site is read all the same.
        return Some(folder);
    }
    if !SITE_FOLDERS.iter().any(|name| folder.join(name).is_dir()) {
        let what = format!("the folder \"{text}\" holds no site");
        problems.warning(&node.mark, what, format!("expected one of the folders {} in it", SITE_FOLDERS.join(", ")));
    }
    Some(folder)
}

pub(super) fn missing(node: &Node, path: &Path, what: &str, problems: &mut Problems) {
    let remedy = likely_name(path).map_or_else(
        || "check the path: it is relative to the folder of the file that names it".to_owned(),
        |likely| format!("did you mean \"{likely}\"?"),
    );
    problems.error(&node.mark, format!("there is no {what} \"{}\"", node.as_text().unwrap_or_default()), remedy);
}

pub(super) fn mounts(node: &Node, problems: &mut Problems) -> Vec<Mount> {
    let items = node.items().unwrap_or_default();
    if items.is_empty() {
        problems.error(&node.mark, "packages is empty", "add - path: FILE");
    }
    items.iter().filter_map(|item| mount(item, problems)).collect()
}

fn mount(item: &Node, problems: &mut Problems) -> Option<Mount> {
    if item.as_text().is_some() {
        let package = package_path(item, problems)?;
        let (pages, procedures, static_files) = ("/".into(), "/rpc/".into(), "/".into());
        return Some(Mount { package, aliases: Vec::new(), pages, procedures, static_files });
    }
    let fields = Fields::read(item, MOUNT_FIELDS, "the package", problems);
    let mut prefix = |name: &str| fields.node(name).and_then(|node| mount_prefix(node, name, problems));
    let pages = prefix("mount").unwrap_or_else(|| "/".into());
    let procedures = prefix("mount rpc").unwrap_or_else(|| format!("{pages}rpc/"));
    let static_files = prefix("mount static").unwrap_or_else(|| pages.clone());
    let aliases = fields.node("aliases").map(|node| hosts(node, problems)).unwrap_or_default();
    let package = package_path(fields.node("path")?, problems)?;
    Some(Mount { package, aliases, pages, procedures, static_files })
}

fn package_path(node: &Node, problems: &mut Problems) -> Option<PathBuf> {
    let path = node.mark.source.resolve(node.as_text()?);
    if !path.exists() {
        missing(node, &path, "package file", problems);
        return None;
    }
    Some(path)
}

/// A prefix with `/` at both ends.
fn mount_prefix(node: &Node, name: &str, problems: &mut Problems) -> Option<String> {
    let text = node.as_text()?;
    let whole = if text.ends_with('/') { text.to_string() } else { format!("{text}/") };
    if !listener::is_path(&whole) {
        problems.error(&node.mark, format!("{name} is \"{text}\""), "expected a path such as / or /tools/");
        return None;
    }
    Some(whole)
}

pub(super) fn hosts(node: &Node, problems: &mut Problems) -> Vec<String> {
    let mut found = Vec::new();
    for item in node.items().unwrap_or_default() {
        let text = item.as_text().unwrap_or_default();
        if is_host(text) {
            found.push(text.to_lowercase());
        } else {
            let what = format!("the alias \"{}\" can't be a host", text.escape_debug());
            problems.error(&item.mark, what, "expected a host without port, such as admin.example");
        }
    }
    found
}

fn is_host(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=253).contains(&text.len()) && text.chars().all(is_plain)
}
