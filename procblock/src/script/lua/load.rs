//! Scripts compiled once per state and version of their files.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, Table};
use parking_lot::Mutex;

use super::failure::{self, ChunkName};
use super::parameters::Parameters;
use crate::error::RunError;
use crate::script::Seen;
use crate::script::files;
use crate::script::identity::Identity;

/// The arguments of `ProcessBlock`, in order; a text has them as locals.
pub(super) const ARGUMENTS: [&str; 8] =
    ["pipe_data", "block", "request_state", "input_data", "tag", "cwd", "env", "block_parent"];

/// Files that one script may require.
const FILES_MAX: usize = 200;

/// One file that a script was made from.
#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    identity: Identity,
    /// False while a later change might not show in the identity.
    is_settled: bool,
    content: u64,
}

/// What a script was made from; grows when it requires a file.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: Vec<SourceFile>,
    pub(super) chunks: Vec<ChunkName>,
}

/// Shared with the script's own `require`.
pub(super) type SharedSources = Arc<Mutex<Sources>>;

impl Sources {
    /// Whether no file was changed since it was read. Blocks for a `stat` of each.
    fn are_current(&mut self) -> bool {
        self.files.iter_mut().all(SourceFile::is_current)
    }

    /// Whether there is one file, and no change of it can go unseen.
    fn is_one_settled(&self) -> bool {
        matches!(self.files.as_slice(), [file] if file.is_settled)
    }

    fn add(&mut self, path: &Path, identity: Identity, content: &[u8]) {
        let is_settled = identity.is_settled();
        self.files.push(SourceFile { path: path.to_owned(), identity, is_settled, content: digest(content) });
    }
}

impl SourceFile {
    fn is_current(&mut self) -> bool {
        if Identity::of(&self.path).ok() != Some(self.identity) {
            return false;
        }
        if self.is_settled {
            return true;
        }
        self.is_settled = self.identity.is_settled();
        files::read(&self.path).is_ok_and(|(content, _)| digest(&content) == self.content)
    }
}

fn digest(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// What a call runs.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// A text's own code, with the arguments as its locals.
    Body(Function),
    /// The global `ProcessBlock`.
    Process(Function),
}

/// A script in one state.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Keeps the address by which a text is known.
    pub(super) text: Option<Arc<str>>,
    pub(super) sources: SharedSources,
    pub(super) environment: Table,
    pub(super) entry: Entry,
    /// Which of the arguments it can see.
    pub(super) wanted: [bool; 8],
    /// Of a file: what its text tells of `ProcessBlock`.
    parameters: Option<Parameters>,
    /// The version that its only file was found to be.
    seen: Option<Seen>,
}

impl Loaded {
    /// Whether it may be used again, for a call that comes with this.
    pub(super) fn is_current(&mut self, seen: Option<&Seen>) -> bool {
        if seen.is_some() && self.seen.as_ref() == seen {
            return true;
        }
        let mut sources = self.sources.lock();
        let is_current = sources.are_current();
        self.seen = seen.filter(|_| is_current && sources.is_one_settled()).cloned();
        is_current
    }

    /// A script whose file-level code is still to run.
    pub(super) fn file(lua: &Lua, new_environment: &Function, path: &Path) -> Result<Loaded, RunError> {
        let (content, identity) = files::read(path).map_err(|error| files::missing(path, &error))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let sources = SharedSources::default();
        let environment = environment(lua, new_environment, &sources, (Some(folder), None))?;
        sources.lock().add(path, identity, &content);
        let function = compile(lua, &environment, &sources, (&path.to_string_lossy(), &content))
            .map_err(|error| failure::from_lua(&error, &sources.lock().chunks))?;
        let parameters = Parameters::read(&content);
        Ok(Loaded {
            text: None,
            sources,
            environment,
            entry: Entry::Process(function),
            wanted: [true; 8],
            parameters,
            seen: None,
        })
    }

    /// A text of a block file, whose first line is `first_line` there.
    pub(super) fn text(
        lua: &Lua,
        new_environment: &Function,
        (name, text, first_line): (&str, &Arc<str>, u32),
    ) -> Result<Loaded, RunError> {
        let sources = SharedSources::default();
        let folder = Path::new(name).parent().map(Path::to_owned);
        let environment = environment(lua, new_environment, &sources, (folder, Some(text)))?;
        let content = body(text, first_line);
        let function = compile(lua, &environment, &sources, (name, content.as_bytes()))
            .map_err(|error| failure::from_lua(&error, &sources.lock().chunks))?;
        let takes_any = text.contains("...");
        let wanted = ARGUMENTS.map(|argument| takes_any || text.contains(argument));
        let text = Some(Arc::clone(text));
        Ok(Loaded { text, sources, environment, entry: Entry::Body(function), wanted, parameters: None, seen: None })
    }

    /// Uses the global `ProcessBlock`, when the code that ran has defined it; whether it has.
    pub(super) fn find_process_block(&mut self) -> bool {
        let Ok(Some(function)) = self.environment.raw_get::<Option<Function>>("ProcessBlock") else { return false };
        let info = function.info();
        let seen = if info.is_vararg { ARGUMENTS.len() } else { usize::from(info.num_params) };
        let parameters = self.parameters.as_ref().filter(|parameters| {
            let chunk = self.sources.lock().chunks.first().map(ChunkName::for_lua);
            info.source == chunk && info.line_defined == Some(parameters.line)
        });
        let uses = |index| parameters.and_then(|known| known.used.get(index)).is_none_or(|used| *used);
        self.wanted = std::array::from_fn(|index| index < seen && uses(index));
        self.entry = Entry::Process(function);
        true
    }

    /// No global `ProcessBlock` is there, though there should be one.
    pub(super) fn no_process_block(&self) -> RunError {
        let mut error = RunError::failed(
            "no function ProcessBlock; define it as a global: \
             function ProcessBlock(pipe_data, block, request_state, input_data, tag, cwd, env, block_parent) … end",
        );
        error.place = self.sources.lock().chunks.first().map(|chunk| chunk.full().to_owned());
        error
    }
}

/// A text of a block file as a chunk: its arguments are locals, its lines count as those of the file.
pub(super) fn body(text: &str, first_line: u32) -> String {
    let lines_before = usize::try_from(first_line.saturating_sub(1)).unwrap_or(0);
    format!("{}local {} = ...; {text}", "\n".repeat(lines_before), ARGUMENTS.join(","))
}

/// The environment of a script with its folder; of a text, only with the libraries that it may name.
fn environment(
    lua: &Lua,
    new_environment: &Function,
    sources: &SharedSources,
    (folder, text): (Option<PathBuf>, Option<&Arc<str>>),
) -> Result<Table, RunError> {
    let sources = Arc::clone(sources);
    let make = || -> mlua::Result<Table> {
        let required = lua.create_function(move |lua, (environment, name): (Table, String)| {
            Ok(match require(lua, &environment, &sources, (folder.as_deref(), &name)) {
                Ok(function) => (true, mlua::Value::Function(function)),
                Err(text) => (false, mlua::Value::String(lua.create_string(text)?)),
            })
        })?;
        let has_word = |text: Arc<str>| lua.create_function(move |_, word: String| Ok(text.contains(&word)));
        new_environment.call((required, text.cloned().map(has_word).transpose()?))
    };
    make().map_err(|error| failure::from_lua(&error, &[]))
}

fn compile(
    lua: &Lua,
    environment: &Table,
    sources: &SharedSources,
    (name, content): (&str, &[u8]),
) -> mlua::Result<Function> {
    let chunk = ChunkName::new(name);
    let for_lua = chunk.for_lua();
    sources.lock().chunks.push(chunk);
    let mut content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content).to_vec();
    if content.starts_with(b"#!") {
        content.splice(0..2, *b"--");
    }
    lua.load(content).set_name(for_lua).set_mode(ChunkMode::Text).set_environment(environment.clone()).into_function()
}

/// A Lua file beside the script: `require "lib.mail"` is `lib/mail.lua` in its folder.
fn require(
    lua: &Lua,
    environment: &Table,
    sources: &SharedSources,
    (folder, name): (Option<&Path>, &str),
) -> Result<Function, String> {
    let is_plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    if !name.split('.').all(is_plain) {
        return Err(format!("require: {name:?} is no module name; expected words joined by dots"));
    }
    let folder = folder.ok_or_else(|| format!("require: there is no folder to look for {name:?} in"))?;
    let path = folder.join(format!("{}.lua", name.replace('.', "/")));
    if sources.lock().files.len() >= FILES_MAX {
        return Err(format!("require: more than {FILES_MAX} files in one script"));
    }
    let (content, identity) = files::read(&path).map_err(|error| {
        format!("require: {}; only Lua files beside the script can be required", files::missing(&path, &error).message)
    })?;
    sources.lock().add(&path, identity, &content);
    compile(lua, environment, sources, (&path.to_string_lossy(), &content)).map_err(|error| {
        let failure = failure::from_lua(&error, &sources.lock().chunks);
        failure.to_string()
    })
}
