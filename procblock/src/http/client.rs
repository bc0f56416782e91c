//! Sending a request: connections kept, redirects followed, and an end to everything.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use unidist::Stop;

use super::body;
use super::connection::Uses;
use super::connector::{ConnectFailure, Connector, root_text};
use super::redirect::{Hop, is_redirect};
use super::resolver::Resolver;
use super::tls::Tls;
use crate::http::{Answer, HttpError, HttpErrorKind, Proxies, Request, Trust};
use crate::script::Identity;
use crate::units::format_duration;
use crate::value::Value;

/// How long a connection is kept for the next request: less than servers commonly do, so that it is rarely closed in the
/// moment of its use.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// Connections kept for one server.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// Clients kept for files of certificates.
const CLIENTS_MAX: usize = 16;

type Pool = Client<Connector, Full<Bytes>>;

/// A client with its version of the file of certificates.
type Kept = (Option<Identity>, Pool);

/// Sends requests; shared by all of an instance. Costs nothing until its first request.
#[derive(Default)]
pub struct HttpClient {
    proxies: OnceLock<Arc<Proxies>>,
    resolver: OnceLock<Resolver>,
    pools: Mutex<HashMap<Trust, Kept>>,
}

/// How far a request has come, for the message of one that is out of time.
#[derive(Default)]
struct Progress {
    connection: Mutex<Option<CaptureConnection>>,
    is_answered: OnceLock<()>,
    received: AtomicU64,
    /// The method and URL under way.
    asked: Mutex<String>,
}

impl HttpClient {
    /// A client that uses these proxies instead of those of the environment.
    pub fn with_proxies(proxies: Proxies) -> Self {
        HttpClient { proxies: OnceLock::from(Arc::new(proxies)), ..HttpClient::default() }
    }

    /// Sends a request and gives the whole answer, whatever its status. Dropping the future ends the request.
    ///
    /// # Errors
    /// There is no answer, it is too large, or the time limit or a stop came first.
    pub async fn send(&self, request: &Request, stop: &Stop) -> Result<Answer, HttpError> {
        let progress = Progress::default();
        let started = Instant::now();
        tokio::select! {
            biased;
            answer = self.follow(request, &progress) => {
                let mut answer = answer.map_err(|error| {
                    HttpError { text: format!("{}: {}", progress.asked.lock(), error.text), ..error }
                })?;
                answer.duration = started.elapsed();
                Ok(answer)
            }
            () = stop.requested() => {
                let text = format!("{} was ended because the instance is stopping", progress.asked.lock());
                Err(HttpError::new(HttpErrorKind::Stopped, text))
            }
            () = tokio::time::sleep(request.timeout) => {
                Err(HttpError::new(HttpErrorKind::TimedOut, progress.timed_out(request.timeout)))
            }
        }
    }

    /// Sends a request made by [`Request::post_json`] and gives the JSON of an answer with a status of 200 to 299.
    ///
    /// # Errors
    /// As [`HttpClient::send`], and for any other status ([`HttpError::beginning`] has the body) or a body that is no JSON.
    pub async fn json(&self, request: &Request, stop: &Stop) -> Result<Value, HttpError> {
        let answer = self.send(request, stop).await?;
        request.expect.clone().unwrap_or_default().check(&answer)?;
        answer.json()
    }

    async fn follow(&self, request: &Request, progress: &Progress) -> Result<Answer, HttpError> {
        let pool = self.pool(&request.trust);
        let mut hop = Hop::first(request);
        let mut followed = 0;
        loop {
            *progress.asked.lock() = hop.asked();
            let response = self.exchange(&pool, &hop, progress).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            if request.follow_max == 0 || !is_redirect(status, &headers) {
                let _ = progress.is_answered.set(());
                let body = body::read(response.into_body(), &headers, request.size_max, &progress.received).await;
                return Ok(Answer {
                    status,
                    asked: hop.asked(),
                    url: hop.target.full(),
                    headers,
                    body: body.map_err(|error| HttpError { status: Some(status.as_u16()), ..error })?,
                    duration: Duration::ZERO,
                    secrets: request.secrets.clone(),
                });
            }
            if followed == request.follow_max {
                return Err(too_many(followed, status));
            }
            followed += 1;
            hop.turn(status, &headers)?;
        }
    }

    /// One request and the head of its answer. One that only reads is sent again when a kept connection turns out to have
    /// been closed.
    async fn exchange(&self, pool: &Pool, hop: &Hop, progress: &Progress) -> Result<Response<Incoming>, HttpError> {
        let may_repeat = hop.method.is_safe();
        for is_last in [!may_repeat, true] {
            let mut request = self.build(hop)?;
            let capture = capture_connection(&mut request);
            *progress.connection.lock() = Some(capture.clone());
            match pool.request(request).await {
                Ok(response) => {
                    uses(&capture, |uses| uses.0.fetch_add(1, Ordering::Relaxed));
                    return Ok(response);
                }
                Err(error) if error.is_connect() => {
                    return Err(HttpError::new(HttpErrorKind::NotConnected, root_text(&error)));
                }
                Err(error) => {
                    let is_used = uses(&capture, |uses| uses.0.load(Ordering::Relaxed)).is_some_and(|uses| uses > 0);
                    if is_last || !is_used {
                        return Err(HttpError::new(HttpErrorKind::Broken, root_text(&error)));
                    }
                }
            }
        }
        Err(HttpError::new(HttpErrorKind::Broken, "the connection was closed"))
    }

    fn build(&self, hop: &Hop) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
        let bad = |text: String| HttpError::new(HttpErrorKind::BadRequest, text);
        let uri = hop.target.uri().ok_or_else(|| bad("the URL has characters that no request can hold".into()))?;
        let failed = |error: ConnectFailure| HttpError::new(HttpErrorKind::NotConnected, error.to_string());
        let is_plain = uri.scheme_str() == Some("http");
        let proxy = if is_plain { self.proxies().for_uri(&uri).map_err(failed)? } else { None };
        let mut request = hyper::Request::new(Full::new(hop.body.clone()));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = hop.headers.clone();
        if hop.target.is_socket() {
            request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        }
        if let Some(authorization) = proxy.and_then(|proxy| proxy.authorization) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        Ok(request)
    }

    fn proxies(&self) -> &Arc<Proxies> {
        self.proxies.get_or_init(|| Arc::new(Proxies::from_environment()))
    }

    /// The connections made with this trust. Those of a file of certificates are made anew when it has changed.
    fn pool(&self, trust: &Trust) -> Pool {
        let identity = match trust {
            Trust::File(path) => Identity::of(path).ok(),
            Trust::System | Trust::Anyone => None,
        };
        let mut pools = self.pools.lock();
        if let Some((_, pool)) = pools.get(trust).filter(|(version, _)| *version == identity) {
            return pool.clone();
        }
        if pools.len() >= CLIENTS_MAX {
            pools.clear();
        }
        let resolver = self.resolver.get_or_init(Resolver::new).clone();
        let connector = Connector::new(resolver, Arc::clone(self.proxies()), Tls::new(trust.clone()));
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .timer(TokioTimer::new())
            .build(connector);
        pools.insert(trust.clone(), (identity, pool.clone()));
        pool
    }
}

fn too_many(followed: u32, status: StatusCode) -> HttpError {
    let text = format!("more than {followed} redirects; raise follow redirects, or ask for where they lead");
    HttpError { status: Some(status.as_u16()), ..HttpError::new(HttpErrorKind::Redirect, text) }
}

/// What a connection's count of answers says, once it is there.
fn uses<T>(capture: &CaptureConnection, ask: impl Fn(&Uses) -> T) -> Option<T> {
    let mut extras = hyper::http::Extensions::new();
    if let Some(connected) = &*capture.connection_metadata() {
        connected.get_extras(&mut extras);
    }
    extras.get::<Uses>().map(ask)
}

impl Progress {
    fn timed_out(&self, limit: Duration) -> String {
        let received = self.received.load(Ordering::Relaxed);
        let connection = self.connection.lock();
        let is_connected = connection.as_ref().is_some_and(|capture| capture.connection_metadata().is_some());
        let when = match (self.is_answered.get(), is_connected) {
            (Some(()), _) => format!("after {received} bytes of the answer"),
            (None, true) => "while waiting for the answer".into(),
            (None, false) => "while connecting".into(),
        };
        format!("{} timed out after {} {when}", self.asked.lock(), format_duration(limit))
    }
}
