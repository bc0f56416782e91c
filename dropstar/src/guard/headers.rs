//! The headers of every answer that keep a browser from doing more than is wanted.

use std::time::Duration;

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

/// For pages of the server's own.
const OWN_PAGE: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
);

/// For users' pages that say nothing else: scripts of the site and in the page, none from elsewhere.
const USERS_PAGE: HeaderValue = HeaderValue::from_static(
    "script-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; frame-ancestors 'self'",
);

/// For JSON and plain text: a browser that takes it for a page runs nothing.
const DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'self'");

/// For pictures, documents, scripts, styles: viewers of browsers need more than nothing.
const FILE: HeaderValue = HeaderValue::from_static("frame-ancestors 'self'");

static CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");

const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

const SAME_ORIGIN_FRAMES: HeaderValue = HeaderValue::from_static("SAMEORIGIN");

/// Whose page an answer is, if it is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The server's own: status, log-in, errors.
    Own,
    /// The site's.
    Users,
}

/// Adds what is missing to an answer's headers, at the one place where answers leave. A policy that a page has set
/// stays, also for framing.
pub(crate) fn complete(whose: Whose, headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
    headers.entry(REFERRER_POLICY).or_insert(SAME_ORIGIN);
    headers.entry(&CROSS_ORIGIN_RESOURCE_POLICY).or_insert(SAME_ORIGIN);
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(X_FRAME_OPTIONS, SAME_ORIGIN_FRAMES);
        let policy = policy(whose, headers.get(CONTENT_TYPE));
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

/// Tells a browser that came by TLS to come so again for a time, unless that is zero. Other names of the domain are
/// none of this server's, so nothing is said about them.
pub(crate) fn stay_with_tls(time: Duration, headers: &mut HeaderMap) {
    if time.is_zero() {
        return;
    }
    if let Ok(value) = HeaderValue::try_from(format!("max-age={}", time.as_secs())) {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(value);
    }
}

fn policy(whose: Whose, content_type: Option<&HeaderValue>) -> HeaderValue {
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let end = content_type.bytes().position(|byte| byte == b';').unwrap_or(content_type.len());
    match content_type.get(..end).unwrap_or_default().trim() {
        "text/html" | "application/xhtml+xml" | "image/svg+xml" | "application/xml" | "text/xml" => match whose {
            Whose::Own => OWN_PAGE,
            Whose::Users => USERS_PAGE,
        },
        "" | "application/json" | "text/plain" | "text/event-stream" | "text/csv" => DATA,
        _ => FILE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_them_and_a_page_keeps_its_own_policy() {
        for whose in [Whose::Own, Whose::Users] {
            for kind in ["text/html; charset=utf-8", "application/json", "image/png", ""] {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                complete(whose, &mut headers);
                assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
                let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
                assert!(policy.contains("frame-ancestors 'self'"), "{policy}");
                assert_eq!(policy.contains("unsafe-inline"), whose == Whose::Users && kind.starts_with("text/html"));
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors *"));
        complete(Whose::Users, &mut headers);
        assert_eq!(headers[CONTENT_SECURITY_POLICY], "frame-ancestors *");
        assert!(!headers.contains_key(X_FRAME_OPTIONS));
    }
}
