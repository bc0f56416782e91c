//! What ties an instance to the machine while it lives: its name, socket, pidfile and service manager.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::task::JoinHandle;

use super::calls::{InstanceCalls, Reload};
use super::claim::{Claim, ClaimError};
use super::folder::FolderError;
use super::notify::Notify;
use super::pidfile::{PidFile, PidFileError};
use super::protocol::{Hello, PROTOCOL};
use super::server::Server;
use crate::host::BoxFuture;
use crate::instance::Instance;

/// The ties; dropping them removes socket and pidfile and frees the name.
pub struct Attachment {
    claim: Option<Claim>,
    server: Option<Server>,
    notify: Option<Arc<Notify>>,
    watching: Option<JoinHandle<()>>,
    _pidfile: Option<PidFile>,
}

/// The instance can't be tied to the machine, and so does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// Its name is not to be had.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Its pidfile can't be made.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// Its socket can't be made.
    #[error(transparent)]
    Socket(#[from] FolderError),
}

impl Attachment {
    /// Takes name and pidfile, before anything else happens. A file that is not longrunning may run as often as one
    /// likes: it has no name to take, and no socket.
    ///
    /// # Errors
    /// Another process has one of them, or they can't be written.
    pub fn take(name: Option<&str>, pidfile: Option<&Path>) -> Result<Self, AttachError> {
        Ok(Attachment {
            claim: name.map(Claim::take).transpose()?,
            _pidfile: pidfile.map(PidFile::create).transpose()?,
            server: None,
            notify: Notify::of_process().map(Arc::new),
            watching: None,
        })
    }

    /// Opens the socket, if a name was taken. Relative paths in calls start from `folder`. Must be called inside a
    /// runtime.
    ///
    /// # Errors
    /// The socket can't be made.
    pub fn serve(
        &mut self,
        instance: &Arc<Instance>,
        file: &Path,
        folder: PathBuf,
        reload: Reload,
    ) -> Result<(), AttachError> {
        let Some(claim) = self.claim.take() else { return Ok(()) };
        let hello = Hello {
            procblock: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            process: std::process::id(),
            name: instance.name.clone(),
            file: Some(std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf())),
            since: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        };
        let calls = InstanceCalls::new(Arc::clone(instance), hello.clone(), folder, Some(reload));
        self.server = Some(Server::start(claim, hello, Arc::new(calls))?);
        Ok(())
    }

    /// Tells the service manager that the instance does its work, and from then on that it is alive: that the runtime
    /// and the run-threads' timer answer.
    pub fn ready(&mut self, instance: &Arc<Instance>) {
        let Some(notify) = &self.notify else { return };
        let threads = instance.threads.all().len();
        notify.status(&format!("{}: {threads} run-threads", instance.name));
        notify.ready();
        if self.watching.is_none() {
            let (notify, instance) = (Arc::clone(notify), Arc::clone(instance));
            self.watching = Some(tokio::spawn(async move {
                let is_alive = || -> BoxFuture<'static, bool> {
                    let instance = Arc::clone(&instance);
                    Box::pin(async move { instance.threads.is_answering().await })
                };
                notify.watch(is_alive).await;
            }));
        }
    }

    /// Tells the service manager that a reload begins; [`Attachment::ready`] ends it.
    pub fn reloading(&self) {
        if let Some(notify) = &self.notify {
            notify.reloading();
        }
    }

    /// Tells the service manager that the instance ends.
    pub fn stopping(&mut self) {
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        if let Some(notify) = &self.notify {
            notify.stopping();
        }
    }
}
