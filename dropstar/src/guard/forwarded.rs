//! What a proxy says about the client, believed only from the proxies that are trusted.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use crate::TrustedProxy;
use crate::request::RequestHead;

/// Further hops are not looked at.
const HOPS_MAX: usize = 32;

/// The proxies that are believed.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    addresses: Vec<IpAddr>,
    user_header: Option<HeaderName>,
}

impl Proxies {
    /// # Errors
    /// The name of the user's header can't be one; the name.
    pub(super) fn new(trusted: Option<&TrustedProxy>) -> Result<Self, String> {
        let Some(trusted) = trusted else { return Ok(Proxies::default()) };
        let name = |name: &String| HeaderName::try_from(name.as_str()).map_err(|_| name.clone());
        let user_header = trusted.user_header.as_ref().map(name).transpose()?;
        let addresses = trusted.addresses.iter().map(IpAddr::to_canonical).collect();
        Ok(Proxies { addresses, user_header })
    }

    /// Whether they say who the user is.
    pub(super) fn vouch_for_users(&self) -> bool {
        self.user_header.is_some()
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address.to_canonical())
    }

    /// The client's address: behind trusted proxies the last one that they did not add themselves.
    pub(super) fn client(&self, head: &RequestHead) -> IpAddr {
        let mut client = head.peer.ip().to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let lines = head.headers().get_all("x-forwarded-for").iter().rev().filter_map(|line| line.to_str().ok());
        for hop in lines.flat_map(|line| line.rsplit(',')).take(HOPS_MAX) {
            // What is no address is told by someone who need not be believed about anything before it either.
            let Some(address) = address(hop.trim()) else { break };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    /// The user for whom a trusted proxy vouches; more than one name is none.
    pub(super) fn user<'a>(&self, head: &'a RequestHead) -> Option<&'a str> {
        let mut names = self.believed(head, self.user_header.as_ref()?);
        names.next().filter(|name| !name.is_empty() && names.next().is_none())
    }

    /// Takes away what says who the user is where nobody may say so: a script would believe it.
    pub(super) fn clean(&self, headers: &mut HeaderMap, peer: IpAddr) {
        if let Some(name) = self.user_header.as_ref().filter(|_| !self.trusts(peer)) {
            headers.remove(name);
        }
    }

    /// The host that the browser asked for, as a trusted proxy says.
    pub(super) fn host<'a>(&self, head: &'a RequestHead) -> Option<&'a str> {
        self.believed(head, &HeaderName::from_static("x-forwarded-host")).last()
    }

    /// Whether the browser reached a trusted proxy through TLS.
    pub(super) fn is_tls(&self, head: &RequestHead) -> bool {
        let last = self.believed(head, &HeaderName::from_static("x-forwarded-proto")).last();
        last.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
    }

    fn believed<'a>(&self, head: &'a RequestHead, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
        let is_trusted = self.trusts(head.peer.ip());
        let values = is_trusted.then(|| head.headers().get_all(name).iter()).into_iter().flatten();
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
    }
}

/// Headers that proxies add.
const MARKS: [&str; 5] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// Whether a request has passed a proxy, trusted or not: then its peer says nothing about where it is from.
pub(super) fn is_forwarded(head: &RequestHead) -> bool {
    head.headers().keys().any(|name| MARKS.contains(&name.as_str()))
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(address, _)| address);
    bare.parse().ok().or_else(|| bare.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}
