//! What is sent, and what is asked of the answer.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};

use crate::http::{Expect, SIZE_MAX_DEFAULT, TIMEOUT_DEFAULT, Target};
use crate::value::Value;

/// How often redirects are followed unless told.
pub(super) const FOLLOW_DEFAULT: u32 = 10;

/// The words of `as`.
pub const READ_AS: &[&str] = &["auto", "json", "text"];

/// How the body of an answer is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadAs {
    /// As JSON when its content type says so, else as text.
    #[default]
    Auto,
    /// As JSON; anything else is a failure.
    Json,
    /// As text.
    Text,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Those that the system trusts.
    #[default]
    System,
    /// Those signed by an authority of this PEM file, and no others.
    File(PathBuf),
    /// All: the connection is encrypted, but nobody knows to whom.
    Anyone,
}

/// A request. Not printable as a whole: it may hold secrets.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) secrets: Vec<String>,
    /// How often redirects are followed; 0 gives the redirect itself as answer. Default: 10.
    pub follow_max: u32,
    /// How large the body may be, uncompressed, in bytes. Default: 8 MiB.
    pub size_max: u64,
    /// Default: the system's.
    pub trust: Trust,
    /// For all of it, redirects included. Default: 30 s.
    pub timeout: Duration,
    /// Default: by the content type.
    pub read_as: ReadAs,
    /// Good statuses, if somebody said which. The client does not look at it.
    pub expect: Option<Expect>,
}

impl Request {
    /// A request without body.
    pub fn new(method: Method, target: Target) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("procblock/", env!("CARGO_PKG_VERSION"))));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        Request {
            method,
            target,
            headers,
            body: Bytes::new(),
            secrets: Vec::new(),
            follow_max: FOLLOW_DEFAULT,
            size_max: SIZE_MAX_DEFAULT,
            trust: Trust::System,
            timeout: TIMEOUT_DEFAULT,
            read_as: ReadAs::Auto,
            expect: None,
        }
    }

    /// Sends JSON to `url` and wants JSON back: a call of another instance. Redirects are not followed.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub fn post_json(url: &str, value: &Value) -> Result<Self, String> {
        let (target, login) = Target::parse(url).map_err(|(what, remedy)| format!("the url {what}; {remedy}"))?;
        let mut request = Request::new(Method::POST, target);
        if let Some((user, password)) = login {
            request.login(&user, &password);
        }
        request.set_body("application/json", value.to_string());
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.read_as = ReadAs::Json;
        request.follow_max = 0;
        Ok(request)
    }

    /// The method and URL, for messages.
    pub fn asked(&self) -> String {
        format!("{} {}", self.method, self.target.shown())
    }

    /// The URL with its query, without a user: for data.
    pub fn url(&self) -> String {
        self.target.full()
    }

    /// Proves who asks by a token.
    ///
    /// # Errors
    /// It holds characters that no header can hold.
    pub fn bearer(&mut self, token: &str) -> Result<(), &'static str> {
        let header = HeaderValue::try_from(format!("Bearer {token}"));
        let header = header.map_err(|_| "holds a line break or another control character")?;
        self.authorize(header);
        self.secrets.push(token.to_string());
        Ok(())
    }

    /// Proves who asks by user and password (RFC 7617).
    pub(super) fn login(&mut self, user: &str, password: &str) {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        // Letters, digits and = always make a header.
        if let Ok(header) = HeaderValue::try_from(format!("Basic {encoded}")) {
            self.authorize(header);
        }
        self.secrets.extend([encoded, password.to_string()]);
    }

    fn authorize(&mut self, mut header: HeaderValue) {
        header.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, header);
    }

    /// A body with its type, unless the headers name another one.
    pub(super) fn set_body(&mut self, kind: &'static str, body: String) {
        self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        self.body = body.into();
    }
}
