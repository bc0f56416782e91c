//! The declaration of a step.

use crate::spec::{Example, FieldKind};

/// What a step is, for reading, checking, documentation and the schema.
#[derive(Debug)]
pub struct StepSpec {
    /// The key that names it.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The rest: what it does with its value, what it leaves in pipe data.
    pub text: &'static str,
    /// What it takes.
    pub value: FieldKind,
    /// At least one that works; run by a test.
    pub examples: &'static [Example],
}
