//! Names to addresses by the system's resolver, which blocks: a few threads at once, however many requests wait.

use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::connector::ConnectFailure;

/// Lookups under way at once. One that nobody waits for any more goes on to its end: it can't be interrupted.
const LOOKUPS_MAX: usize = 16;

/// Shared by all connections of a client.
#[derive(Clone)]
pub(super) struct Resolver {
    lookups: Arc<Semaphore>,
}

impl Resolver {
    pub(super) fn new() -> Self {
        Resolver { lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

type Lookup = Pin<Box<dyn Future<Output = Result<std::vec::IntoIter<SocketAddr>, ConnectFailure>> + Send>>;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ConnectFailure;
    type Future = Lookup;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Lookup {
        let lookups = Arc::clone(&self.lookups);
        Box::pin(async move {
            let failed = |cause: String| ConnectFailure::new(format!("no address for {name}: {cause}"));
            let turn = lookups.acquire_owned().await.map_err(|error| failed(error.to_string()))?;
            let host = name.to_string();
            let work = move || {
                let found = (host.as_str(), 0).to_socket_addrs();
                drop(turn);
                found
            };
            let found = tokio::task::spawn_blocking(work).await.map_err(|error| failed(error.to_string()))?;
            found.map_err(|error| failed(reason(&error)))
        })
    }
}

/// What the resolver says, without the part that every failure begins with.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    text.to_lowercase()
}
