//! What a request brings: its head, its arguments, its cookies, its body within bounds.

pub(crate) mod cookies;
pub(crate) mod head;
mod state;

pub use state::RequestState;
pub(crate) use state::{Live, Origin};
