//! Requests to HTTP servers: what the `http` step, the scripts' `http` module and calls between instances go through.
//!
//! An [`HttpClient`] sends a [`Request`] and gives an [`Answer`] or an [`HttpError`]; a status such as 500 is an answer,
//! and [`Expect`] says whether it is a good one. Every request ends: by its time limit, by a stop, or when its future is
//! dropped. Nothing is read beyond its cap, compressed bodies included. Connections are made on the caller's runtime,
//! kept for a few seconds and shared; nothing is built before the first request. No text of this module holds a
//! password, a token, the user in a URL or a URL's query.
//!
//! The only module that names hyper, rustls and what belongs to them.

mod answer;
mod body;
mod client;
mod connection;
mod connector;
mod error;
mod expect;
mod options;
mod proxies;
mod redirect;
mod request;
mod resolver;
mod target;
mod tls;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub(crate) use answer::seconds;
pub use client::HttpClient;
pub use error::{HttpError, HttpErrorKind};
pub use expect::Expect;
pub use options::{OPTIONS, OptionError, check_option, read_request};
pub use proxies::Proxies;
pub use request::{READ_AS, ReadAs, Request, Trust};
pub use target::Target;

use std::time::Duration;

/// How long a request may take unless told.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// How large a body may be unless told, in bytes.
pub const SIZE_MAX_DEFAULT: u64 = 8 * 1024 * 1024;
