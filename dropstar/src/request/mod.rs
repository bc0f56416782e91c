//! What a request brings: its head, its arguments, its cookies, its body within bounds.

pub(crate) mod arguments;
pub(crate) mod body;
pub(crate) mod cookies;
pub(crate) mod declared;
pub(crate) mod head;
mod multipart;
mod pairs;
mod state;

pub(crate) use arguments::{Given, TooMany};
pub(crate) use head::{BadHead, Ends, RequestHead};
pub use state::RequestState;
pub(crate) use state::{Live, Origin};
