//! Listeners, connections, the end; and the way of a request from its head to its answer.

mod connection;
pub(crate) mod handle;
mod listener;
mod own;
mod pace;
mod run;
pub(crate) mod serving;
mod tls;
mod transport;
mod turns;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use unidist::SystemClock;

use crate::answer::StaticFiles;
use crate::guard::{GuardError, Memory};
use crate::live::events::Hub;
use crate::live::graph::Pictures;
use crate::{Instance, Loader, ServeConfig};
use listener::{Listening, bind};
use serving::{Serving, ServingError, Surroundings};
pub use tls::TlsError;

/// Why a server does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Something else listens there: end it, or take another port.
    #[error("{address} is in use by another program: end it, or choose another port")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The user may not listen there: take a port from 1024 up, or grant CAP_NET_BIND_SERVICE.
    #[error("this user may not listen on {address}: choose a port from 1024 up, or grant CAP_NET_BIND_SERVICE")]
    NotAllowed {
        /// The address.
        address: SocketAddr,
    },
    /// The address is none of this machine's.
    #[error("{address} is no address of this machine")]
    NotOurs {
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses for another reason.
    #[error("can't listen on {address}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The configuration can't be served.
    #[error("{0}")]
    Wrong(String),
    /// The users file is not as it must be, or the address is public and unprotected: the text names the remedies.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The certificate or its key is not as it must be.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl From<ServingError> for StartError {
    fn from(error: ServingError) -> Self {
        match error {
            ServingError::Guard(error) => error.into(),
            ServingError::Tls(error) => error.into(),
        }
    }
}

impl StartError {
    fn new(address: SocketAddr, source: io::Error) -> StartError {
        match source.kind() {
            io::ErrorKind::AddrInUse => StartError::InUse { address },
            io::ErrorKind::PermissionDenied => StartError::NotAllowed { address },
            io::ErrorKind::AddrNotAvailable => StartError::NotOurs { address },
            _ => StartError::Refused { address, source },
        }
    }
}

/// A web server that listens on one or more addresses.
///
/// It runs on the tokio runtime on which it was started. Dropping it closes nothing; [`Server::end`] does.
pub struct Server {
    surroundings: Surroundings,
    listeners: Mutex<Vec<Arc<Listening>>>,
}

impl Server {
    /// Listens on the address of each configuration and serves its sites. Two with one address are refused. Reads no
    /// file of a site yet.
    ///
    /// # Errors
    /// An address can't be listened on, or a configuration can't be served. Then none is.
    pub async fn start(
        configs: Vec<ServeConfig>,
        loader: Arc<dyn Loader>,
        instance: Arc<dyn Instance>,
    ) -> Result<Server, StartError> {
        let surroundings = Surroundings {
            loader,
            hub: Hub::new(Arc::clone(&instance)),
            pictures: Arc::new(Pictures::new()),
            instance,
            traffic: Arc::default(),
            static_files: Arc::new(StaticFiles::new()),
            memory: Arc::new(Memory::new(Arc::new(SystemClock::new()))?),
            is_ending: Arc::new(AtomicBool::new(false)),
        };
        let server = Server { surroundings, listeners: Mutex::default() };
        server.replace(configs).await?;
        Ok(server)
    }

    /// The addresses that are listened on, in the order of the configurations, with real ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.lock().iter().map(|listening| listening.address).collect()
    }

    /// Serves these configurations instead. A listener whose configured address stays is not closed, and its open
    /// connections see the new sites at their next request; one that goes ends as [`Server::end`] describes. Limits of
    /// connections hold for new listeners and connections.
    ///
    /// # Errors
    /// As [`Server::start`]; then everything is as before.
    pub async fn replace(&self, configs: Vec<ServeConfig>) -> Result<(), StartError> {
        check(&configs)?;
        let mut before = self.listeners.lock().clone();
        let mut chosen = Vec::with_capacity(configs.len());
        for config in configs {
            let kept = before.iter().position(|listening| listening.wanted == config.listen);
            let place = match kept {
                Some(index) => Place::Kept(before.swap_remove(index)),
                None => Place::Bound(bind(config.listen)?),
            };
            chosen.push((place, Serving::new(config, &self.surroundings)?));
        }
        let mut after = Vec::with_capacity(chosen.len());
        for (place, serving) in chosen {
            after.push(match place {
                Place::Kept(listening) => {
                    listening.serving.store(Arc::new(serving));
                    listening
                }
                Place::Bound(listener) => {
                    let wanted = serving.config.listen;
                    Listening::start(listener, wanted, serving)?
                }
            });
        }
        *self.listeners.lock() = after;
        end_all(before).await;
        Ok(())
    }

    /// Closes the listeners at once, lets requests under way finish within `limits.grace` and cuts the rest, whose
    /// programs are asked to stop. Returns when no connection is left.
    pub async fn end(&self) {
        self.surroundings.is_ending.store(true, Ordering::Relaxed);
        self.surroundings.hub.end();
        let listeners = std::mem::take(&mut *self.listeners.lock());
        end_all(listeners).await;
    }
}

/// Where a configuration is served.
enum Place {
    Kept(Arc<Listening>),
    Bound(tokio::net::TcpListener),
}

async fn end_all(listeners: Vec<Arc<Listening>>) {
    let ending: Vec<_> =
        listeners.into_iter().map(|listening| tokio::spawn(async move { listening.end().await })).collect();
    for ended in ending {
        // It only fails when the runtime ends, which closes everything anyway.
        let _ = ended.await;
    }
}

fn check(configs: &[ServeConfig]) -> Result<(), StartError> {
    for (index, config) in configs.iter().enumerate() {
        let address = config.listen;
        if config.sites.is_empty() {
            return Err(StartError::Wrong(format!("nothing is served on {address}: name a folder or a site")));
        }
        let is_twice = configs.iter().take(index).any(|other| other.listen == address && address.port() != 0);
        if is_twice {
            return Err(StartError::Wrong(format!("{address} is served twice: put its sites into one list")));
        }
        if !config.prefix.is_empty() && (!config.prefix.starts_with('/') || config.prefix.ends_with('/')) {
            let prefix = &config.prefix;
            return Err(StartError::Wrong(format!(
                "the prefix {prefix:?} is wrong: it begins with a slash and ends without"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
