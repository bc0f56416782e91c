//! The socket of a running instance, and what else ties it to the machine: its name, pidfile and service manager.
//!
//! An instance takes its name first ([`Claim`]), so that a second start is refused before it does anything. Then a
//! [`Server`] answers on `NAME.sock` in a folder of this user alone: a JSON object a line, the instance's own calls and
//! every shared function by name. Commands find instances and talk to them with the blocking [`Client`].

mod busy;
mod calls;
mod claim;
mod client;
mod connection;
mod find;
mod folder;
mod held;
mod lines;
mod name;
mod notify;
mod pidfile;
mod protocol;
mod server;
mod status;
mod store;

#[cfg(test)]
mod tests;

pub use calls::{InstanceCalls, Reload};
pub use claim::{Claim, ClaimError};
pub use client::{Client, ClientError};
pub use find::{FindError, Found, find_all, find_one};
pub use folder::{FolderError, Places};
pub use name::socket_stem;
pub use notify::Notify;
pub use pidfile::{PidFile, PidFileError};
pub use protocol::{Hello, PROTOCOL, REPLY_BYTES_MAX, REQUEST_BYTES_MAX};
pub use server::{CONNECTIONS_MAX, Calls, Server};

pub(crate) use connection::page_value;
pub(crate) use status::{one as status_of, status, threads};
