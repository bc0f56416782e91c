//! The head of a request: what is known before a byte of its body is read.

use std::net::SocketAddr;

use http::request::Parts;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use crate::site::Moment;

/// The longest path that is looked at, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// The head of a request.
#[derive(Debug)]
pub(crate) struct RequestHead {
    /// Method, target, version and headers as they came.
    pub(crate) parts: Parts,
    /// The path, decoded, without the configured prefix. Begins with a slash, holds no NUL and no segment `.` or `..`.
    pub(crate) path: String,
    /// The host without its port, in lower case. Empty when an HTTP/1.0 request names none.
    pub(crate) host: String,
    /// The port that the client named, else the listener's.
    pub(crate) port: u16,
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// The address that the client reached.
    pub(crate) local: SocketAddr,
    /// Whether it came through TLS.
    pub(crate) is_tls: bool,
    /// When the bytes that complete it came.
    pub(crate) came: Moment,
}

/// A head that no request may have; answered 400 and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHead {
    /// HTTP/1.1 wants one Host, and one that can be a host.
    #[error("the request has no valid host")]
    Host,
    /// The path is not text, holds a NUL, or is too long.
    #[error("the path of the request is not valid")]
    Path,
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// The address that the client reached.
    pub(crate) local: SocketAddr,
    /// Whether it came through TLS.
    pub(crate) is_tls: bool,
}

impl RequestHead {
    /// Reads what a request's head says. `prefix` is the path under which a proxy shows the server; a proxy may leave
    /// it in the path or take it away.
    ///
    /// # Errors
    /// The host or the path can't be.
    pub(crate) fn new(parts: Parts, (ends, came): (Ends, Moment), prefix: &str) -> Result<RequestHead, BadHead> {
        let (host, port) = host_and_port(&parts)?;
        let path = decode_path(parts.uri.path(), prefix)?;
        let port = port.unwrap_or(ends.local.port());
        let Ends { peer, local, is_tls } = ends;
        Ok(RequestHead { parts, path, host, port, peer, local, is_tls, came })
    }

    /// The method.
    pub(crate) fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A header's text; none if it is absent or not text.
    pub(crate) fn header(&self, name: http::HeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What stands behind the question mark, as it came.
    pub(crate) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// Whether nothing is to be changed by the request's method: GET, HEAD, OPTIONS.
    pub(crate) fn is_reading(&self) -> bool {
        matches!(*self.method(), Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// HTTP/2 and absolute targets carry the host in the target, which wins (RFC 9112 3.2.2).
fn host_and_port(parts: &Parts) -> Result<(String, Option<u16>), BadHead> {
    if let Some(authority) = parts.uri.authority() {
        return split_host(authority.as_str());
    }
    let mut hosts = parts.headers.get_all(http::header::HOST).iter();
    let Some(host) = hosts.next() else {
        return if parts.version == http::Version::HTTP_11 { Err(BadHead::Host) } else { Ok((String::new(), None)) };
    };
    if hosts.next().is_some() {
        return Err(BadHead::Host);
    }
    split_host(host.to_str().map_err(|_| BadHead::Host)?)
}

/// `name`, `name:port`, `[v6]:port`.
fn split_host(text: &str) -> Result<(String, Option<u16>), BadHead> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']').ok_or(BadHead::Host)? {
            (address, "") => (address, None),
            (address, rest) => (address, Some(rest.strip_prefix(':').ok_or(BadHead::Host)?)),
        },
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().map_err(|_| BadHead::Host)?),
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if !host.bytes().all(is_host) {
        return Err(BadHead::Host);
    }
    // A name may be written with the root's dot at its end.
    Ok((host.trim_end_matches('.').to_ascii_lowercase(), port))
}

fn decode_path(path: &str, prefix: &str) -> Result<String, BadHead> {
    if path.len() > PATH_BYTES_MAX {
        return Err(BadHead::Path);
    }
    let path = match path.strip_prefix(prefix) {
        Some("") if !prefix.is_empty() => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    if !path.starts_with('/') {
        return Err(BadHead::Path);
    }
    let decoded = match path.as_bytes().contains(&b'%') {
        true => percent_decode_str(path).decode_utf8().map_err(|_| BadHead::Path)?,
        false => path.into(),
    };
    let has_dot = decoded.bytes().any(|byte| byte == b'.');
    if decoded.bytes().any(|byte| byte == 0) || has_dot && decoded.split('/').any(|part| part == "." || part == "..") {
        return Err(BadHead::Path);
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_without_its_port_and_in_lower_case() {
        for (text, host, port) in [
            ("Example.ORG", "example.org", None),
            ("example.org.:80", "example.org", Some(80)),
            ("[::1]:8686", "::1", Some(8686)),
            ("[::1]", "::1", None),
            ("localhost:", "localhost", None),
        ] {
            assert_eq!(split_host(text), Ok((host.to_string(), port)), "{text}");
        }
        for text in ["a b", "a/b", "[::1", "[::1]x", "a:b:c", "a:99999", "a@b", "a\u{e9}"] {
            assert_eq!(split_host(text), Err(BadHead::Host), "{text}");
        }
    }

    #[test]
    fn a_path_that_climbs_is_refused_in_every_spelling() {
        for path in ["/../x", "/a/..", "/%2e%2e/x", "/a/.%2e/b", "/%2e", "/a%2f..%2fb", "/%00", "/a%ff", "x", "*"] {
            assert_eq!(decode_path(path, ""), Err(BadHead::Path), "{path}");
        }
        assert_eq!(decode_path("/a%20b/...", "").as_deref(), Ok("/a b/..."));
    }

    #[test]
    fn a_prefix_may_be_left_or_taken_by_the_proxy() {
        for (path, expected) in
            [("/tools", "/"), ("/tools/", "/"), ("/tools/a", "/a"), ("/a", "/a"), ("/toolsx", "/toolsx")]
        {
            assert_eq!(decode_path(path, "/tools").as_deref(), Ok(expected), "{path}");
        }
    }
}
