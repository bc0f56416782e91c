//! The declaration of a tag.

use crate::spec::{Example, FieldKind, same_key};

/// Which keys are a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// The key itself; words may be joined by spaces or underscores.
    Exact(&'static str),
    /// A fixed beginning, then a part of the user's own: `set VAR`, `if EXPR`.
    Prefix {
        /// The fixed beginning, without the space that follows it.
        prefix: &'static str,
        /// What follows, as documentation names it: `VAR`.
        variable: &'static str,
    },
}

impl Pattern {
    /// The key as documentation shows it.
    pub fn text(&self) -> String {
        match self {
            Pattern::Exact(key) => (*key).into(),
            Pattern::Prefix { prefix, variable } => format!("{prefix} {variable}"),
        }
    }

    /// The variable part, when `key` is this tag; empty for an exact one.
    pub fn matches<'k>(&self, key: &'k str) -> Option<&'k str> {
        match self {
            Pattern::Exact(declared) => same_key(key, declared).then_some(""),
            Pattern::Prefix { prefix, .. } => {
                let rest = key.strip_prefix(prefix)?.strip_prefix(' ')?.trim();
                (!rest.is_empty()).then_some(rest)
            }
        }
    }
}

/// What a tag is, for reading, checking, documentation and the schema.
#[derive(Debug)]
pub struct TagSpec {
    /// Which keys it is.
    pub pattern: Pattern,
    /// Its place in the order; lower runs first. `None`: it is a direction to the loader, not a step of the run.
    pub priority: Option<i32>,
    /// One sentence.
    pub summary: &'static str,
    /// The rest: what it does with its value, what it leaves in the result.
    pub text: &'static str,
    /// What it takes.
    pub value: FieldKind,
    /// At least one that works; run by a test.
    pub examples: &'static [Example],
}
