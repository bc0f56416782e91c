//! What people read: the reference, the schema, the examples in both, messages for mistakes, first files.
//!
//! `UPDATE_EXPECTED=1` rewrites what is generated (docs/reference, schemas) and the expected messages.

mod check;
mod examples;
mod fences;
mod generated;
mod mistakes;
mod new;
mod schema;
mod support;
