//! From a YAML file to a tree of [`Node`]s that remembers where everything stood.
//!
//! Every mistake is a [`Problem`] with `file:line:col`, and a file's problems are reported together as one
//! [`LoadError`]. Nothing here knows what a tag or a step means. The passes, in the order of a load:
//!
//! 1. `read`: a path becomes a [`Source`];
//! 2. `tree`: the parser's events become nodes, one by one, with `scalar` and `tag` for what a scalar means, `alias`
//!    for what stands at two places, and `syntax` for what a user did when the parser gave up;
//! 3. `include`: a file that a mapping names is found and goes through the same passes;
//! 4. `assemble`: a mapping's includes and merge keys are filled in when it ends.
//!
//! Whatever the input, memory and time are bounded (`budget`), and nothing recurses deeper than the depth that is
//! allowed.

mod alias;
mod assemble;
mod budget;
mod document;
mod include;
mod mark;
mod nearest;
mod node;
mod place;
mod problem;
mod read;
mod scalar;
mod syntax;
mod tag;
mod tree;

#[cfg(test)]
mod tests;

pub use document::{Document, load_data_file, load_data_text, load_file, load_text, read_file};
pub use mark::{Mark, Source};
pub use nearest::nearest;
pub use node::{Entry, Kind, Node, Style};
pub use problem::{LoadError, Problem, Problems, Severity};
pub(crate) use read::likely_name;
