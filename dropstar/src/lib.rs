//! A web server in which a dropped-in script, template or RPC is live at once.
//!
//! The server runs [`Program`]s, which a [`Loader`] makes from the files of a site, and shows what goes on inside the
//! [`Instance`] around it. It knows neither YAML blocks nor Lua. Sites are described by [`ServeConfig`].

mod answer;
mod config;
mod declaration;
mod guard;
mod instance;
mod live;
mod program;
mod request;
mod rpc;
mod server;
mod site;
pub mod users;

pub use config::{
    Limits, Mount, PORT_DEFAULT, RESERVED, ServeConfig, Site, SiteContent, Tls, TrustedProxy, USERS_FILE,
};
pub use declaration::{Argument, ArgumentKind, Declaration, Need};
pub use guard::{GuardError, PublicError};
pub use instance::{Graph, GraphFormat, Instance, Sink};
pub use live::events::EventKind;
pub use program::{
    Answer, BoxFuture, Failure, FailureKind, LoadFailure, Loaded, Loader, Package, Program, Purpose, Request, Template,
};
pub use request::RequestState;
pub use server::{Server, StartError, TlsError};

/// A value as JSON has it.
pub type Value = serde_json::Value;

/// A mapping of names to values, in the order in which they were written.
pub type Map = serde_json::Map<String, Value>;
