//! Proxies by the environment, as other tools read it.

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

use super::connector::ConnectFailure;

/// Which requests go through which proxy.
///
/// By the variables `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in small or capital letters. `localhost` and
/// loopback addresses are always reached directly. Only `http://` proxies are known.
pub struct Proxies(Matcher);

/// A proxy to use.
pub(super) struct Proxy {
    pub(super) uri: Uri,
    /// `Proxy-Authorization`, from the user and password of its URL.
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxies {
    /// Those of procblock's own environment.
    pub fn from_environment() -> Self {
        Proxies(Matcher::from_env())
    }

    /// One for all requests but those that `no_proxy` names.
    pub fn all(url: &str, no_proxy: &str) -> Self {
        Proxies(Matcher::builder().all(url.to_string()).no(no_proxy.to_string()).build())
    }

    /// The proxy for a request to `uri`, if it goes through one.
    ///
    /// # Errors
    /// The variables name a proxy of a kind that is not known.
    pub(super) fn for_uri(&self, uri: &Uri) -> Result<Option<Proxy>, ConnectFailure> {
        if uri.host().is_none_or(is_loopback) {
            return Ok(None);
        }
        let Some(found) = self.0.intercept(uri) else { return Ok(None) };
        let scheme = found.uri().scheme_str().unwrap_or("http");
        if scheme != "http" {
            let text = format!("the environment names a proxy of kind {scheme}://; only http:// proxies are known");
            return Err(ConnectFailure::new(text));
        }
        let authorization = found.basic_auth().cloned().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        Ok(Some(Proxy { uri: found.uri().clone(), authorization }))
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_local_name = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    is_local_name || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_local_or_excepted_is_reached_directly() {
        let proxies = Proxies::all("http://proxy:3128", "example.org,10.0.0.0/8");
        for (uri, is_direct) in [
            ("http://host/", false),
            ("https://host/", false),
            ("http://www.example.org/", true),
            ("http://10.1.2.3/", true),
            ("http://127.0.0.2:80/", true),
            ("http://[::1]/", true),
            ("http://localhost/", true),
            ("unix://2f61/", true),
        ] {
            let found = proxies.for_uri(&uri.parse().unwrap()).ok().flatten();
            assert_eq!(found.is_none(), is_direct, "{uri}");
        }
        let socks = Proxies::all("socks5://proxy:1080", "");
        assert!(socks.for_uri(&"http://host/".parse().unwrap()).is_err());
    }
}
