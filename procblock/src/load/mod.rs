//! From a YAML file to a tree of [`Node`]s that remembers where everything stood.
//!
//! Every mistake is a [`Problem`] with `file:line:col`, and a file's problems are reported together as one
//! [`LoadError`]. Nothing here knows what a tag or a step means.

mod mark;
mod node;
mod problem;

pub use mark::{Mark, Source};
pub use node::{Entry, Kind, Node, Style};
pub use problem::{LoadError, Problem, Problems, Severity};
