//! Where a request goes: a URL, or a path behind a Unix socket.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use hyper::Uri;
use percent_encoding::percent_decode_str;
use url::{Position, Url};

/// The longest URL taken, in bytes.
const LENGTH_MAX: usize = 16 * 1024;

/// The scheme of the addresses by which the connector knows sockets.
pub(super) const SOCKET_SCHEME: &str = "unix";

/// `http://…`, `https://…`, or `unix:/PATH/OF/SOCKET:/path`.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Without user, password and fragment; that of a socket begins with `http://localhost/`.
    url: Url,
    socket: Option<PathBuf>,
}

/// The user and password that stood in a URL.
pub(super) type Login = (String, String);

impl Target {
    /// Reads a URL; gives the user and password that stood in it apart.
    ///
    /// # Errors
    /// What is wrong, and what to write instead. The texts never repeat a user or password.
    pub(super) fn parse(text: &str) -> Result<(Target, Option<Login>), (String, String)> {
        let text = text.trim();
        let wrong = |what: &str, remedy: &str| Err((what.to_string(), remedy.to_string()));
        if text.len() > LENGTH_MAX {
            return wrong("is longer than 16 KiB", "send long values as a body");
        }
        if text.contains(char::is_control) {
            return wrong("holds a line break or another control character", "remove it");
        }
        if let Some(rest) = text.strip_prefix("unix:") {
            return Self::parse_socket(rest).map(|target| (target, None));
        }
        let url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url,
            Ok(url) if text.contains("://") => {
                let what = format!("has the scheme {}", url.scheme());
                return wrong(&what, "expected http://, https:// or unix:/PATH/OF/SOCKET:/path");
            }
            Ok(_) | Err(url::ParseError::RelativeUrlWithoutBase) => {
                return wrong("has no scheme", "write http:// or https:// before it");
            }
            Err(error) => return wrong(&format!("is no URL: {error}"), "expected such as https://host:8443/path?a=b"),
        };
        let login = login(&url);
        let target = Self::of(url, None)?;
        Ok((target, login))
    }

    fn parse_socket(rest: &str) -> Result<Target, (String, String)> {
        let remedy = || "expected unix:/PATH/OF/SOCKET:/path, such as unix:/run/docker.sock:/info".to_string();
        let (socket, path) = match rest.split_once(":/") {
            Some((socket, path)) => (socket, path),
            None => (rest, ""),
        };
        if !socket.starts_with('/') {
            return Err(("names a socket by a path that does not begin with /".into(), remedy()));
        }
        let url = Url::parse(&format!("http://localhost/{path}")).map_err(|error| (error.to_string(), remedy()))?;
        Self::of(url, Some(PathBuf::from(socket)))
    }

    fn of(mut url: Url, socket: Option<PathBuf>) -> Result<Target, (String, String)> {
        url.set_fragment(None);
        // They fail only for URLs that can't have them.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let target = Target { url, socket };
        match target.uri() {
            Some(_) => Ok(target),
            None => Err(("has characters that no request can hold".into(), "percent-encode them, such as %20".into())),
        }
    }

    /// The target that a `Location` header names, seen from this one; `None` when it is none that can be requested.
    ///
    /// A user and password in it are not used.
    pub(super) fn join(&self, location: &str) -> Option<Target> {
        if location.len() > LENGTH_MAX {
            return None;
        }
        let url = self.url.join(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let socket = self.socket.clone().filter(|_| url.origin() == self.url.origin());
        Self::of(url, socket).ok()
    }

    /// Whether a secret sent to this target may be sent to `other` too: the same server, or its encrypted side.
    pub(super) fn is_trusted_like(&self, other: &Target) -> bool {
        let encrypts = self.url.scheme() == "http"
            && other.url.scheme() == "https"
            && self.url.host() == other.url.host()
            && self.url.port_or_known_default() == Some(80)
            && other.url.port_or_known_default() == Some(443);
        self.socket == other.socket && (self.url.origin() == other.url.origin() || encrypts)
    }

    /// Adds to the query.
    pub(super) fn add_query(&mut self, pairs: &[(String, String)]) {
        if !pairs.is_empty() {
            self.url.query_pairs_mut().extend_pairs(pairs);
        }
    }

    /// The URL with its query: for data.
    pub fn full(&self) -> String {
        self.text(&self.url[Position::BeforePath..])
    }

    /// The URL without its query, which often holds keys: for messages.
    pub fn shown(&self) -> String {
        let query = if self.url.query().is_some() { "?…" } else { "" };
        self.text(&format!("{}{query}", self.url.path()))
    }

    fn text(&self, path: &str) -> String {
        match &self.socket {
            Some(socket) => format!("unix:{}:{path}", socket.display()),
            None => format!("{}{path}", &self.url[..Position::BeforePath]),
        }
    }

    /// Whether it is behind a Unix socket.
    pub(super) fn is_socket(&self) -> bool {
        self.socket.is_some()
    }

    /// What the connector and the request line are made from; `None` if no request can hold it.
    pub(super) fn uri(&self) -> Option<Uri> {
        let Some(socket) = &self.socket else { return self.url.as_str().parse().ok() };
        let path = &self.url[Position::BeforePath..];
        Uri::builder().scheme(SOCKET_SCHEME).authority(name_of_socket(socket)).path_and_query(path).build().ok()
    }
}

/// The user and password of a URL, decoded.
fn login(url: &Url) -> Option<Login> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let has_login = !url.username().is_empty() || url.password().is_some();
    has_login.then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())))
}

/// A socket's path as the host of an address, in hexadecimal digits.
fn name_of_socket(path: &Path) -> String {
    let mut name = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        // Writing to a text does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The path of the socket that an address names.
pub(super) fn socket_of(uri: &Uri) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let name = uri.host().filter(|_| uri.scheme_str() == Some(SOCKET_SCHEME))?;
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes = name.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>()?;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap().0
    }

    #[test]
    fn a_login_is_taken_out_of_the_url_and_shown_nowhere() {
        let (target, login) = Target::parse("https://al%40x:s%3Acret@host:8443/a/b?key=1#part").unwrap();
        assert_eq!(login, Some(("al@x".into(), "s:cret".into())));
        assert_eq!(target.full(), "https://host:8443/a/b?key=1");
        assert_eq!(target.shown(), "https://host:8443/a/b?…");
        assert_eq!(target.uri().unwrap().to_string(), "https://host:8443/a/b?key=1");
    }

    #[test]
    fn what_is_no_url_is_told_without_repeating_it() {
        for (text, what) in [
            ("host/path", "has no scheme"),
            ("localhost:8080/x", "has no scheme"),
            ("", "has no scheme"),
            ("ftp://u:secret@host/", "has the scheme ftp"),
            ("http://", "empty host"),
            ("http://u:secret@host:99999/", "invalid port"),
            ("http://[::1/", "IPv6"),
            ("http://a\nb/", "line break"),
            ("unix:run.sock", "does not begin with /"),
        ] {
            let Err((found, remedy)) = Target::parse(text) else { panic!("{text} is taken") };
            assert!(found.contains(what), "{text}: {found}");
            assert!(!format!("{found}{remedy}").contains("secret"), "{text}: {found} {remedy}");
        }
        assert!(Target::parse(&format!("http://x/{}", "a".repeat(LENGTH_MAX))).is_err());
    }

    #[test]
    fn a_socket_and_the_path_behind_it_are_told_apart() {
        for (text, full) in [
            ("unix:/run/a.sock:/info?all=1", "unix:/run/a.sock:/info?all=1"),
            ("unix:/run/a.sock", "unix:/run/a.sock:/"),
            ("unix:/run/ü b:c.sock:/x", "unix:/run/ü b:c.sock:/x"),
        ] {
            let target = target(text);
            assert_eq!(target.full(), full);
            assert_eq!(socket_of(&target.uri().unwrap()), target.socket);
        }
        assert_eq!(socket_of(&"http://2f61.unix/".parse().unwrap()), None);
    }

    #[test]
    fn redirects_are_resolved_and_leave_a_socket_only_for_another_host() {
        let from = target("http://host/a/b?q=1");
        for (location, to) in [
            ("c", Some("http://host/a/c")),
            ("/c?x=1", Some("http://host/c?x=1")),
            ("//other/c", Some("http://other/c")),
            ("https://u:p@host/", Some("https://host/")),
            ("ftp://host/", None),
            ("unix:/run/a.sock", None),
            ("file:///etc/passwd", None),
            ("http://[", None),
        ] {
            assert_eq!(from.join(location).map(|target| target.full()).as_deref(), to, "{location}");
        }
        let socket = target("unix:/run/a.sock:/a");
        assert_eq!(socket.join("/b").unwrap().full(), "unix:/run/a.sock:/b");
        assert_eq!(socket.join("http://other/b").unwrap().full(), "http://other/b");
    }

    #[test]
    fn secrets_go_to_the_same_server_or_its_encrypted_side() {
        for (from, to, is_trusted) in [
            ("http://host/a", "http://host/b", true),
            ("http://host/", "http://host:80/", true),
            ("http://host/", "https://host/", true),
            ("https://host/", "http://host/", false),
            ("http://host/", "https://host:8443/", false),
            ("http://host:8080/", "http://host:8081/", false),
            ("http://host/", "http://host.example/", false),
            ("http://localhost/", "unix:/run/a.sock:/", false),
        ] {
            assert_eq!(target(from).is_trusted_like(&target(to)), is_trusted, "{from} {to}");
        }
    }
}
