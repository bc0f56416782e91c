//! A whole file, loaded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::load::include::Loader;
use crate::load::read::{self, Kinds, Unreadable};
use crate::load::{Kind, LoadError, Mark, Node, Problem, Problems, Source};

/// A file with all that it includes.
#[derive(Debug)]
pub struct Document {
    /// What it holds; for block files always a mapping.
    pub root: Node,
    /// Every file that was read, absolute, in the order of their first reading; the changes of these matter.
    pub files: Vec<PathBuf>,
    /// What `check` tells though the file is accepted.
    pub warnings: Vec<Problem>,
}

/// Reads a block file and the files that it includes. An empty file is an empty mapping.
///
/// Blocks while it reads. At most 16 MiB a file, 1,000 includes in chains of at most 16, 1,000,000 nodes in 64
/// levels and 64 MiB of text, aliases expanded.
///
/// # Errors
/// Every problem found, each with its place: a file that can't be read, is not YAML or not a mapping.
pub fn load_file(path: &Path) -> Result<Document, LoadError> {
    load_text_of(read_top(path)?, Contents::Block, true)
}

/// As [`load_file`], from a text in hand; its includes are read from `source.folder`.
///
/// # Errors
/// As [`load_file`].
pub fn load_text(source: Arc<Source>) -> Result<Document, LoadError> {
    load_text_of(source, Contents::Block, false)
}

/// Reads a YAML file that is data, such as a state file: of any kind, and without includes. An empty one is null.
///
/// # Errors
/// As [`load_file`].
pub fn load_data_file(path: &Path) -> Result<Document, LoadError> {
    load_text_of(read_top(path)?, Contents::Data, true)
}

/// As [`load_data_file`], from a text in hand.
///
/// # Errors
/// As [`load_file`].
pub fn load_data_text(source: Arc<Source>) -> Result<Document, LoadError> {
    load_text_of(source, Contents::Data, false)
}

/// Reads a text file of whatever language. Blocks while it reads, at most 16 MiB.
///
/// # Errors
/// It can't be read, is larger, or is not UTF-8.
pub fn read_file(path: &Path) -> Result<Arc<Source>, LoadError> {
    refused_at_its_start(path, read::read(path, path, Kinds::RegularFile))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Contents {
    Block,
    Data,
}

fn read_top(path: &Path) -> Result<Arc<Source>, LoadError> {
    refused_at_its_start(path, read::read(path, path, Kinds::Any))
}

fn refused_at_its_start(path: &Path, read: Result<Arc<Source>, Unreadable>) -> Result<Arc<Source>, LoadError> {
    read.map_err(|refused| {
        let mark = refused.mark.unwrap_or_else(|| Mark::start(Source::new(path, PathBuf::new(), String::new())));
        let mut problems = Problems::new();
        problems.error(&mark, refused.what, refused.remedy);
        LoadError { problems: problems.into_sorted() }
    })
}

fn load_text_of(source: Arc<Source>, contents: Contents, is_file: bool) -> Result<Document, LoadError> {
    let mut loader = Loader::new(contents == Contents::Block);
    if is_file {
        loader.remember(&source);
    }
    let root = loader.enter(&source, 0);
    if let (Some(root), Contents::Block) = (&root, contents) {
        require_mapping(root, &mut loader.problems);
    }
    let warnings = loader.problems.finish()?;
    // Without a root there was an error, and `finish` returned it.
    let root = root.unwrap_or_else(|| Node { mark: Mark::start(source), kind: Kind::Mapping(Vec::new()) });
    Ok(Document { root, files: loader.files, warnings })
}

/// Makes sure that a block file is a mapping.
fn require_mapping(root: &Node, problems: &mut Problems) {
    if root.entries().is_none() {
        let what = format!("a block file is a mapping, and this is {}", root.kind_phrase());
        problems.error(&root.mark, what, "begin with a key such as run:");
    }
}
