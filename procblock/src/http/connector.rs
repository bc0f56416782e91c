//! Connecting: to a Unix socket, directly or through a proxy, with TLS where the URL says so.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use tokio::net::{TcpStream, UnixStream};
use tower_service::Service;

use super::connection::Link;
use super::proxies::{Proxies, Proxy};
use super::resolver::Resolver;
use super::target::socket_of;
use super::tls::Tls;

/// A connection that is not there after this time never will be; what the request waits is bounded by its own limit.
const CONNECT_MAX: Duration = Duration::from_secs(120);

/// Why there is no connection, in words for people.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct ConnectFailure(String);

impl ConnectFailure {
    pub(super) fn new(text: impl Into<String>) -> Self {
        ConnectFailure(text.into())
    }
}

/// Makes the connections of one client.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    proxies: Arc<Proxies>,
    tls: Arc<Tls>,
}

impl Connector {
    pub(super) fn new(resolver: Resolver, proxies: Arc<Proxies>, tls: Tls) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Connector { tcp, proxies, tls: Arc::new(tls) }
    }

    async fn connect(self, uri: Uri) -> Result<Link, ConnectFailure> {
        if let Some(path) = socket_of(&uri) {
            let stream = UnixStream::connect(&path).await;
            let failed = |error| ConnectFailure::new(format!("the socket {}: {}", path.display(), io_text(&error)));
            return stream.map(Link::new).map_err(failed);
        }
        let is_encrypted = uri.scheme_str() == Some("https");
        let stream = match self.proxies.for_uri(&uri)? {
            None => self.reach(uri.clone()).await?,
            Some(proxy) if is_encrypted => self.tunnel(proxy, &uri).await?,
            Some(proxy) => {
                let reached = self.reach(proxy.uri.clone()).await;
                return reached.map(|stream| Link::new(stream).proxied()).map_err(|error| of_proxy(&proxy, &error));
            }
        };
        if !is_encrypted {
            return Ok(Link::new(stream));
        }
        let stream = self.tls.connect(uri.host().unwrap_or_default(), stream).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Link::new(stream).http2(is_http2))
    }

    async fn reach(&self, uri: Uri) -> Result<TcpStream, ConnectFailure> {
        let reached = self.tcp.clone().call(uri).await;
        reached.map(hyper_util::rt::TokioIo::into_inner).map_err(|error| ConnectFailure::new(root_text(&error)))
    }

    async fn tunnel(&self, proxy: Proxy, uri: &Uri) -> Result<TcpStream, ConnectFailure> {
        let mut tunnel = Tunnel::new(proxy.uri.clone(), self.tcp.clone());
        if let Some(authorization) = proxy.authorization.clone() {
            tunnel = tunnel.with_auth(authorization);
        }
        let made = tunnel.call(uri.clone()).await;
        made.map(hyper_util::rt::TokioIo::into_inner)
            .map_err(|error| of_proxy(&proxy, &ConnectFailure::new(root_text(&error))))
    }
}

fn of_proxy(proxy: &Proxy, error: &ConnectFailure) -> ConnectFailure {
    let port = proxy.uri.port_u16().unwrap_or(80);
    ConnectFailure::new(format!("the proxy {}:{port}: {error}", proxy.uri.host().unwrap_or_default()))
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Link, ConnectFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.clone().connect(uri);
        Box::pin(async move {
            let late = |_| ConnectFailure::new("no connection within two minutes");
            tokio::time::timeout(CONNECT_MAX, connecting).await.map_err(late)?
        })
    }
}

/// What lies at the bottom of an error, in words for people.
pub(super) fn root_text(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    loop {
        if let Some(failure) = root.downcast_ref::<ConnectFailure>() {
            return failure.to_string();
        }
        match root.source() {
            Some(source) => root = source,
            None => break,
        }
    }
    match root.downcast_ref::<std::io::Error>() {
        Some(error) => io_text(error),
        None => root.to_string(),
    }
}

/// `connection refused` instead of `Connection refused (os error 111)`.
pub(super) fn io_text(error: &std::io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_string(),
        None => error.to_string(),
    };
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_lowercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}
