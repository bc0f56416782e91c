//! One address: the socket, the connections on it, and what is served there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

use crate::live::traffic::Counted;
use crate::request::Ends;
use crate::server::StartError;
use crate::server::connection::{self, Protocol};
use crate::server::serving::Serving;
use crate::server::tls::has_chosen;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 4096;

/// How long to wait when the system gives no further connection, for lack of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An address that is listened on.
pub(crate) struct Listening {
    /// The address, with its real port.
    pub(crate) address: SocketAddr,
    /// What was asked for, perhaps with port 0.
    pub(crate) wanted: SocketAddr,
    /// What is served; replaced as a whole.
    pub(crate) serving: ArcSwap<Serving>,
    open: Mutex<HashMap<u64, Open>>,
    next: AtomicU64,
    closed: Notify,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// A connection that is open.
struct Open {
    /// Asks it to end after the requests under way.
    end: oneshot::Sender<()>,
    /// Ends it at once.
    cut: AbortHandle,
}

/// Binds an address.
///
/// # Errors
/// It is in use, may not be used, or is not this machine's.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A server that starts again must not wait for the last one's connections to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error| StartError::new(address, error))
}

impl Listening {
    /// Begins to accept connections.
    ///
    /// # Errors
    /// The system does not tell the socket's address.
    pub(crate) fn start(
        listener: TcpListener,
        wanted: SocketAddr,
        serving: Serving,
    ) -> Result<Arc<Listening>, StartError> {
        let address = listener.local_addr().map_err(|error| StartError::new(wanted, error))?;
        let connections = Arc::new(Semaphore::new(serving.config.limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let listening = Arc::new(Listening {
            address,
            wanted,
            serving: ArcSwap::from_pointee(serving),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            closed: Notify::new(),
            accepting: Mutex::new(None),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&listening), connections));
        *listening.accepting.lock() = Some(accepting);
        Ok(listening)
    }

    /// Closes the socket, asks every connection to end and, after the grace, ends those that are left.
    pub(crate) async fn end(&self) {
        let accepting = self.accepting.lock().take();
        if let Some(accepting) = accepting {
            accepting.abort();
            // Awaited so that the socket is closed and no connection begins behind our back; it was cancelled.
            let _ = accepting.await;
        }
        let ends: Vec<_> = {
            let mut open = self.open.lock();
            open.values_mut().map(|open| std::mem::replace(&mut open.end, oneshot::channel().0)).collect()
        };
        for end in ends {
            // A connection that just closed listens no more.
            let _ = end.send(());
        }
        let grace = self.serving.load().config.limits.grace;
        if tokio::time::timeout(grace, self.all_closed()).await.is_err() {
            for open in self.open.lock().values() {
                open.cut.abort();
            }
            self.all_closed().await;
        }
    }

    async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open.lock().is_empty() {
                return;
            }
            closed.await;
        }
    }

    fn spawn(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, permit: tokio::sync::OwnedSemaphorePermit) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (end, ended) = oneshot::channel();
        let listening = Arc::clone(self);
        let counted = self.serving.load().surroundings.traffic.connected();
        // Held until the connection is in the list, so that its end finds it there.
        let mut open = self.open.lock();
        let task = tokio::spawn(async move {
            let _closing = Closing { listening: Arc::clone(&listening), id, _permit: permit, _counted: counted };
            serve_stream(stream, peer, listening, ended).await;
        });
        open.insert(id, Open { end, cut: task.abort_handle() });
    }
}

/// Takes a connection off the list, also when it is cut.
struct Closing {
    listening: Arc<Listening>,
    id: u64,
    _permit: tokio::sync::OwnedSemaphorePermit,
    _counted: Counted,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let mut open = self.listening.open.lock();
        open.remove(&self.id);
        if open.is_empty() {
            self.listening.closed.notify_waiters();
        }
    }
}

async fn accept(listener: TcpListener, listening: Arc<Listening>, connections: Arc<Semaphore>) {
    loop {
        // A closed semaphore would end the listener; nobody closes it.
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => listening.spawn(stream, peer, permit),
            Err(error) => {
                log::warn!(target: "serve", "{} accepts no connection for a moment: {error}", listening.address);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_stream(stream: TcpStream, peer: SocketAddr, listening: Arc<Listening>, end: oneshot::Receiver<()>) {
    // An answer is written in one piece; waiting for more would only delay it. A closed stream may refuse.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let serving = listening.serving.load_full();
    let Some(tls) = &serving.tls else {
        let ends = Ends { peer, local, is_tls: false };
        return connection::serve(stream, Protocol::One, ends, listening, end).await;
    };
    let shaken = tokio::time::timeout(serving.config.limits.header_timeout, tls.accept(stream)).await;
    // Clients that speak no TLS, or give up, are none of the administrator's business.
    let Ok(Ok(stream)) = shaken else { return };
    let protocol = if has_chosen(&stream, b"h2") { Protocol::Two } else { Protocol::One };
    drop(serving);
    connection::serve(stream, protocol, Ends { peer, local, is_tls: true }, listening, end).await;
}
