//! What is served on a listener: a configuration with what was made of it. Replaced as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use unidist::Clock;

use crate::answer::StaticFiles;
use crate::guard::Guard;
use crate::server::StartError;
use crate::server::tls::TlsListener;
use crate::server::turns::Turns;
use crate::site::{Shared, Sites};
use crate::{Instance, Loader, ServeConfig};

/// HTTP/2 as ALPN names it.
pub(crate) const HTTP_2: &[u8] = b"h2";

/// What every listener of a server shares.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// Makes programs of files.
    pub(crate) loader: Arc<dyn Loader>,
    /// The instance around the server.
    #[allow(dead_code, reason = "the status pages' and events' own")]
    pub(crate) instance: Arc<dyn Instance>,
    /// Static files in memory.
    pub(crate) static_files: Arc<StaticFiles>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether the server ends.
    pub(crate) is_ending: Arc<AtomicBool>,
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
    /// Speaks TLS, where that is wanted.
    pub(crate) tls: Option<TlsListener>,
    /// The limit on programs at once.
    pub(crate) turns: Turns,
    /// What the listeners share.
    pub(crate) surroundings: Surroundings,
}

impl Serving {
    /// What a configuration serves. Reads users and certificates, and no file of a site yet.
    ///
    /// # Errors
    /// The address is public and not protected, or users or certificates are not as they must be.
    pub(crate) fn new(config: ServeConfig, surroundings: &Surroundings) -> Result<Serving, StartError> {
        let guard = Guard::new(&config, Arc::clone(&surroundings.clock));
        let guard = guard.map_err(|source| StartError::Unguarded { address: config.listen, source })?;
        Serving::with_guard(config, guard, surroundings.clone())
    }

    /// What a changed configuration serves: sessions stay.
    ///
    /// # Errors
    /// As [`Serving::new`].
    pub(crate) fn renewed(&self, config: ServeConfig) -> Result<Serving, StartError> {
        let guard = self.guard.renewed(&config);
        let guard = guard.map_err(|source| StartError::Unguarded { address: config.listen, source })?;
        Serving::with_guard(config, guard, self.surroundings.clone())
    }

    fn with_guard(config: ServeConfig, guard: Guard, surroundings: Surroundings) -> Result<Serving, StartError> {
        let tls = config.tls.as_ref().map(|tls| TlsListener::new(tls, &[HTTP_2, b"http/1.1"])).transpose();
        let tls = tls.map_err(|source| StartError::Tls { address: config.listen, source })?;
        let shared =
            Shared { loader: Arc::clone(&surroundings.loader), static_files: Arc::clone(&surroundings.static_files) };
        Ok(Serving {
            prefix: Arc::from(config.prefix.as_str()),
            sites: Sites::new(&config, shared),
            guard,
            tls,
            turns: Turns::new(config.limits.programs, config.limits.programs_waiting),
            surroundings,
            config,
        })
    }
}
