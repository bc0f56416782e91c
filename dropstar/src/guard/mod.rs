//! The one check in front of every route.
//!
//! [`Guard::check`] decides, before a byte of the body is read and before anything runs, from the request's head, what
//! the route wants and who the users file says may do what. It waits for nothing. What it admits is a [`Visitor`]; what
//! it refuses is a [`Refusal`] that makes its own answer. Log-in and log-out are [`Guard::log_in`] and its siblings.
//!
//! Invariant: nothing opens while the server runs. A users file that is damaged, gone or emptied refuses everybody.

mod attempts;
mod audit;
mod check;
mod forwarded;
mod headers;
mod hosts;
mod log_in;
mod log_in_page;
mod origin;
mod public;
mod refusal;
mod roll;
mod sessions;
mod visitor;

use std::sync::Arc;

use unidist::Clock;

use crate::ServeConfig;
use crate::declaration::Need;
use crate::request::RequestHead;
use crate::site::{Own, Route};
use crate::users::{Hashing, Proof, UsersFileError};

use attempts::Attempts;
use audit::Audit;
use forwarded::Proxies;
use hosts::Hosts;
use log_in_page::LogInPage;
use roll::Roll;
use sessions::Sessions;

pub(crate) use headers::{Whose, complete, stay_with_tls};
pub(crate) use log_in::LOG_IN_BYTES_MAX;
pub use public::PublicError;
pub(crate) use refusal::Refusal;
pub(crate) use visitor::{Admission, CSRF_FIELD, Visitor};

/// What a route wants of who uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// Nothing, ever: health, log-in, the scripts of our own, files that a site makes public.
    Open,
    /// A log-in where there are users: pages, what is only read.
    Reading,
    /// `call` where there are users: procedures, forms.
    Changing,
    /// An administrator where there are users: what shows the inside.
    Inside,
    /// An administrator where there are users, else somebody at this machine: what changes the inside.
    Administering,
    /// What a page or procedure declares, whether there are users or not.
    Declared(Need),
}

/// What the guard is asked about a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The request's head.
    pub(crate) head: &'a RequestHead,
    /// What its route wants.
    pub(crate) access: Access,
    /// Whether answering it may change something: then its origin is checked, and it is in the audit log.
    pub(crate) is_changing: bool,
}

impl<'a> Asked<'a> {
    /// What is asked about a request for a route.
    pub(crate) fn about(head: &'a RequestHead, route: &Route) -> Self {
        let is_changing = !head.is_reading() && !route.is_read_only();
        Asked { head, access: Access::to(route, is_changing), is_changing }
    }
}

impl Access {
    /// What a route wants. Whatever says nothing of itself wants a log-in, also what is not there: who may not see a
    /// site need not know what it holds.
    pub(crate) fn to(route: &Route, is_changing: bool) -> Access {
        match route {
            // The scripts hold no secret, and pages that anybody may see load them.
            Route::Own(Own::Health | Own::LogIn | Own::Script | Own::Charts) | Route::Public(_) => Access::Open,
            Route::Own(Own::LogOut) => Access::Declared(Need::Login),
            Route::Own(Own::Status) if is_changing => Access::Administering,
            Route::Own(Own::Status) => Access::Inside,
            // Each procedure that is called through it is decided about by itself.
            Route::Own(_) => Access::Reading,
            Route::Page(_) | Route::Procedure(_) => match route.need() {
                Some(need) => Access::Declared(need),
                None if is_changing => Access::Changing,
                None => Access::Reading,
            },
            Route::Broken(_) | Route::Static(_) | Route::Folder(_) | Route::Missing => Access::Reading,
        }
    }
}

/// Decides who may do what. Shared by all connections of a listener.
pub(crate) struct Guard {
    hosts: Hosts,
    proxies: Proxies,
    roll: Roll,
    /// Whether errors are shown to whoever comes by loopback.
    dev: bool,
    is_tls: bool,
    prefix: String,
    page: LogInPage,
    memory: Arc<Memory>,
}

/// What all listeners of a server share, and what outlives a reload of the configuration: sessions, failed log-ins.
pub(crate) struct Memory {
    clock: Arc<dyn Clock>,
    sessions: Sessions,
    attempts: Attempts,
    hashing: Hashing,
    proof: Proof,
    audit: Audit,
}

/// Why there is no guard, and so no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The users file is not as it must be.
    #[error(transparent)]
    Users(#[from] UsersFileError),
    /// The address is public and not protected.
    #[error(transparent)]
    Public(#[from] PublicError),
    /// The name of the proxy's header can't be one.
    #[error("trusted proxy: \"{0}\" can't be the name of a header; expected letters, digits and '-'")]
    Header(String),
    /// The machine gives no random bytes, or not the memory that hashing takes.
    #[error("log-ins can't be guarded: {0}")]
    Machine(String),
}

impl Memory {
    /// Nobody is logged in. Takes some 30 ms.
    ///
    /// # Errors
    /// The machine gives no random bytes.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Result<Memory, GuardError> {
        Ok(Memory {
            clock,
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            hashing: Hashing::new().map_err(|error| GuardError::Machine(error.to_string()))?,
            proof: Proof::new().map_err(GuardError::Machine)?,
            audit: Audit::default(),
        })
    }
}

impl Guard {
    /// A guard for a listener. Reads the users file.
    ///
    /// # Errors
    /// The users file is damaged, or the address is public and unprotected.
    pub(crate) fn new(config: &ServeConfig, memory: Arc<Memory>) -> Result<Guard, GuardError> {
        let proxies = Proxies::new(config.trusted_proxy.as_ref()).map_err(GuardError::Header)?;
        let roll = Roll::new(config.users.as_deref(), proxies.vouch_for_users(), memory.clock.now())?;
        public::check(config, !roll.is_open())?;
        Ok(Guard {
            hosts: Hosts::new(config),
            proxies,
            roll,
            dev: config.dev,
            is_tls: config.tls.is_some(),
            prefix: config.prefix.clone(),
            page: LogInPage::new(&config.prefix),
            memory,
        })
    }

    /// Whether the browser reached this server, or a trusted proxy in front of it, through TLS.
    pub(crate) fn was_reached_by_tls(&self, head: &RequestHead) -> bool {
        head.is_tls || self.proxies.is_tls(head)
    }

    /// Whether everybody may do what nothing is declared about: there are no users, no tokens and no proxy that vouches.
    pub(crate) fn is_open(&self) -> bool {
        self.roll.is_open()
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Memory").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Guard").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
