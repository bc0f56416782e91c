//! What any step may say besides what it does.

use std::time::Duration;

use crate::block::Compiler;
use crate::expr::{Expr, ValueTemplate};
use crate::load::{Entry, Node, Problems};
use crate::spec::{FieldKind, FieldSpec, Fields, Setting};
use crate::step::COLLECT_FIELDS;
use crate::step::limits::{LIMIT_FIELDS, LimitSettings};
use crate::step::repeat::Repeat;
use crate::step::retry::{self, Retry};
use crate::tag::{HANDLER_FIELDS, Handler};

const FILE_FIELDS: &[FieldSpec] = &[FieldSpec::new("file", FieldKind::Path, "The file; it is replaced.").required()];

/// Modules that `allow` may name.
pub(crate) const ALLOW_WORDS: &[&str] = &["process", "http", "file"];

/// Every attribute, in the order of the reference.
pub const ATTRIBUTES: &[FieldSpec] = &[
    FieldSpec::new("name", FieldKind::Text, "Its name in messages, logs and, of a repeated step, of its run-thread."),
    FieldSpec::new("if", FieldKind::Expression, "It runs only when this holds."),
    FieldSpec::new("timeout", FieldKind::Duration, "How long one attempt may take; then it is ended and has failed. Of a repeated step the default is the larger of its interval and 60 s, else none."),
    FieldSpec::new("retry", FieldKind::OneOf(&[FieldKind::Integer, FieldKind::Mapping(retry::FIELDS)]), "Try again after a failure."),
    FieldSpec::new("on error", FieldKind::OneOf(&[FieldKind::Choice(&["stop", "continue"]), FieldKind::Steps, FieldKind::Mapping(HANDLER_FIELDS)]), "What a failure does: end the list, go on, or run these steps first; a list that ends with `then: continue` goes on.").default("stop"),
    FieldSpec::new("loop", FieldKind::Any, "A list, a mapping or a count: the step runs once for each, with `item` and `index` in pipe data."),
    FieldSpec::new("until", FieldKind::Expression, "The step is repeated until this holds: after each round of a loop, else as `retry` says."),
    FieldSpec::new("env", FieldKind::MapOf(&FieldKind::Any), "Environment variables of its child, and `env` of its script."),
    FieldSpec::new("cwd", FieldKind::Path, "The folder of its child, relative to the run's folder."),
    FieldSpec::new("user", FieldKind::Text, "The user that the child of a `shell` or `exec` runs as; needs root."),
    FieldSpec::new("limits", FieldKind::Mapping(LIMIT_FIELDS), "Limits of its child or script: of a `lua` step memory and cpu, of a `python` step memory, cpu and files."),
    FieldSpec::new("output", FieldKind::OneOf(&[FieldKind::Choice(&["text", "lines", "json", "none"]), FieldKind::Mapping(FILE_FIELDS)]), "What becomes of a child's standard output.").default("text"),
    FieldSpec::new("allow", FieldKind::ListOf(&FieldKind::Choice(ALLOW_WORDS)), "Modules that a script of a page or RPC may use besides the safe ones."),
    FieldSpec::new("every", FieldKind::Duration, "Makes it a run-thread that runs this often, from start to start; needs `name`. Repeated steps that stand together start together, at most 1 ms apart, and their first results are waited for in order; one with an `if` starts when it is reached."),
    FieldSpec::new("cache", FieldKind::Duration, "The original's word for `every`; needs `thread_id`."),
    FieldSpec::new("thread_id", FieldKind::Text, "The original's word for the `name` of a repeated step."),
    FieldSpec::new("interval", FieldKind::Duration, "Wins over `cache`."),
    FieldSpec::new("history", FieldKind::Integer, "How many results of a repeated step are kept, 1 to 10000.").default("100"),
    FieldSpec::new("duration", FieldKind::Duration, "A repeated step ends after this time."),
    FieldSpec::new("timeseries collect", FieldKind::OneOf(&[FieldKind::Mapping(COLLECT_FIELDS), FieldKind::ListOf(&FieldKind::Mapping(COLLECT_FIELDS))]), "Keeps numbers of a repeated step's results in round-robin files and draws them."),
];

/// What a failure of the step does to its list.
pub enum OnError {
    /// Nothing was said: the list ends; the first run of a repeated step of a longrunning file may fail.
    Unset,
    /// The list ends.
    Stop,
    /// The list goes on.
    Continue,
    /// These steps run; then the list ends, or goes on if they say so.
    Handle(Handler),
}

/// What becomes of a child's standard output.
pub enum OutputAs {
    /// One text.
    Text,
    /// A list of lines.
    Lines,
    /// Parsed as JSON; a mapping is merged.
    Json,
    /// Thrown away.
    None,
    /// Written to a file.
    File(Setting<String>),
}

/// A step's attributes, read once.
pub struct Attributes {
    /// Its name.
    pub name: Option<String>,
    /// It runs only when this holds.
    pub condition: Option<Expr>,
    /// How long one attempt may take.
    pub timeout: Option<Setting<Duration>>,
    pub(super) retry: Option<Retry>,
    /// What a failure does.
    pub on_error: OnError,
    /// What it loops over.
    pub loop_over: Option<ValueTemplate>,
    /// What ends the repetition.
    pub until: Option<Expr>,
    /// Environment variables.
    pub env: Option<ValueTemplate>,
    /// Its child's folder.
    pub cwd: Option<Setting<String>>,
    /// Its child's user.
    pub user: Option<Setting<String>>,
    /// Limits.
    pub limits: LimitSettings,
    /// What becomes of its output.
    pub output: OutputAs,
    /// Modules it may use in a page.
    pub allow: Vec<String>,
    /// Set for a run-thread.
    pub repeat: Option<Repeat>,
}

impl Attributes {
    /// Reads the attributes among a step's keys.
    pub fn compile<'n>(item: &Node, entries: impl Iterator<Item = &'n Entry>, compiler: &mut Compiler) -> Self {
        let fields = Fields::sort(entries, ATTRIBUTES, "a step", &mut compiler.problems);
        let repeat = Repeat::compile(item, &fields, compiler);
        let on_error = fields.node("on error").map_or(OnError::Unset, |node| on_error(node, compiler));
        let problems = &mut compiler.problems;
        let name = fields.literal("name", problems).or_else(|| fields.literal("thread_id", problems));
        Attributes {
            name,
            condition: expression(&fields, "if", problems),
            timeout: fields.setting("timeout", problems),
            retry: fields.node("retry").and_then(|node| Retry::compile(node, problems)),
            on_error,
            loop_over: fields.node("loop").map(|node| ValueTemplate::compile(node, problems)),
            until: expression(&fields, "until", problems),
            env: fields.node("env").map(|node| ValueTemplate::compile(node, problems)),
            cwd: fields.setting("cwd", problems),
            user: fields.setting("user", problems),
            limits: fields.node("limits").map(|node| LimitSettings::compile(node, problems)).unwrap_or_default(),
            output: fields.node("output").and_then(|node| output(node, problems)).unwrap_or(OutputAs::Text),
            allow: fields.literal("allow", problems).unwrap_or_default(),
            repeat,
        }
    }
}

fn expression(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Option<Expr> {
    compile_expression(fields.node(name)?, problems)
}

/// An expression that is a value of its own; a mistake is reported at its column.
pub(crate) fn compile_expression(node: &Node, problems: &mut Problems) -> Option<Expr> {
    let text = crate::value::to_text(&node.to_value());
    match Expr::parse(&text) {
        Ok(expression) => Some(expression),
        Err(error) => {
            let mark = node.mark_within(error.column);
            problems.error(&mark, format!("in the expression \"{text}\": {}", error.message), error.remedy);
            None
        }
    }
}

fn on_error(node: &Node, compiler: &mut Compiler) -> OnError {
    match node.as_text() {
        Some("continue") => return OnError::Continue,
        Some("stop") => return OnError::Stop,
        _ => {}
    }
    Handler::compile(node, "on error", compiler).map_or(OnError::Stop, OnError::Handle)
}

fn output(node: &Node, problems: &mut Problems) -> Option<OutputAs> {
    if node.entries().is_some() {
        let fields = Fields::read(node, FILE_FIELDS, "output", problems);
        return Some(OutputAs::File(fields.setting("file", problems)?));
    }
    Some(match node.as_text() {
        Some("lines") => OutputAs::Lines,
        Some("json") => OutputAs::Json,
        Some("none") => OutputAs::None,
        _ => OutputAs::Text,
    })
}

/// Whether a key is an attribute.
pub(super) fn is_attribute(key: &str) -> bool {
    ATTRIBUTES.iter().any(|attribute| crate::spec::same_key(key, attribute.name))
}
