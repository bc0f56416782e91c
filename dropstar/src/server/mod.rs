//! Listeners, connections, the end; and the way of a request from its head to its answer.

mod tls;

pub use tls::TlsError;
