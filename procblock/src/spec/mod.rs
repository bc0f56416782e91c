//! Declarations: what a tag, step or attribute takes, said once.
//!
//! Reading, checking, the generated reference, the JSON Schema and the example tests all come from a
//! [`FieldSpec`]. [`Fields`] reads a mapping against its declaration; a [`Setting`] is one value that was literal in
//! the file or has `${…}` to fill in at run time.

mod field;
mod fields;
mod setting;

pub use field::{Example, Expected, FieldKind, FieldSpec};
pub use fields::{Fields, check_kind, same_key};
pub use setting::{FromValue, Setting, Size};
