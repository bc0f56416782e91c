//! Package files: static files, pages and RPCs by name, as the original's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dropstar::Purpose;

use crate::block::{Compiler, ScriptUse};
use crate::load::{Document, Entry, LoadError, Node, Problem, Problems, load_file};
use crate::serve::definition::{self, Definition};
use crate::spec::{FieldKind, FieldSpec, Fields};

const STATIC_FIELDS: &[FieldSpec] =
    &[FieldSpec::new("path", FieldKind::Path, "The folder whose files are served as they are.").required()];

/// The keys of a package file.
pub const PACKAGE_FIELDS: &[FieldSpec] = &[
    FieldSpec::new(
        "static",
        FieldKind::OneOf(&[FieldKind::Path, FieldKind::Mapping(STATIC_FIELDS)]),
        "The folder of static files; where the site has users they want a log-in.",
    ),
    FieldSpec::new(
        "public",
        FieldKind::OneOf(&[FieldKind::Path, FieldKind::Mapping(STATIC_FIELDS)]),
        "The folder of static files that anybody may read: styles, scripts and pictures of pages that need no log-in.",
    ),
    FieldSpec::new("http", FieldKind::MapOf(&FieldKind::Block), "The pages, by name; `index` is the mount itself."),
    FieldSpec::new("rpc", FieldKind::MapOf(&FieldKind::Block), "The RPCs, by name."),
    FieldSpec::new("blocks", FieldKind::MapOf(&FieldKind::Block), "Blocks that its pages and RPCs may `call`."),
];

/// A package, read and compiled, not tied to an instance.
pub struct PackageFile {
    /// The folder of static files, and where it is named.
    pub static_folder: Option<(PathBuf, Node)>,
    /// The folder of static files that anybody may read, likewise.
    pub public_folder: Option<(PathBuf, Node)>,
    /// The pages; one that is wrong does not keep the others from being served.
    pub pages: BTreeMap<String, Result<Definition, LoadError>>,
    /// The RPCs, likewise.
    pub procedures: BTreeMap<String, Result<Definition, LoadError>>,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    /// What `check` tells, though the package is served.
    pub warnings: Vec<Problem>,
    /// Every script that pages and RPCs name.
    pub scripts: Vec<ScriptUse>,
}

/// Reads a package file.
///
/// # Errors
/// It can't be read, or is wrong outside of its pages and RPCs.
pub fn load(file: &Path) -> Result<PackageFile, LoadError> {
    let (mut package, problems) = read(load_file(file)?);
    package.warnings.extend(problems.finish()?);
    Ok(package)
}

/// Whether a file looks like a package.
pub fn is_package(root: &Node) -> bool {
    let entries = root.entries().unwrap_or_default();
    let is_known = |entry: &Entry| PACKAGE_FIELDS.iter().any(|field| field.name == entry.key);
    let has_content = |name: &str| root.get(name).is_some_and(|entry| entry.value.entries().is_some());
    entries.iter().all(is_known) && (has_content("http") || has_content("rpc"))
}

/// Reads a package; the problems are those outside of its pages and RPCs.
pub fn read(document: Document) -> (PackageFile, Problems) {
    let root = Arc::new(document.root);
    let mut problems = Problems::new();
    let mut package = PackageFile {
        static_folder: None,
        public_folder: None,
        pages: BTreeMap::new(),
        procedures: BTreeMap::new(),
        files: document.files,
        warnings: document.warnings,
        scripts: Vec::new(),
    };
    let fields = Fields::read(&root, PACKAGE_FIELDS, "the package", &mut problems);
    package.static_folder = fields.node("static").and_then(|node| static_folder(node, "static", &mut problems));
    package.public_folder = fields.node("public").and_then(|node| static_folder(node, "public", &mut problems));
    for (key, purpose) in [("http", Purpose::Page), ("rpc", Purpose::Rpc)] {
        for entry in fields.node(key).and_then(Node::entries).unwrap_or_default() {
            check_name(entry, purpose, &mut problems);
            let definition = package.compile(entry, purpose, &root);
            let all = if purpose == Purpose::Page { &mut package.pages } else { &mut package.procedures };
            all.insert(entry.key.clone(), definition);
        }
    }
    (package, problems)
}

impl PackageFile {
    fn compile(&mut self, entry: &Entry, purpose: Purpose, root: &Arc<Node>) -> Result<Definition, LoadError> {
        let mut compiler = Compiler::new(Arc::clone(root), Vec::new());
        let definition = definition::read(&entry.value, purpose, &mut compiler);
        compiler.finish_called();
        self.files.extend_from_slice(compiler.files());
        self.scripts.append(&mut compiler.scripts);
        self.warnings.extend(compiler.problems.finish()?);
        Ok(definition)
    }
}

fn static_folder(node: &Node, name: &str, problems: &mut Problems) -> Option<(PathBuf, Node)> {
    let fields;
    let node = match node.as_text() {
        Some(_) => node,
        None => {
            fields = Fields::read(node, STATIC_FIELDS, name, problems);
            fields.node("path")?
        }
    };
    if node.as_text().is_some_and(|text| text.contains("${")) {
        problems.error(&node.mark, "the folder of static files can't hold ${…}", "write the path itself");
        return None;
    }
    Some((node.mark.source.resolve(node.as_text()?), node.clone()))
}

/// A name becomes a path of the site.
fn check_name(entry: &Entry, purpose: Purpose, problems: &mut Problems) {
    let name = entry.key.as_str();
    let word = definition::word(purpose);
    if let Some(what) = wrong_name(name) {
        problems.error(&entry.mark, format!("the name of the {word} {what}: \"{}\"", name.escape_debug()), NAME_FORMS);
    }
}

/// What a name may be.
const NAME_FORMS: &str = "expected letters, digits, - _ . and / between parts, without the mount";

/// Why a name can't be a path.
fn wrong_name(name: &str) -> Option<&'static str> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '/');
    if name.starts_with('/') || name.ends_with('/') {
        return Some("begins or ends with /");
    }
    if name.split('/').any(|part| part == ".." || part == "." || (part.is_empty() && !name.is_empty())) {
        return Some("is no path");
    }
    (!name.chars().all(is_plain)).then_some("has other characters than a path")
}
