//! Where a request comes from, as the browser says: a page of ours, a foreign one, or no page at all.

use http::header;

use crate::request::RequestHead;

/// What a request says about the page that sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sender {
    /// A page of this server, or the user by hand.
    Own,
    /// Another page; what was said of it.
    Foreign(String),
    /// Nothing was said: no browser of today.
    Unsaid,
}

/// Who sent a request. `forwarded_host` is what a trusted proxy says that the browser asked for.
pub(super) fn sender(head: &RequestHead, forwarded_host: Option<&str>) -> Sender {
    let mut sites = head.headers().get_all("sec-fetch-site").iter().peekable();
    let mut origins = head.headers().get_all(header::ORIGIN).iter().peekable();
    if sites.peek().is_none() && origins.peek().is_none() {
        return Sender::Unsaid;
    }
    let foreign_site = sites.find(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    let foreign_origin =
        origins.find(|origin| !origin.to_str().is_ok_and(|origin| is_own(origin, head, forwarded_host)));
    foreign_origin.or(foreign_site).map_or(Sender::Own, |said| {
        let text = String::from_utf8_lossy(said.as_bytes());
        Sender::Foreign(text.chars().filter(|c| !c.is_control()).take(100).collect())
    })
}

/// Whether an origin, `scheme://host` or `scheme://host:port`, is the one that the browser shows for this server.
fn is_own(origin: &str, head: &RequestHead, forwarded_host: Option<&str>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "https" => ":443",
        // What came without TLS has no say in what is protected by it.
        "http" if !head.is_tls => ":80",
        _ => return false,
    };
    let normal = |authority: &str| {
        let authority = authority.to_ascii_lowercase();
        authority.strip_suffix(default_port).map_or(authority.clone(), str::to_string)
    };
    let asked = head.parts.uri.authority().map(http::uri::Authority::as_str).or_else(|| {
        let host = head.headers().get(header::HOST)?;
        host.to_str().ok()
    });
    let origin = normal(authority);
    !origin.is_empty() && asked.into_iter().chain(forwarded_host).any(|host| normal(host) == origin)
}
