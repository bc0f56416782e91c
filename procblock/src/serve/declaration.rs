//! What a page or RPC says about itself: its title, its arguments, who may use it, for how long.

use std::time::Duration;

use dropstar::{Argument, ArgumentKind, Declaration, Need, Purpose};

use crate::load::{Entry, Kind, Node, Problems};
use crate::script::Allow;
use crate::spec::{FieldKind, FieldSpec, Fields};
use crate::units::format_duration;
use crate::value::{Value, kind_name};

/// The kinds of arguments, by the words of YAML.
const KINDS: &[(&str, ArgumentKind)] = &[
    ("text", ArgumentKind::Text),
    ("integer", ArgumentKind::Integer),
    ("number", ArgumentKind::Number),
    ("boolean", ArgumentKind::Boolean),
    ("list", ArgumentKind::List),
    ("mapping", ArgumentKind::Mapping),
    ("file", ArgumentKind::File),
];

const KIND_WORDS: &[&str] = &["text", "integer", "number", "boolean", "list", "mapping", "file"];

const NEEDS: &[(&str, Need)] =
    &[("nobody", Need::Nobody), ("login", Need::Login), ("call", Need::Call), ("admin", Need::Admin)];

const NEED_WORDS: &[&str] = &["nobody", "login", "call", "admin"];

/// The longest that a page or RPC may say it takes.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

const ARGUMENT_FIELDS: &[FieldSpec] = &[
    FieldSpec::new(
        "type",
        FieldKind::Choice(KIND_WORDS),
        "What it is converted to; a request that does not fit is refused.",
    )
    .default("text"),
    FieldSpec::new("required", FieldKind::Boolean, "Whether a request without it is refused.").default("false"),
    FieldSpec::new("default", FieldKind::Any, "Its value when the request does not give it."),
    FieldSpec::new("info", FieldKind::Text, "One line for people."),
];

/// The keys by which a page or RPC says what it is.
pub const DECLARATION_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("title", FieldKind::Text, "The page's title. Default: its name."),
    FieldSpec::new("read only", FieldKind::Boolean, "It changes nothing, so that an RPC may be called by GET.")
        .default("false"),
    FieldSpec::new(
        "args",
        FieldKind::MapOf(&FieldKind::OneOf(&[
            FieldKind::Choice(KIND_WORDS),
            FieldKind::Mapping(ARGUMENT_FIELDS),
            FieldKind::Nothing,
        ])),
        "The arguments that it reads, by name: a type, or more about each.",
    ),
    FieldSpec::new(
        "needs",
        FieldKind::Choice(NEED_WORDS),
        "Who may use it. Where there are users or tokens the default is `login` for pages and what is read only, `call` for \
         other RPCs; elsewhere `nobody`.",
    ),
    FieldSpec::new(
        "allow",
        FieldKind::ListOf(&FieldKind::Choice(&["process", "http", "file", "rpc"])),
        "Modules that its scripts may use besides json, log, random, time, timeseries and unidist.",
    ),
    FieldSpec::new("timeout", FieldKind::Duration, "How long a request may take; then it is ended.").default("10s"),
    FieldSpec::new(
        "content security policy",
        FieldKind::Text,
        "The page's Content-Security-Policy, instead of `script-src 'self' 'unsafe-inline'`.",
    ),
];

/// What was declared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    /// For the server.
    pub declaration: Declaration,
    /// The modules that its scripts may use.
    pub allow: Allow,
}

impl Declared {
    /// Reads the keys of [`DECLARATION_FIELDS`].
    pub fn read(fields: &Fields<'_>, purpose: Purpose, problems: &mut Problems) -> Self {
        if let (Purpose::Rpc, Some(entry)) = (purpose, fields.entry("content security policy")) {
            problems.error(&entry.mark, "an RPC has no content security policy", "remove it: it answers with JSON");
        }
        let default = Declaration::default();
        let need = fields.literal::<String>("needs", problems);
        let declaration = Declaration {
            title: fields.literal("title", problems),
            is_read_only: fields.literal("read only", problems).unwrap_or(false),
            arguments: fields.node("args").map(|node| arguments(node, problems)).unwrap_or_default(),
            need: need.and_then(|word| NEEDS.iter().find(|(name, _)| *name == word)).map(|(_, need)| *need),
            timeout: timeout(fields, problems).unwrap_or(default.timeout),
            content_security_policy: fields.literal("content security policy", problems),
        };
        Declared { declaration, allow: allow(fields, problems) }
    }
}

fn timeout(fields: &Fields<'_>, problems: &mut Problems) -> Option<Duration> {
    let timeout: Duration = fields.literal("timeout", problems)?;
    if timeout.is_zero() || timeout > TIMEOUT_MAX {
        let node = fields.node("timeout")?;
        let what = format!("the timeout {} of a page or RPC is out of range", format_duration(timeout));
        problems.error(&node.mark, what, "expected more than 0 and at most 1h");
        return None;
    }
    Some(timeout)
}

fn allow(fields: &Fields<'_>, problems: &mut Problems) -> Allow {
    let words: Vec<String> = fields.literal("allow", problems).unwrap_or_default();
    words.iter().fold(Allow::PAGE, |allow, word| allow.with(word).unwrap_or(allow))
}

fn arguments(node: &Node, problems: &mut Problems) -> Vec<Argument> {
    node.entries().unwrap_or_default().iter().map(|entry| argument(entry, problems)).collect()
}

fn argument(entry: &Entry, problems: &mut Problems) -> Argument {
    let mut argument = Argument {
        name: entry.key.clone(),
        kind: ArgumentKind::default(),
        is_required: false,
        default: None,
        summary: None,
    };
    let kind = |word: &str| KINDS.iter().find(|(name, _)| *name == word).map_or(ArgumentKind::Text, |(_, kind)| *kind);
    match &entry.value.kind {
        Kind::Scalar(Value::String(word), _) => argument.kind = kind(word),
        Kind::Mapping(_) => {
            let what = format!("the argument {}", entry.key);
            let fields = Fields::read(&entry.value, ARGUMENT_FIELDS, &what, problems);
            argument.kind = fields.literal::<String>("type", problems).map_or(ArgumentKind::Text, |word| kind(&word));
            argument.is_required = fields.literal("required", problems).unwrap_or(false);
            argument.summary = fields.literal("info", problems);
            argument.default = fields.node("default").map(Node::to_value);
            if let (Some(default), Some(node)) = (&argument.default, fields.node("default")) {
                check_default(&argument, default, node, problems);
            }
        }
        _ => {}
    }
    argument
}

fn check_default(argument: &Argument, default: &Value, node: &Node, problems: &mut Problems) {
    let name = &argument.name;
    if argument.is_required {
        let what = format!("the argument {name} is required and has a default");
        problems.error(&node.mark, what, "keep one of the two");
    }
    let fits = match argument.kind {
        ArgumentKind::Text => default.is_string() || default.is_number() || default.is_boolean(),
        ArgumentKind::Integer => default.is_i64(),
        ArgumentKind::Number => default.is_number(),
        ArgumentKind::Boolean => default.is_boolean(),
        ArgumentKind::List => default.is_array(),
        ArgumentKind::Mapping => default.is_object(),
        ArgumentKind::File => false,
    };
    if !fits && !default.is_null() {
        let word = KINDS.iter().find(|(_, kind)| *kind == argument.kind).map_or("text", |(word, _)| word);
        let what = format!("the default of the argument {name} is a {}", kind_name(default));
        problems.error(&node.mark, what, format!("its type is {word}"));
    }
}
