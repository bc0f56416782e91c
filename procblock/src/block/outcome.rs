//! What a tag leaves behind, and what a block gives.

use crate::error::RunError;
use crate::value::{Map, Value};

/// What becomes of a tag's value.
#[derive(Debug, Clone, PartialEq)]
pub enum TagOutcome {
    /// It stands in the block's result under the tag's key.
    Save(Value),
    /// It leaves nothing in the result.
    Discard,
    /// Its keys are merged into the block's result.
    Merge(Map),
    /// It leaves nothing, and the rest of the block does not run; no failure.
    Leave,
}

/// A failure with what was reached before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Failed {
    /// What failed.
    pub error: Box<RunError>,
    /// What the tag had when it failed; it stands in the result so far.
    pub so_far: TagOutcome,
}

impl From<RunError> for Failed {
    fn from(error: RunError) -> Self {
        Failed { error: Box::new(error), so_far: TagOutcome::Discard }
    }
}

/// What a tag's action returns.
pub type TagResult = Result<TagOutcome, Failed>;

/// What a block gives: its result, or the result so far and the failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Processed {
    /// The block's value: a mapping, or what `__return_tag` names.
    pub result: Value,
    /// Why it failed, if it did.
    pub error: Option<Box<RunError>>,
}

impl Processed {
    /// The outcome as a nested block's tag.
    ///
    /// # Errors
    /// The block failed; its result so far goes along.
    pub fn into_outcome(self) -> TagResult {
        match self.error {
            None => Ok(TagOutcome::Save(self.result)),
            Some(error) => Err(Failed { error, so_far: TagOutcome::Save(self.result) }),
        }
    }
}
