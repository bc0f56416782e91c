//! The declaration of one field and the kinds of value it may hold.

/// What a field may hold. A text with `${…}` is accepted for every scalar kind and checked when it is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text; a number is taken as its text.
    Text,
    /// A path, relative to the folder of the file that names it.
    Path,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A duration: seconds as a number, or `90s`, `10ms`, `1h30m`, `2d`, `00:05:00`.
    Duration,
    /// A size: bytes as a number, or `64KiB`, `10MB`.
    Size,
    /// An expression.
    Expression,
    /// Any value.
    Any,
    /// Nothing: the key stands alone.
    Nothing,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of one kind.
    ListOf(&'static FieldKind),
    /// Names of the user's own, each with a value of one kind.
    MapOf(&'static FieldKind),
    /// A mapping with declared keys.
    Mapping(&'static [FieldSpec]),
    /// A run list: a list of steps.
    Steps,
    /// A block.
    Block,
    /// One of several kinds.
    OneOf(&'static [FieldKind]),
}

impl FieldKind {
    /// What is expected, for messages: `a duration such as …`.
    pub fn expected(&self) -> String {
        match self {
            FieldKind::Text => "text".into(),
            FieldKind::Path => "a path".into(),
            FieldKind::Number => "a number".into(),
            FieldKind::Integer => "a whole number".into(),
            FieldKind::Boolean => "true or false".into(),
            FieldKind::Duration => crate::units::DURATION_FORMS.into(),
            FieldKind::Size => crate::units::SIZE_FORMS.into(),
            FieldKind::Expression => "an expression such as count > 5".into(),
            FieldKind::Any => "any value".into(),
            FieldKind::Nothing => "nothing behind the key".into(),
            FieldKind::Choice(words) => format!("one of: {}", words.join(", ")),
            FieldKind::ListOf(kind) => format!("a list of: {}", kind.expected()),
            FieldKind::MapOf(kind) => format!("a mapping of names to: {}", kind.expected()),
            FieldKind::Mapping(fields) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                format!("a mapping with: {}", names.join(", "))
            }
            FieldKind::Steps => "a list of steps".into(),
            FieldKind::Block => "a mapping of tags".into(),
            FieldKind::OneOf(kinds) => kinds.iter().map(FieldKind::expected).collect::<Vec<_>>().join(", or "),
        }
    }
}

/// One key of a mapping that a user writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// The key, words joined by spaces.
    pub name: &'static str,
    /// What it may hold.
    pub kind: FieldKind,
    /// What holds when it is absent, as the user would write it.
    pub default: Option<&'static str>,
    /// Whether the mapping is refused without it.
    pub is_required: bool,
    /// One or two sentences.
    pub text: &'static str,
}

impl FieldSpec {
    /// An optional field without a default.
    pub const fn new(name: &'static str, kind: FieldKind, text: &'static str) -> Self {
        FieldSpec { name, kind, default: None, is_required: false, text }
    }

    /// The same with a default, as the user would write it.
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// The same, required.
    pub const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }
}

/// What an example of a declaration is to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The block's result as JSON; `__start_time` and `__duration` are left out before comparing.
    Result(&'static str),
    /// The run fails, and the message holds this text.
    Failure(&'static str),
    /// The file is refused, and the message holds this text.
    Refused(&'static str),
}

/// A block file with what it gives: shown in the reference and run by a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// The block file.
    pub yaml: &'static str,
    /// What it gives.
    pub expected: Expected,
}
