//! What is served: from site files and the `serve` tag to listeners with their sites.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dropstar::{ServeConfig, Site, SiteContent};

use crate::load::{Document, Entry, LoadError, Mark, Node, Problem, Problems, load_data_file};
use crate::serve::fields::SERVE_FIELDS;
use crate::serve::listener;
use crate::serve::site::{Draft, folder_site, hosts, is_of_listener, missing, mounts, site_file};
use crate::spec::{Fields, same_key};

/// What `serve` has exactly one of.
const ONE_OF: &str = "expected one of: folder, site, packages; a list serves several";

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
    match (item.as_text(), document) {
        (Some(_), Some(document)) => site_file(document, problems),
        (Some(text), None) if is_yaml(text) => Vec::new(),
        (Some(_), None) => folder_site(item, Vec::new(), problems).into_iter().collect(),
        (None, document) if item.entries().is_some() => read_mapping(item, document, problems),
        (None, _) => {
            let what = format!("serve is a {}", item.kind_name());
            problems.error(&item.mark, what, "expected a folder, a site file, or a mapping with folder or site");
            Vec::new()
        }
    }
}

fn read_mapping<'n>(item: &'n Node, document: Option<&'n Document>, problems: &mut Problems) -> Vec<Draft<'n>> {
    let fields = Fields::read(item, SERVE_FIELDS, "serve", problems);
    let own: Vec<&Entry> = item.entries().unwrap_or_default().iter().filter(|entry| is_of_listener(entry)).collect();
    let draft = match ["folder", "site", "packages"].map(|name| fields.node(name)) {
        [Some(folder), None, None] => folder_site(folder, own, problems),
        [None, None, Some(packages)] => Some(inline_site(item, packages, own, problems)),
        [None, Some(_), None] => {
            if let Some(aliases) = fields.entry("aliases") {
                problems.error(&aliases.mark, "aliases beside a site file", "write them into the site file");
            }
            let Some(document) = document else { return Vec::new() };
            return override_listeners(site_file(document, problems), &own, problems);
        }
        [None, None, None] => {
            problems.error(&item.mark, "serve says nothing to serve", ONE_OF);
            None
        }
        _ => {
            problems.error(&item.mark, "serve names several", ONE_OF);
            None
        }
    };
    draft.map(|draft| with_aliases(draft, &fields, problems)).into_iter().collect()
}

/// A site whose packages stand in `serve` itself; its name is that of the file.
fn inline_site<'n>(item: &Node, packages: &Node, entries: Vec<&'n Entry>, problems: &mut Problems) -> Draft<'n> {
    let source = &item.mark.source;
    let name = source.name.file_stem().map_or("site".into(), |stem| stem.to_string_lossy().to_lowercase());
    let content = SiteContent::Packages(mounts(packages, problems));
    let site = Site { name, aliases: Vec::new(), content };
    Draft { site, mark: item.mark.clone(), entries, home: source.folder.clone() }
}

fn with_aliases<'n>(mut draft: Draft<'n>, fields: &Fields<'_>, problems: &mut Problems) -> Draft<'n> {
    draft.site.aliases = fields.node("aliases").map(|node| hosts(node, problems)).unwrap_or_default();
    draft
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
