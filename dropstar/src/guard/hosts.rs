//! Which hosts a request may name. A foreign one is how a page elsewhere reaches a server on this machine (DNS
//! rebinding): its name is made to point here, and the browser takes us for it.

use std::net::IpAddr;

use foldhash::HashSet;

use crate::request::RequestHead;
use crate::{ServeConfig, SiteContent};

/// The hosts of a listener.
#[derive(Debug)]
pub(super) struct Hosts {
    is_any: bool,
    names: HashSet<String>,
    listen: IpAddr,
}

impl Hosts {
    pub(super) fn new(config: &ServeConfig) -> Self {
        let listen = config.listen.ip().to_canonical();
        let mut names = HashSet::from_iter(["localhost".to_string()]);
        if !listen.is_unspecified() {
            names.insert(listen.to_string());
        }
        for site in &config.sites {
            names.insert(normal(&site.name));
            names.extend(site.aliases.iter().map(|alias| normal(alias)));
            if let SiteContent::Packages(mounts) = &site.content {
                names.extend(mounts.iter().flat_map(|mount| &mount.aliases).map(|alias| normal(alias)));
            }
        }
        Hosts { is_any: config.any_host, names, listen }
    }

    /// Whether a request's host is one of ours: a site, an alias, an address of the listener, `localhost`. Only
    /// HTTP/1.0, which no browser speaks, may name none.
    pub(super) fn holds(&self, head: &RequestHead) -> bool {
        if self.is_any || head.host.is_empty() && head.parts.version < http::Version::HTTP_11 {
            return true;
        }
        // Nobody else can have a name under localhost (RFC 6761 6.3).
        self.names.contains(head.host.as_str()) || head.host.ends_with(".localhost") || self.is_address(head)
    }

    fn is_address(&self, head: &RequestHead) -> bool {
        let Ok(host) = head.host.parse::<IpAddr>() else { return false };
        let (host, local) = (host.to_canonical(), head.local.ip().to_canonical());
        host == local || host == self.listen && !host.is_unspecified()
    }
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase()
}
