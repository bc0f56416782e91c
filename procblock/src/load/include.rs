//! `__import__NAME: file` and `__load: file`: finding and reading what a file includes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::load::budget::{Budget, CHAIN_MAX, INCLUDES_MAX};
use crate::load::problem::shown;
use crate::load::read::{self, Kinds, Unreadable};
use crate::load::{Kind, Mark, Node, Problems, Source, tree};

/// Bytes of a path, as Linux has it (limits.h).
const PATH_MAX: usize = 4096;

/// What one load has in hand while it goes from file to file.
pub(crate) struct Loader {
    pub(crate) problems: Problems,
    pub(crate) budget: Budget,
    /// Every file read, absolute, in the order of their first reading.
    pub(crate) files: Vec<PathBuf>,
    /// Whether it is a block file: its includes are followed, and an empty file is an empty mapping. In data their
    /// keys are keys like any other, and an empty file is null.
    pub(crate) is_block: bool,
    /// Set when a bound was passed and told: nothing more is read.
    pub(crate) is_ended: bool,
    /// The files that are being read, the first one outermost.
    chain: Vec<Link>,
}

struct Link {
    source: Arc<Source>,
    /// Without symbolic links, to know the file again.
    identity: PathBuf,
}

impl Loader {
    pub(crate) fn new(is_block: bool) -> Self {
        Loader {
            problems: Problems::new(),
            budget: Budget::default(),
            files: Vec::new(),
            is_block,
            is_ended: false,
            chain: Vec::new(),
        }
    }

    /// Parses a source and all it includes. `depth` is that of the place where it will stand.
    pub(crate) fn enter(&mut self, source: &Arc<Source>, depth: usize) -> Option<Node> {
        let path = source.folder.join(source.name.file_name().unwrap_or_default());
        let identity = path.canonicalize().unwrap_or(path);
        self.chain.push(Link { source: Arc::clone(source), identity });
        let root = tree::parse(self, source, depth);
        self.chain.pop();
        root
    }

    /// The contents of the file that the text `wanted` names, or nothing when a problem was reported.
    pub(crate) fn include(&mut self, wanted: &Node, depth: usize) -> Option<Node> {
        if self.is_ended {
            return None;
        }
        let name = self.file_name(wanted)?;
        if !self.budget.take_include() {
            self.is_ended = true;
            let what = format!("more than {INCLUDES_MAX} files are included");
            self.problems.error(&wanted.mark, what, "remove includes of the same file, or put files together");
            return None;
        }
        let source = match self.find(&wanted.mark.source, &name) {
            Ok(source) => source,
            Err(Unreadable { mark, what, remedy }) => {
                self.problems.error(&mark.unwrap_or_else(|| wanted.mark.clone()), what, remedy);
                return None;
            }
        };
        if self.refuses_chain(wanted, &source) {
            return None;
        }
        self.remember(&source);
        self.enter(&source, depth)
    }

    /// Adds a file to those read.
    pub(crate) fn remember(&mut self, source: &Source) {
        let path = source.folder.join(source.name.file_name().unwrap_or_default());
        if !self.files.contains(&path) {
            self.files.push(path);
        }
    }

    fn file_name(&mut self, wanted: &Node) -> Option<PathBuf> {
        let Kind::Scalar(value, _) = &wanted.kind else {
            let what = format!("an include names a file, and this is {}", wanted.kind_phrase());
            self.problems.error(&wanted.mark, what, "write the path of a YAML file");
            return None;
        };
        let text = match value.as_str() {
            Some(text) if !text.trim().is_empty() => text,
            _ => {
                self.problems.error(
                    &wanted.mark,
                    "an include without the name of a file",
                    "write the path of a YAML file",
                );
                return None;
            }
        };
        if text.len() > PATH_MAX {
            self.problems.error(&wanted.mark, format!("a path of {} bytes", text.len()), "write a shorter path");
            return None;
        }
        if text.contains("${") || text.contains('\0') {
            let what = format!("the path of an include can't be computed: {}", shown(text));
            self.problems.error(&wanted.mark, what, "write the path itself: files are included before anything runs");
            return None;
        }
        Some(PathBuf::from(text))
    }

    /// Reads `name` from the folder of the file that names it, else from that of the outermost file.
    ///
    /// Ancestor: tried the working directory, then the folder of the outermost file.
    fn find(&self, from: &Arc<Source>, name: &Path) -> Result<Arc<Source>, Unreadable> {
        let top = self.chain.first().map_or(from, |link| &link.source);
        let mut places = vec![(beside(from, name), from.folder.join(name))];
        if top.folder != from.folder && name.is_relative() {
            places.push((beside(top, name), top.folder.join(name)));
        }
        if let Some((shown, path)) = places.iter().find(|(_, path)| path.exists()) {
            return read::read(shown, path, Kinds::RegularFile);
        }
        // What is there but can't be looked at is told as such.
        if let Some((shown, path)) = places.iter().find(|(_, path)| path.symlink_metadata().is_ok()) {
            return read::read(shown, path, Kinds::RegularFile);
        }
        let (names, paths): (Vec<PathBuf>, Vec<PathBuf>) = places.into_iter().unzip();
        let mut missing = read::missing(name, &paths);
        let tried: Vec<String> = names.iter().map(|name| name.display().to_string()).collect();
        missing.what = format!("{} (tried {})", missing.what, tried.join(" and "));
        Err(missing)
    }

    fn refuses_chain(&mut self, wanted: &Node, source: &Arc<Source>) -> bool {
        let path = source.folder.join(source.name.file_name().unwrap_or_default());
        let identity = path.canonicalize().unwrap_or(path);
        if let Some(first) = self.chain.iter().position(|link| link.identity == identity) {
            let names = self.chain.iter().skip(first).map(|link| &link.source.name).chain([&source.name]);
            let names: Vec<String> = names.map(|name| name.display().to_string()).collect();
            let what = format!("a file includes itself: {}", names.join(" -> "));
            self.problems.error(&wanted.mark, what, "remove one of these includes");
            return true;
        }
        if self.chain.len() >= CHAIN_MAX {
            let what = format!("more than {CHAIN_MAX} files include each other in a chain");
            self.problems.error(&wanted.mark, what, "include from fewer levels");
            return true;
        }
        false
    }
}

/// How messages call a file that `from` includes: as if the user had named it from where they stand.
fn beside(from: &Source, name: &Path) -> PathBuf {
    from.name.parent().map_or_else(|| name.to_owned(), |folder| folder.join(name))
}

/// Checks that an included file is a mapping where it must be one.
pub(crate) fn require_mapping(loaded: &Node, at: &Mark, problems: &mut Problems) -> bool {
    if loaded.entries().is_some() {
        return true;
    }
    let name = loaded.mark.source.name.display();
    let what = format!("__load puts the keys of a file here, and {name} is {}", loaded.kind_phrase());
    problems.error(at, what, "make the file a mapping, or use __import__NAME to put it under a key");
    false
}
