//! `__usage`: a file's name, options, arguments and life; and its help text.

mod help;
mod parse;
mod secret;

use std::path::PathBuf;

pub use help::help;
pub use parse::{Given, UsageError, parse};

use crate::load::{Mark, Node, Problems};
use crate::spec::{FieldKind, FieldSpec, Fields, FromValue, Size};
use crate::value::{Map, Value};

const OPTION_KINDS: &[&str] = &["flag", "value", "number", "duration", "size", "path", "choice"];

const ARGUMENT_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("name", FieldKind::Text, "Its name in the input.").required(),
    FieldSpec::new("info", FieldKind::Text, "What it is, for the help."),
    FieldSpec::new("required", FieldKind::Boolean, "Whether the run is refused without it.").default("false"),
    FieldSpec::new("default", FieldKind::Any, "Its value when it is not given."),
    FieldSpec::new("remaining", FieldKind::Boolean, "Takes all further arguments, as a list.").default("false"),
    FieldSpec::new(
        "type",
        FieldKind::Choice(&["value", "number", "duration", "size", "path", "choice"]),
        "What it must be; a `path` that is given is relative to the caller's folder.",
    )
    .default("value"),
    FieldSpec::new("choices", FieldKind::ListOf(&FieldKind::Text), "What a `choice` may be."),
];

const OPTION_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("letter", FieldKind::Text, "Its short form, one letter."),
    FieldSpec::new(
        "type",
        FieldKind::Choice(OPTION_KINDS),
        "What it takes; a `flag` takes nothing and is true or false, a `path` that is given is relative to the caller's folder.",
    )
    .default("flag"),
    FieldSpec::new("info", FieldKind::Text, "What it is, for the help."),
    FieldSpec::new("default", FieldKind::Any, "Its value when it is not given."),
    FieldSpec::new("choices", FieldKind::ListOf(&FieldKind::Text), "What a `choice` may be."),
    FieldSpec::new("secret", FieldKind::Boolean, "Its value is never shown or logged. Given as `env:NAME` or `file:PATH` it is the value of that environment variable or \
         the contents of that file, and stands in no list of processes; `text:VALUE` is VALUE whatever it begins with.")
        .default("false"),
    FieldSpec::new("env", FieldKind::Text, "The environment variable that it is taken from when it is not given."),
];

/// What `__usage` may hold.
pub const USAGE_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("name", FieldKind::Text, "The file's name; the instance's name unless `--name` says otherwise."),
    FieldSpec::new("author", FieldKind::Text, "For the help."),
    FieldSpec::new("website", FieldKind::Text, "For the help."),
    FieldSpec::new("info", FieldKind::Text, "For the help."),
    FieldSpec::new("longrunning", FieldKind::Boolean, "Stay until stopped.").default("false"),
    FieldSpec::new(
        "cwd",
        FieldKind::Path,
        "The folder that relative outputs and children start from, instead of the file's own.",
    ),
    FieldSpec::new("pidfile", FieldKind::Path, "Holds the process id while it runs; a stale one is replaced."),
    FieldSpec::new("python", FieldKind::Path, "The Python interpreter.").default("python3"),
    FieldSpec::new("unidist", FieldKind::Text, "The engine of the shared things, a URL.").default("memory:"),
    FieldSpec::new("args", FieldKind::ListOf(&FieldKind::Mapping(ARGUMENT_FIELDS)), "The arguments, in order."),
    FieldSpec::new(
        "options",
        FieldKind::MapOf(&FieldKind::Mapping(OPTION_FIELDS)),
        "The options, by their long names.",
    ),
    FieldSpec::new(
        "load state",
        FieldKind::MapOf(&FieldKind::Path),
        "Bucket -> YAML file: filled from it at start, written back on every change. `%(key)s` in the path: a file per key.",
    ),
    FieldSpec::new(
        "threads max",
        FieldKind::Integer,
        "The most threads of the operating system that waiting scripts may hold, 1 to 1024.",
    )
    .default("64"),
];

/// What an option or argument must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputKind {
    /// True when given.
    Flag,
    /// Text.
    Value,
    /// A number.
    Number,
    /// A duration; seconds in the input.
    Duration,
    /// A size; bytes in the input.
    Size,
    /// A path, absolute in the input: relative to the caller's folder when it is given.
    Path,
    /// One of these words.
    Choice(Vec<String>),
}

impl InputKind {
    fn read(word: Option<&str>, choices: Vec<String>, default: InputKind) -> Self {
        match word {
            Some("flag") => InputKind::Flag,
            Some("value") => InputKind::Value,
            Some("number") => InputKind::Number,
            Some("duration") => InputKind::Duration,
            Some("size") => InputKind::Size,
            Some("path") => InputKind::Path,
            Some("choice") => InputKind::Choice(choices),
            _ if !choices.is_empty() => InputKind::Choice(choices),
            _ => default,
        }
    }

    /// The typed value of a text from the command line.
    ///
    /// # Errors
    /// What was expected.
    pub fn convert(&self, text: &str) -> Result<Value, String> {
        let written = Value::String(text.to_string());
        match self {
            InputKind::Flag => match text {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => Err("true or false".into()),
            },
            InputKind::Value => Ok(written),
            InputKind::Number => match i64::from_value(&written) {
                Ok(whole) => Ok(whole.into()),
                Err(_) => Ok(f64::from_value(&written)?.into()),
            },
            InputKind::Duration => Ok(std::time::Duration::from_value(&written)?.as_secs_f64().into()),
            InputKind::Size => Ok(Size::from_value(&written)?.0.into()),
            InputKind::Path if text.is_empty() => Err("a path".into()),
            InputKind::Path => {
                let path = std::path::absolute(text).map_err(|error| format!("a path: {error}"))?;
                Ok(path.to_string_lossy().into())
            }
            InputKind::Choice(words) if words.iter().any(|word| word == text) => Ok(written),
            InputKind::Choice(words) => Err(format!("one of: {}", words.join(", "))),
        }
    }
}

/// A positional argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Its name in the input.
    pub name: String,
    /// For the help.
    pub info: Option<String>,
    /// Whether the run is refused without it.
    pub is_required: bool,
    /// When it is not given.
    pub default: Option<Value>,
    /// Takes all further arguments.
    pub takes_remaining: bool,
    /// What it must be.
    pub kind: InputKind,
}

/// An option.
#[derive(Debug, Clone, PartialEq)]
pub struct Opt {
    /// Its long name.
    pub name: String,
    /// Its short form.
    pub letter: Option<char>,
    /// What it takes.
    pub kind: InputKind,
    /// For the help.
    pub info: Option<String>,
    /// When it is not given.
    pub default: Option<Value>,
    /// Never shown.
    pub is_secret: bool,
    /// The environment variable that it is taken from when it is not given.
    pub variable: Option<String>,
}

/// A file's `__usage`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Usage {
    /// Whether the file has a `__usage` with options or arguments: unknown options are refused then.
    pub is_declared: bool,
    /// The file's name.
    pub name: Option<String>,
    /// For the help.
    pub author: Option<String>,
    /// For the help.
    pub website: Option<String>,
    /// For the help.
    pub info: Option<String>,
    /// Stay until stopped.
    pub longrunning: bool,
    /// The folder of outputs and children.
    pub cwd: Option<PathBuf>,
    /// Holds the process id.
    pub pidfile: Option<PathBuf>,
    /// The Python interpreter.
    pub python: Option<String>,
    /// The engine's URL.
    pub unidist: Option<String>,
    /// The arguments, in order.
    pub args: Vec<Argument>,
    /// The options.
    pub options: Vec<Opt>,
    /// Bucket -> file.
    pub load_state: Vec<(String, PathBuf)>,
    /// The most threads that waiting scripts may hold.
    pub threads_max: Option<usize>,
}

impl Usage {
    /// Reads `__usage` at the top of a file.
    pub fn read(root: &Node, problems: &mut Problems) -> Self {
        let Some(entry) = root.get("__usage") else { return Usage::default() };
        let node = &entry.value;
        if let Some(daemon) = node.get("daemon") {
            let remedy = "remove it: run under systemd (procblock unit FILE), or in the background of a shell";
            problems.error(&daemon.mark, "daemon is not supported: procblock stays in the foreground", remedy);
            return Usage::default();
        }
        let fields = Fields::read(node, USAGE_FIELDS, "__usage", problems);
        let text = |name: &str, problems: &mut Problems| fields.literal::<String>(name, problems);
        let args = fields.node("args").map(|node| read_arguments(node, problems)).unwrap_or_default();
        let options = fields.node("options").map(|node| read_options(node, problems)).unwrap_or_default();
        Usage {
            is_declared: !args.is_empty() || !options.is_empty(),
            name: text("name", problems),
            author: text("author", problems),
            website: text("website", problems),
            info: text("info", problems),
            longrunning: fields.literal("longrunning", problems).unwrap_or(false),
            cwd: text("cwd", problems).map(PathBuf::from),
            pidfile: text("pidfile", problems).map(|path| node.mark.source.resolve(path)),
            python: text("python", problems),
            unidist: text("unidist", problems),
            args,
            options,
            load_state: fields.node("load state").map(read_load_state).unwrap_or_default(),
            threads_max: fields.node("threads max").and_then(|node| read_threads_max(node, problems)),
        }
    }

    /// The names whose values are never shown.
    pub fn secrets(&self, input: &Map) -> Vec<String> {
        let secret = self.options.iter().filter(|option| option.is_secret);
        secret
            .filter_map(|option| Some(crate::value::to_text(input.get(&option.name)?)))
            .filter(|text| !text.is_empty())
            .collect()
    }
}

fn read_load_state(node: &Node) -> Vec<(String, PathBuf)> {
    let entries = node.entries().unwrap_or_default();
    let read = |path: &str| node.mark.source.resolve(path);
    entries.iter().filter_map(|entry| Some((entry.key.clone(), read(entry.value.as_text()?)))).collect()
}

fn read_threads_max(node: &Node, problems: &mut Problems) -> Option<usize> {
    let number = i64::from_value(&node.to_value()).ok()?;
    let found = usize::try_from(number).ok().filter(|number| (1..=1024).contains(number));
    if found.is_none() {
        problems.error(&node.mark, format!("threads max {number} is out of range"), "expected 1 to 1024");
    }
    found
}

fn read_arguments(node: &Node, problems: &mut Problems) -> Vec<Argument> {
    let items = node.items().unwrap_or_default();
    let last = items.len().saturating_sub(1);
    let mut arguments: Vec<Argument> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let fields = Fields::read(item, ARGUMENT_FIELDS, "an argument", problems);
        let Some(name) = fields.literal::<String>("name", problems) else { continue };
        check_name(&name, arguments.iter().map(|argument| argument.name.as_str()), &item.mark, problems);
        let takes_remaining = fields.literal("remaining", problems).unwrap_or(false);
        if takes_remaining && index != last {
            problems.error(
                &item.mark,
                format!("the argument {name} takes all that remain, but others follow"),
                "move it to the end",
            );
        }
        let choices = fields.literal("choices", problems).unwrap_or_default();
        let word = fields.literal::<String>("type", problems);
        arguments.push(Argument {
            name,
            info: fields.literal("info", problems),
            is_required: fields.literal("required", problems).unwrap_or(false),
            default: fields.node("default").map(Node::to_value),
            takes_remaining,
            kind: InputKind::read(word.as_deref(), choices, InputKind::Value),
        });
    }
    arguments
}

fn read_options(node: &Node, problems: &mut Problems) -> Vec<Opt> {
    let mut options: Vec<Opt> = Vec::new();
    for entry in node.entries().unwrap_or_default() {
        let what = format!("the option {}", entry.key);
        let fields = Fields::read(&entry.value, OPTION_FIELDS, &what, problems);
        let letter = fields.literal::<String>("letter", problems).and_then(|text| {
            let mut letters = text.chars();
            let letter = letters.next().filter(|_| letters.next().is_none());
            if letter.is_none() {
                problems.error(
                    &entry.value.mark,
                    format!("the letter of {} is \"{text}\"", entry.key),
                    "expected one letter",
                );
            }
            letter
        });
        if let Some(twin) = options.iter().find(|option| letter.is_some() && option.letter == letter) {
            let what = format!("the options {} and {} have the same letter", twin.name, entry.key);
            problems.error(&entry.mark, what, "give one of them another");
        }
        let choices = fields.literal("choices", problems).unwrap_or_default();
        let word = fields.literal::<String>("type", problems);
        let is_secret = fields.literal("secret", problems).unwrap_or(false);
        if is_secret && word.as_deref().is_none_or(|word| word == "flag") {
            let what = format!("the secret option {} is a flag, which takes no value", entry.key);
            problems.error(&entry.value.mark, what, "add type: value");
        }
        options.push(Opt {
            name: entry.key.clone(),
            letter,
            kind: InputKind::read(word.as_deref(), choices, InputKind::Flag),
            info: fields.literal("info", problems),
            default: fields.node("default").map(Node::to_value),
            is_secret,
            variable: fields.literal("env", problems),
        });
    }
    options
}

fn check_name<'a>(name: &str, mut earlier: impl Iterator<Item = &'a str>, mark: &Mark, problems: &mut Problems) {
    if earlier.any(|other| other == name) {
        problems.error(mark, format!("two arguments have the name {name}"), "give one of them another");
    }
}
