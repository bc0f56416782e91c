//! Sites: from site files, folders and the `serve` tag to listeners and what stands on them.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dropstar::{Mount, ServeConfig, Site, SiteContent};

use crate::load::{Document, Entry, LoadError, Mark, Node, Problem, Problems, likely_name, load_data_file};
use crate::serve::fields::{LISTENER_FIELDS, MOUNT_FIELDS, SERVE_FIELDS, SITE_FIELDS};
use crate::serve::listener;
use crate::spec::{Fields, same_key};

/// Folders of which a site that is a folder has at least one.
pub const SITE_FOLDERS: [&str; 4] = ["pages", "rpc", "static", "templates"];

/// What is served, and what was read for it.
#[derive(Debug, Default)]
pub struct Serving {
    /// The listeners with their sites.
    pub configs: Vec<ServeConfig>,
    /// What the sites hold, with the place that names it.
    pub contents: Vec<(SiteContent, Mark)>,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
}

/// A site with its listener, as it was read.
struct Draft<'n> {
    site: Site,
    mark: Mark,
    /// What is said of the listener; what stands first wins.
    entries: Vec<&'n Entry>,
    home: PathBuf,
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

/// Reads a site file.
///
/// # Errors
/// It can't be read, or is wrong.
pub fn load(file: &Path) -> Result<(Serving, Vec<Problem>), LoadError> {
    let document = load_data_file(file)?;
    let mut problems = Problems::new();
    let drafts = site_file(&document, &mut problems);
    let mut serving = gather(drafts, &mut problems);
    serving.files = document.files;
    let mut warnings = document.warnings;
    warnings.extend(problems.finish()?);
    Ok((serving, warnings))
}

/// Reads the value of `serve`: a folder, a site file, a mapping, or a list of these.
pub fn read(node: &Node, problems: &mut Problems) -> Serving {
    let own = std::slice::from_ref(node);
    let items = node.items().unwrap_or(own);
    if items.is_empty() {
        problems.error(&node.mark, "serve names nothing", "expected a folder, a site file or a list of these");
    }
    // Sites that are read from a file live as long as their document.
    let documents: Vec<Option<Document>> = items.iter().map(|item| document_of(item, problems)).collect();
    let mut drafts = Vec::new();
    for (item, document) in items.iter().zip(&documents) {
        drafts.extend(read_item(item, document.as_ref(), problems));
    }
    let mut serving = gather(drafts, problems);
    serving.files = documents.into_iter().flatten().flat_map(|document| document.files).collect();
    serving
}

/// The path node of the site file that an item names.
fn site_path(item: &Node) -> Option<&Node> {
    match item.as_text() {
        Some(text) if is_yaml(text) => Some(item),
        Some(_) => None,
        None => item.get("site").map(|entry| &entry.value).filter(|node| node.as_text().is_some()),
    }
}

fn is_yaml(text: &str) -> bool {
    text.ends_with(".yaml") || text.ends_with(".yml")
}

/// The path of a file, as a person would write it who named the file that names it.
fn as_named(node: &Node) -> Option<PathBuf> {
    let source = &node.mark.source;
    let path = source.resolve(node.as_text()?);
    let near = source.name.parent()?.join(node.as_text()?);
    let is_same = near.canonicalize().ok().zip(path.canonicalize().ok()).is_some_and(|(near, path)| near == path);
    Some(if is_same { near } else { path })
}

fn document_of(item: &Node, problems: &mut Problems) -> Option<Document> {
    let node = site_path(item)?;
    let path = as_named(node)?;
    match load_data_file(&path) {
        Ok(document) => Some(document),
        Err(_) if !path.exists() => {
            missing(node, &path, "site file", problems);
            None
        }
        Err(error) => {
            for problem in error.problems {
                problems.error(&problem.mark, problem.what, problem.remedy.unwrap_or_default());
            }
            None
        }
    }
}

fn read_item<'n>(item: &'n Node, document: Option<&'n Document>, problems: &mut Problems) -> Vec<Draft<'n>> {
    if let Some(text) = item.as_text() {
        return match document {
            Some(document) => site_file(document, problems),
            None if is_yaml(text) => Vec::new(),
            None => folder_site(item, Vec::new(), problems).into_iter().collect(),
        };
    }
    if item.entries().is_none() {
        let what = format!("serve is a {}", item.kind_name());
        problems.error(&item.mark, what, "expected a folder, a site file, or a mapping with folder or site");
        return Vec::new();
    }
    let fields = Fields::read(item, SERVE_FIELDS, "serve", problems);
    let own: Vec<&Entry> = item.entries().unwrap_or_default().iter().filter(|entry| is_of_listener(entry)).collect();
    let given = ["folder", "site", "packages"].map(|name| fields.entry(name));
    let [folder, site, packages] = given;
    if given.iter().flatten().count() != 1 {
        let what =
            if given.iter().flatten().next().is_none() { "serve says nothing to serve" } else { "serve names several" };
        problems.error(&item.mark, what, "expected one of: folder, site, packages; a list serves several");
        return Vec::new();
    }
    if let (Some(document), Some(_)) = (document, site) {
        if let Some(aliases) = fields.entry("aliases") {
            problems.error(&aliases.mark, "aliases beside a site file", "write them into the site file");
        }
        return override_listeners(site_file(document, problems), &own, problems);
    }
    if let Some(folder) = folder {
        return folder_site(&folder.value, own, problems)
            .map(|draft| with_aliases(draft, &fields, problems))
            .into_iter()
            .collect();
    }
    packages
        .and_then(|packages| {
            let name = item.mark.source.name.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let content = SiteContent::Packages(mounts(&packages.value, problems));
            let site = Site { name: name.unwrap_or_else(|| "site".into()), aliases: Vec::new(), content };
            let draft = Draft { site, mark: item.mark.clone(), entries: own, home: item.mark.source.folder.clone() };
            Some(with_aliases(draft, &fields, problems))
        })
        .into_iter()
        .collect()
}

fn with_aliases<'n>(mut draft: Draft<'n>, fields: &Fields<'_>, problems: &mut Problems) -> Draft<'n> {
    draft.site.aliases = fields.node("aliases").map(|node| hosts(node, problems)).unwrap_or_default();
    draft
}

fn is_of_listener(entry: &Entry) -> bool {
    LISTENER_FIELDS.iter().any(|field| same_key(&entry.key, field.name))
}

/// What `serve` says over what the sites of a file say.
fn override_listeners<'n>(mut drafts: Vec<Draft<'n>>, own: &[&'n Entry], problems: &mut Problems) -> Vec<Draft<'n>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for draft in &drafts {
        addresses.extend(listener::address(&draft.entries, &mut Problems::new()));
    }
    addresses.sort();
    addresses.dedup();
    if let (Some(port), true) = (own.iter().find(|entry| entry.key == "port"), addresses.len() > 1) {
        let what = "one port for sites that listen at several";
        problems.error(&port.mark, what, "give the ports in the site file");
    }
    for draft in &mut drafts {
        draft.entries.splice(0..0, own.iter().copied());
    }
    drafts
}

fn site_file<'n>(document: &'n Document, problems: &mut Problems) -> Vec<Draft<'n>> {
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

fn folder_site<'n>(node: &Node, entries: Vec<&'n Entry>, problems: &mut Problems) -> Option<Draft<'n>> {
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

fn missing(node: &Node, path: &Path, what: &str, problems: &mut Problems) {
    let remedy = likely_name(path).map_or_else(
        || "check the path: it is relative to the folder of the file that names it".to_owned(),
        |likely| format!("did you mean \"{likely}\"?"),
    );
    problems.error(&node.mark, format!("there is no {what} \"{}\"", node.as_text().unwrap_or_default()), remedy);
}

fn mounts(node: &Node, problems: &mut Problems) -> Vec<Mount> {
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

fn hosts(node: &Node, problems: &mut Problems) -> Vec<String> {
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

/// Puts the sites of one address together.
fn gather(drafts: Vec<Draft<'_>>, problems: &mut Problems) -> Serving {
    let mut serving = Serving::default();
    let mut listeners: Vec<(SocketAddr, Vec<Draft<'_>>)> = Vec::new();
    for draft in drafts {
        let Some(address) = listener::address(&draft.entries, problems) else { continue };
        serving.contents.push((draft.site.content.clone(), draft.mark.clone()));
        match listeners.iter_mut().find(|(known, _)| *known == address && address.port() != 0) {
            Some((_, drafts)) => drafts.push(draft),
            None => listeners.push((address, vec![draft])),
        }
    }
    for (address, drafts) in listeners {
        let entries = said_of_listener(&drafts, address, problems);
        let home = drafts.first().map(|draft| draft.home.clone()).unwrap_or_default();
        let mut config = listener::config(address, &entries, home, problems);
        refuse_twins(&drafts, address, problems);
        config.sites = drafts.into_iter().map(|draft| draft.site).collect();
        serving.configs.push(config);
    }
    serving
}

/// What the sites of a listener say of it, each key once; what contradicts is told.
fn said_of_listener<'n>(drafts: &[Draft<'n>], address: SocketAddr, problems: &mut Problems) -> Vec<&'n Entry> {
    let mut all: Vec<&Entry> = Vec::new();
    for draft in drafts {
        let mut own: Vec<&Entry> = Vec::new();
        for entry in &draft.entries {
            let is_same = |known: &&&Entry| same_key(&known.key.replace('_', " "), &entry.key.replace('_', " "));
            if own.iter().find(is_same).is_some() {
                continue;
            }
            own.push(*entry);
            match all.iter().find(is_same) {
                None => all.push(*entry),
                Some(known) if known.value.to_value() == entry.value.to_value() => {}
                Some(known) if is_same_address(&entry.key) => {
                    let _ = known;
                }
                Some(known) => {
                    let what =
                        format!("sites at {address} have another \"{}\", at line {}", entry.key, known.mark.line);
                    problems.error(&entry.mark, what, "say it once, or give the site a port of its own");
                }
            }
        }
    }
    all
}

/// Another spelling of the same address is no contradiction.
fn is_same_address(key: &str) -> bool {
    key == "port" || key == "listen"
}

fn refuse_twins(drafts: &[Draft<'_>], address: SocketAddr, problems: &mut Problems) {
    let mut seen: HashSet<&str> = HashSet::new();
    for draft in drafts {
        let own = draft.site.aliases.iter().chain([&draft.site.name]);
        let own: HashSet<&str> = own.map(String::as_str).collect();
        if let Some(twin) = own.iter().find(|host| seen.contains(*host)) {
            let what = format!("two sites at {address} answer for the host {twin}");
            problems.error(&draft.mark, what, "give one of them another name or port");
        }
        seen.extend(own);
    }
}
