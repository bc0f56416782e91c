//! Procedures beside their flat calls: JSON-RPC 2.0 and the list at `/rpc`, and their description in OpenAPI.

mod describe;
mod json_rpc;

pub(crate) use describe::{list, open_api};
pub(crate) use json_rpc::call;

/// The methods of `/rpc`.
pub(crate) const METHODS: &str = "GET, HEAD, OPTIONS, POST";
