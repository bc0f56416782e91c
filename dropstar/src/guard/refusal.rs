//! A refusal: why, for the client, and the answer that says so.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::answer::{Problem, escape};
use crate::request::RequestHead;

/// Why a request is refused. What it says is for everybody to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) kind: RefusalKind,
    /// What the client is told.
    pub(crate) text: String,
}

/// The reasons of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// The head says two things at once.
    Head,
    /// A token stands in the URL.
    TokenInUrl,
    /// A log-in is wanted.
    LogInWanted,
    /// The token is not known, or has ended.
    TokenUnknown,
    /// The name or the password is wrong.
    LogInWrong,
    /// The visitor may not do that.
    Forbidden,
    /// A foreign page sent it, or a browser that does not say which page.
    ForeignSender,
    /// The token of the form or script is missing or wrong.
    CsrfToken,
    /// The Host is none of this server.
    ForeignHost,
    /// Too many log-ins failed; how long until one more may be tried.
    TooManyFailures(Duration),
    /// Too many log in at once.
    Busy,
    /// The users file is not as it must be.
    Unusable,
}

impl Refusal {
    pub(super) fn new(kind: RefusalKind, text: impl Into<String>) -> Self {
        Refusal { kind, text: text.into() }
    }

    pub(super) fn unusable() -> Self {
        Refusal::new(RefusalKind::Unusable, "the server can't tell who may use it; its log says why")
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self.kind {
            RefusalKind::Head | RefusalKind::TokenInUrl => StatusCode::BAD_REQUEST,
            RefusalKind::LogInWanted | RefusalKind::TokenUnknown | RefusalKind::LogInWrong => StatusCode::UNAUTHORIZED,
            RefusalKind::Forbidden | RefusalKind::ForeignSender | RefusalKind::CsrfToken => StatusCode::FORBIDDEN,
            RefusalKind::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            RefusalKind::TooManyFailures(_) => StatusCode::TOO_MANY_REQUESTS,
            RefusalKind::Busy | RefusalKind::Unusable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer: JSON, or a page; a browser that is to log in is sent there. A body that was not read makes the
    /// connection end with it.
    pub(crate) fn response(&self, head: &RequestHead, prefix: &str, is_json: bool) -> Response<Bytes> {
        let wants_page = !is_json && accepts_page(head);
        if self.kind == RefusalKind::LogInWanted && wants_page && matches!(*head.method(), Method::GET | Method::HEAD) {
            return to_log_in(head, prefix);
        }
        let (content_type, body) = if wants_page {
            ("text/html; charset=utf-8", self.html(prefix))
        } else {
            let error = serde_json::json!({"error": {"status": self.status().as_u16(), "text": self.text}});
            ("application/json", error.to_string())
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if !head.is_reading() || self.kind == RefusalKind::Head {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            RefusalKind::TooManyFailures(wait) => Some(wait + Duration::from_secs(1)),
            RefusalKind::Busy => Some(Duration::from_secs(5)),
            RefusalKind::Unusable => Some(Duration::from_secs(30)),
            _ => None,
        }
    }

    fn html(&self, prefix: &str) -> String {
        let status = self.status();
        let reason = status.canonical_reason().unwrap_or("Error");
        let log_in = match self.kind {
            RefusalKind::LogInWanted | RefusalKind::LogInWrong => {
                format!("<p><a href=\"{}/login\">Log in</a></p>\n", escape(prefix))
            }
            _ => String::new(),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{reason}</title>\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <meta name=\"viewport\" content=\"width=device-width\"></head>\n<body><h1>{} {reason}</h1>\n<p>{}</p>\n\
             {log_in}</body></html>\n",
            status.as_u16(),
            escape(&self.text),
        )
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Problem::new(refusal.status(), refusal.text)
    }
}

/// Whether a request is a browser's that shows what it gets.
pub(super) fn accepts_page(head: &RequestHead) -> bool {
    head.header(ACCEPT).is_some_and(|accept| accept.contains("text/html"))
}

fn to_log_in(head: &RequestHead, prefix: &str) -> Response<Bytes> {
    let target = head.parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let target = target.strip_prefix(prefix).filter(|rest| rest.starts_with('/')).unwrap_or(target);
    let location = format!("{prefix}/login?to={}", utf8_percent_encode(target, NON_ALPHANUMERIC));
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    // Percent encoding leaves nothing that a header can't hold; without a place to go the answer is still a refusal.
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
