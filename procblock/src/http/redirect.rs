//! Where a redirect leads, and what goes along.

use hyper::body::Bytes;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, COOKIE, HOST, HeaderMap, LOCATION,
    PROXY_AUTHORIZATION,
};
use hyper::{Method, StatusCode};

use crate::http::error::{HttpError, HttpErrorKind};
use crate::http::{Request, Target};

/// One request of those that redirects make.
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Hop {
    pub(super) fn first(request: &Request) -> Self {
        Hop {
            method: request.method.clone(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        }
    }

    /// The method and URL, for messages.
    pub(super) fn asked(&self) -> String {
        format!("{} {}", self.method, self.target.shown())
    }

    /// Turns to where the answer points (RFC 9110 15.4). Secrets, cookies and a host of the user's own stay with the server
    /// that they were meant for.
    ///
    /// # Errors
    /// It points nowhere.
    pub(super) fn turn(&mut self, status: StatusCode, headers: &HeaderMap) -> Result<(), HttpError> {
        let location = headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let Some(to) = location.and_then(|location| self.target.join(location.trim())) else {
            let text = "redirected to what is no http or https URL";
            return Err(HttpError::new(HttpErrorKind::Redirect, text));
        };
        let is_get = matches!(self.method, Method::GET | Method::HEAD);
        let becomes_get = match status.as_u16() {
            303 => !is_get,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
                self.headers.remove(name);
            }
        }
        if !self.target.is_trusted_like(&to) {
            for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST] {
                self.headers.remove(name);
            }
        }
        self.target = to;
        Ok(())
    }
}

/// Whether an answer asks to look elsewhere.
pub(super) fn is_redirect(status: StatusCode, headers: &HeaderMap) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && headers.contains_key(LOCATION)
}
