//! What people read: the reference, the schema, the examples in both, messages for mistakes, first files.
//!
//! `UPDATE_EXPECTED=1` rewrites what is generated (docs/reference, schemas) and the expected messages.

#![expect(clippy::unwrap_used, reason = "helpers of tests: what does not hold is a failed test")]

mod check;
mod examples;
mod fences;
mod generated;
mod mistakes;
mod new;
mod schema;
mod support;
