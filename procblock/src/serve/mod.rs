//! Serving pages and RPCs: what stands between procblock's YAML and scripts and the web server.
//!
//! [`serving`] reads site files and the `serve` tag, [`site`] each site, [`package`] and [`page`] what it names; nothing of it needs a running
//! instance, so that `check` reads the same. [`loader`] ties what was read to an instance and gives it to the server as
//! programs; [`servers`] are the listeners of an instance. The server itself is the crate `dropstar`.

mod comments;
pub mod declaration;
pub mod definition;
mod environment;
pub mod fields;
mod inside;
mod listener;
pub mod loader;
pub mod package;
pub mod page;
pub mod program;
pub mod servers;
pub mod serving;
mod shown;
pub mod site;

#[cfg(test)]
mod tests;
