//! What is served on a listener: a configuration with what was made of it. Replaced as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::answer::StaticFiles;
use crate::guard::{Guard, GuardError, Memory};
use crate::live::events::Hub;
use crate::live::graph::Pictures;
use crate::live::traffic::Traffic;
use crate::server::tls::{TlsError, TlsListener};
use crate::server::turns::Turns;
use crate::site::{Shared, Sites};
use crate::{Instance, Loader, ServeConfig};

/// What every listener of a server shares.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// Makes programs of files.
    pub(crate) loader: Arc<dyn Loader>,
    /// The instance around the server.
    pub(crate) instance: Arc<dyn Instance>,
    /// What readers of events share.
    pub(crate) hub: Arc<Hub>,
    /// Pictures of series in memory.
    pub(crate) pictures: Arc<Pictures>,
    /// Counts of requests and connections.
    pub(crate) traffic: Arc<Traffic>,
    /// Static files in memory.
    pub(crate) static_files: Arc<StaticFiles>,
    /// Who is logged in.
    pub(crate) memory: Arc<Memory>,
    /// Whether the server ends.
    pub(crate) is_ending: Arc<AtomicBool>,
}

/// Why a configuration can't be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServingError {
    #[error(transparent)]
    Guard(#[from] GuardError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Surroundings {
    /// Whether the server ends.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }
}

/// What is served on a listener.
pub(crate) struct Serving {
    /// The configuration.
    pub(crate) config: ServeConfig,
    /// `config.prefix`, to be shared.
    pub(crate) prefix: Arc<str>,
    /// The sites.
    pub(crate) sites: Sites,
    /// Decides what requests may do.
    pub(crate) guard: Guard,
    /// TLS, where it is wanted.
    pub(crate) tls: Option<TlsListener>,
    /// The limit on programs at once.
    pub(crate) turns: Turns,
    /// What the listeners share.
    pub(crate) surroundings: Surroundings,
}

impl Serving {
    /// What a configuration serves. Reads the users file, certificate and key.
    ///
    /// # Errors
    /// They are not as they must be, or the address is public and unprotected.
    pub(crate) fn new(config: ServeConfig, surroundings: &Surroundings) -> Result<Serving, ServingError> {
        let shared =
            Shared { loader: Arc::clone(&surroundings.loader), static_files: Arc::clone(&surroundings.static_files) };
        Ok(Serving {
            prefix: Arc::from(config.prefix.as_str()),
            sites: Sites::new(&config, shared),
            guard: Guard::new(&config, Arc::clone(&surroundings.memory))?,
            tls: config.tls.as_ref().map(|tls| TlsListener::new(tls, &[b"h2", b"http/1.1"])).transpose()?,
            turns: Turns::new(config.limits.programs, config.limits.programs_waiting),
            surroundings: surroundings.clone(),
            config,
        })
    }
}
