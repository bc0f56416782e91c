//! From the marked tree to compiled blocks: tags found, ordered and read once.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

use dropstar::SiteContent;

use crate::block::{Block, TagEntry};
use crate::load::{Document, Entry, Kind, LoadError, Mark, Node, Problem, Problems, load_file, nearest};
use crate::script::Script;
use crate::tag::{self, COMING_TAGS, Found, NestedBlock, PlainValue};
use crate::usage::Usage;
use crate::value::Value;

/// Where tags that nothing else orders stand: plain data and nested blocks.
const PRIORITY_DEFAULT: i32 = 500;

/// A tag this long or longer is protected from being mistyped as data.
const TYPO_TAG_LENGTH: usize = 8;

/// How many letters may differ between a tag and its mistyped form.
const TYPO_LETTERS: usize = 2;

/// A script sees its block and the one around it.
const SEEN_BY_SCRIPT: u8 = 2;

/// A block that `call` refers to: filled in when the whole file was compiled.
pub type CalledBlock = Arc<OnceLock<Arc<Block>>>;

/// A whole file, ready to run.
pub struct Compiled {
    /// Its tags.
    pub block: Arc<Block>,
    /// What `__usage` says; defaults where it says nothing.
    pub usage: Usage,
    /// The folder of the file.
    pub block_folder: PathBuf,
    /// The folder of relative outputs and children, where `__usage.cwd` names one.
    pub folder: Option<PathBuf>,
    /// The file's `data:` mapping.
    pub data: crate::value::Map,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    /// Whether a step anywhere repeats (`every`, `cache`).
    pub repeats: bool,
    /// Whether something keeps a run alive by itself (`run workers`).
    pub stays: bool,
    /// What `check` tells, though the file runs.
    pub warnings: Vec<Problem>,
    /// The files that it is made of, scripts among them, for people who look at them.
    pub sources: Vec<PathBuf>,
}

/// What compiling a file needs and gathers.
pub struct Compiler {
    /// Mistakes so far.
    pub problems: Problems,
    /// Put before relative script paths (`script_path_prefix` of the enclosing block).
    pub script_prefix: Option<String>,
    /// Names of run-threads with the place of their first definition.
    pub thread_names: HashMap<String, Mark>,
    /// Whether a repeated step was met.
    pub repeats: bool,
    /// Whether something that keeps a run alive was met.
    pub stays: bool,
    /// Fields of every series file that steps collect, by path: for `check`.
    pub series_paths: Vec<String>,
    /// Scripts that steps name: for `check`.
    pub scripts: Vec<ScriptUse>,
    /// Templates and programs that are named: for `check`.
    pub files_named: Vec<FileUse>,
    /// What is served: for `check`.
    pub sites: Vec<(SiteContent, Mark)>,
    /// How many levels of blocks, from the one being compiled outwards, a script in it may look at.
    seen_levels: u8,
    root: Arc<Node>,
    called: HashMap<(PathBuf, String), CalledBlock>,
    waiting: Vec<(CalledBlock, Arc<Node>, String, Mark)>,
    files: Vec<PathBuf>,
}

/// A script that a step names, where it is known without running anything.
pub struct ScriptUse {
    /// The script.
    pub script: Arc<Script>,
    /// Where the step names it, or where its text begins.
    pub node: Node,
}

/// A file that a tag or step names, besides scripts.
pub struct FileUse {
    /// What it is.
    pub kind: FileUseKind,
    /// The text that names it.
    pub node: Node,
}

/// What a named file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileUseKind {
    /// Of a `template`.
    Template,
    /// The program of an `exec` whose environment and folder are the run's.
    Program,
}

/// What is known about a file without running it: for `check`.
pub struct Survey {
    /// Errors and warnings, by line.
    pub problems: Vec<Problem>,
    /// Every script that its steps name.
    pub scripts: Vec<ScriptUse>,
    /// Templates and programs that it names.
    pub files_named: Vec<FileUse>,
    /// What it serves, with the place that names it.
    pub sites: Vec<(SiteContent, Mark)>,
    /// The folder that children start from, where `__usage.cwd` names one.
    pub folder: Option<PathBuf>,
    /// The Python interpreter that the file wants.
    pub python: Option<String>,
}

/// Compiles a loaded file.
///
/// # Errors
/// Every mistake of the file and of the files it includes or calls.
pub fn compile(document: Document) -> Result<Compiled, LoadError> {
    let (mut compiled, compiler) = build(document);
    compiled.warnings.extend(compiler.problems.finish()?);
    Ok(compiled)
}

/// Compiles a loaded file and tells all that there is to say about it.
pub fn survey(document: Document) -> Survey {
    let (compiled, compiler) = build(document);
    let mut problems = compiled.warnings;
    problems.extend(compiler.problems.into_sorted());
    Survey {
        problems,
        scripts: compiler.scripts,
        files_named: compiler.files_named,
        sites: compiler.sites,
        folder: compiled.folder,
        python: compiled.usage.python,
    }
}

fn build(document: Document) -> (Compiled, Compiler) {
    let root = Arc::new(document.root);
    let mut compiler = Compiler::new(Arc::clone(&root), document.files);
    let usage = Usage::read(&root, &mut compiler.problems);
    super::top::check(&root, &mut compiler.problems);
    let data = root.get("data").map(|entry| entry.value.to_value());
    let block = compiler.block(&root);
    compiler.finish_called();
    let folder = usage.cwd.as_ref().map(|cwd| root.mark.source.resolve(cwd));
    let compiled = Compiled {
        block: Arc::new(block),
        usage,
        block_folder: root.mark.source.folder.clone(),
        folder,
        data: data.and_then(|value| value.as_object().cloned()).unwrap_or_default(),
        sources: compiler.sources(),
        files: std::mem::take(&mut compiler.files),
        repeats: compiler.repeats,
        stays: compiler.stays,
        warnings: document.warnings,
    };
    (compiled, compiler)
}

/// Compiles the mapping behind `if`, `elif` and `else`.
pub fn compile_branch(node: &Node, compiler: &mut Compiler) -> Option<Block> {
    if node.entries().is_some() {
        return Some(compiler.block(node));
    }
    let what = format!("the branch is a {}", node.kind_name());
    compiler.problems.error(&node.mark, what, "expected a mapping of tags");
    None
}

/// Every tag as documentation shows it.
static PATTERNS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let texts = tag::ALL.iter().map(|tag| tag.spec().pattern.text());
    texts.filter(|text| !text.starts_with("__")).collect()
});

/// The tag that the key is, but for a letter or two.
fn nearly_a_tag(key: &str) -> Option<&'static str> {
    let is_near = |tag: &&String| {
        tag.len() >= TYPO_TAG_LENGTH
            && tag.len().abs_diff(key.len()) <= TYPO_LETTERS
            && strsim::levenshtein(tag, key) <= TYPO_LETTERS
    };
    PATTERNS.iter().find(is_near).map(String::as_str)
}

/// The likeliest tag that begins with the key's first word.
fn same_first_word(key: &str) -> Option<&'static str> {
    let first_word = key.split(' ').next();
    let candidates = || PATTERNS.iter().map(String::as_str).filter(|tag| tag.split(' ').next() == first_word);
    nearest(key, candidates()).or_else(|| candidates().next())
}

impl Compiler {
    /// For blocks of a file with this root, in which `call` finds its blocks, and the files it was read from.
    pub fn new(root: Arc<Node>, files: Vec<PathBuf>) -> Self {
        Compiler {
            problems: Problems::new(),
            script_prefix: None,
            thread_names: HashMap::new(),
            repeats: false,
            stays: false,
            series_paths: Vec::new(),
            scripts: Vec::new(),
            files_named: Vec::new(),
            sites: Vec::new(),
            seen_levels: 0,
            root,
            called: HashMap::new(),
            waiting: Vec::new(),
            files,
        }
    }

    /// Every file that was read, then every script that steps name.
    fn sources(&self) -> Vec<PathBuf> {
        let scripts = self.scripts.iter().filter_map(|found| match &*found.script {
            Script::File(path) => Some(path.clone()),
            Script::Lua { .. } | Script::Python { .. } => None,
        });
        let mut sources: Vec<PathBuf> = self.files.iter().cloned().chain(scripts).collect();
        let mut seen = HashSet::new();
        sources.retain(|path| seen.insert(path.clone()));
        sources
    }

    /// Adds files that were read.
    pub fn add_files(&mut self, files: Vec<PathBuf>) {
        self.files.extend(files);
    }

    /// Every file that was read.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Notes a script of the block being compiled; `script` is none while its path is filled in at run time.
    pub fn add_script(&mut self, script: Option<&Arc<Script>>, node: &Node) {
        self.seen_levels = SEEN_BY_SCRIPT;
        if let Some(script) = script {
            self.scripts.push(ScriptUse { script: Arc::clone(script), node: node.clone() });
        }
    }

    /// Compiles a mapping as a block.
    pub fn block(&mut self, node: &Node) -> Block {
        let outside = self.script_prefix.clone();
        if let Some(prefix) = node.get("script_path_prefix").and_then(|entry| entry.value.as_text()) {
            self.script_prefix = Some(prefix.to_string());
        }
        let mut tags: Vec<TagEntry> =
            node.entries().unwrap_or_default().iter().filter_map(|entry| self.tag(entry, node)).collect();
        self.refuse_both_spellings(node);
        tags.sort_by_key(|tag| tag.priority);
        self.script_prefix = outside;
        // Only scripts look at it: a copy for each level of a deep file would grow with the depth.
        let source = if self.seen_levels > 0 { node.to_value() } else { Value::Null };
        Block { tags, return_tag: self.return_tag(node), source: Arc::new(source) }
    }

    /// `run simultaneous` and `run_simultaneous` are one key.
    fn refuse_both_spellings(&mut self, node: &Node) {
        let entries = node.entries().unwrap_or_default();
        let is_whole_tag = |entry: &&Entry| tag::find(&entry.key).is_some_and(|(_, variable)| variable.is_empty());
        for entry in entries.iter().filter(|entry| entry.key.contains('_')).filter(is_whole_tag) {
            let spaced = entry.key.replace('_', " ");
            if let Some(twin) = entries.iter().find(|twin| twin.key == spaced) {
                let what = format!("\"{spaced}\" is given twice, also at line {}", twin.mark.line);
                self.problems.error(&entry.mark, what, "keep one of the two spellings");
            }
        }
    }

    fn return_tag(&mut self, node: &Node) -> Option<(String, Mark)> {
        let entry = node.get("__return_tag")?;
        let Some(name) = entry.value.as_text() else {
            let what = format!("__return_tag is a {}", entry.value.kind_name());
            self.problems.error(&entry.value.mark, what, "expected the name of a tag of this block");
            return None;
        };
        Some((name.to_string(), entry.value.mark.clone()))
    }

    fn tag(&mut self, entry: &Entry, parent: &Node) -> Option<TagEntry> {
        let (action, priority) = match tag::find(&entry.key) {
            Some((tag, variable)) => {
                let action = tag.compile(&Found { variable, entry, parent }, self);
                (action?, tag.spec().priority.unwrap_or(PRIORITY_DEFAULT))
            }
            None => (self.plain(entry)?, PRIORITY_DEFAULT),
        };
        let priority = self.own_priority(&entry.value).unwrap_or(priority);
        Some(TagEntry { key: entry.key.clone(), mark: entry.mark.clone(), priority, action })
    }

    fn own_priority(&mut self, node: &Node) -> Option<i32> {
        let entry = node.get("__priority")?;
        match &entry.value.kind {
            Kind::Scalar(Value::Number(number), _) => {
                let found = number.as_i64().and_then(|number| i32::try_from(number).ok());
                if found.is_none() {
                    let what = format!("__priority {number} is out of range");
                    self.problems.error(&entry.value.mark, what, "expected a whole number such as 900");
                }
                found
            }
            _ => {
                let what = format!("__priority is a {}", entry.value.kind_name());
                self.problems.error(&entry.value.mark, what, "expected a whole number such as 900");
                None
            }
        }
    }

    fn plain(&mut self, entry: &Entry) -> Option<Box<dyn tag::TagAction>> {
        self.refuse_typo(entry)?;
        if entry.value.entries().is_some() {
            let outside = std::mem::take(&mut self.seen_levels);
            let block = self.block(&entry.value);
            self.seen_levels = outside.max(self.seen_levels.saturating_sub(1));
            return Some(Box::new(NestedBlock::new(entry, block)));
        }
        self.warn_of_steps(entry);
        Some(Box::new(PlainValue::compile(&entry.value, &mut self.problems)))
    }

    /// A list of steps under a key that is no tag runs nothing: told, though it may be data.
    fn warn_of_steps(&mut self, entry: &Entry) {
        let is_step = |item: &Node| {
            let keys = item.entries().unwrap_or_default().iter().map(|entry| entry.key.as_str());
            keys.clone().any(|key| crate::step::ALL.iter().any(|step| step.spec().name == key)) && keys.count() <= 3
        };
        let items = entry.value.items().unwrap_or_default();
        if !items.is_empty() && items.iter().all(is_step) {
            let what =
                format!("\"{}\" is data, though its value looks like a list of steps: nothing of it runs", entry.key);
            self.problems.warning(&entry.mark, what, "steps stand under run:");
        }
    }

    /// A key that is nearly a tag is refused instead of becoming data in silence.
    fn refuse_typo(&mut self, entry: &Entry) -> Option<()> {
        let key = entry.key.as_str();
        if key.starts_with("__") {
            let Some(near) = super::top::own_key_near(key) else { return Some(()) };
            self.problems.error(&entry.mark, format!("unknown key \"{key}\""), format!("did you mean \"{near}\"?"));
            return None;
        }
        let spaced = key.replace('_', " ");
        if let Some(coming) = COMING_TAGS.iter().find(|tag| **tag == spaced) {
            let what = format!("the tag \"{coming}\" is not available in this version");
            self.problems.error(&entry.mark, what, "remove it, or put a value of your own under data:");
            return None;
        }
        if key == "else" || key.starts_with("elif ") {
            let what = format!("{key} stands outside an if");
            self.problems.error(&entry.mark, what, "put it inside the mapping of the if that it belongs to");
            return None;
        }
        let near = nearly_a_tag(&spaced).or_else(|| key.contains(' ').then(|| same_first_word(&spaced)).flatten());
        let Some(near) = near else { return Some(()) };
        let what = format!("unknown tag \"{key}\"");
        self.problems.error(
            &entry.mark,
            what,
            format!("did you mean \"{near}\"? (data of that name goes under data:)"),
        );
        None
    }

    /// The block that `call` names: in this file, or in another one.
    pub fn called(&mut self, file: Option<&Node>, name: Option<&str>, mark: &Mark) -> Option<CalledBlock> {
        // Scripts of the called block see this one as the block around theirs.
        self.seen_levels = self.seen_levels.max(1);
        let (path, root) = match file {
            None => (PathBuf::new(), Arc::clone(&self.root)),
            Some(node) => self.called_file(node)?,
        };
        let wanted = name.unwrap_or_default().to_string();
        let key = (path, wanted.clone());
        if let Some(known) = self.called.get(&key) {
            return Some(Arc::clone(known));
        }
        let slot = CalledBlock::default();
        self.called.insert(key, Arc::clone(&slot));
        self.waiting.push((Arc::clone(&slot), root, wanted, mark.clone()));
        Some(slot)
    }

    fn called_file(&mut self, node: &Node) -> Option<(PathBuf, Arc<Node>)> {
        let path = node.mark.source.resolve(Path::new(node.as_text()?));
        match load_file(&path) {
            Ok(document) => {
                self.files.extend(document.files);
                Some((path, Arc::new(document.root)))
            }
            Err(error) => {
                let first = error.problems.first().map(ToString::to_string).unwrap_or_default();
                self.problems.error(&node.mark, format!("can't call a block of {}", path.display()), first);
                None
            }
        }
    }

    /// Compiles the blocks that `call` named; they may call further ones. To be called when all else is compiled.
    pub fn finish_called(&mut self) {
        while let Some((slot, root, name, mark)) = self.waiting.pop() {
            let Some(node) = self.find_block(&root, &name, &mark) else { continue };
            self.seen_levels = 0;
            let block = self.block(&node);
            if slot.set(Arc::new(block)).is_err() {
                log::debug!("the block {name} was compiled twice");
            }
        }
    }

    fn find_block(&mut self, root: &Arc<Node>, name: &str, mark: &Mark) -> Option<Node> {
        if name.is_empty() {
            return Some(Node::clone(root));
        }
        let defined = root.get("blocks").and_then(|entry| entry.value.get(name));
        let found = defined.or_else(|| root.get(name)).filter(|entry| entry.value.entries().is_some());
        if let Some(entry) = found {
            return Some(entry.value.clone());
        }
        let names: Vec<&str> = [root.get("blocks").map(|entry| &entry.value), Some(root)]
            .into_iter()
            .flatten()
            .flat_map(|node| node.entries().unwrap_or_default())
            .filter(|entry| entry.value.entries().is_some())
            .map(|entry| entry.key.as_str())
            .collect();
        let remedy = match nearest(name, names.iter().copied()) {
            Some(word) => format!("did you mean \"{word}\"?"),
            None => "define it under blocks: in the same file".into(),
        };
        self.problems.error(mark, format!("call names the block \"{name}\", which does not exist"), remedy);
        None
    }
}
