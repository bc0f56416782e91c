//! `request_state`: what a program may know of a request besides its arguments, made only when it is asked for.

use std::sync::Arc;

use crate::request::RequestHead;
use crate::request::cookies;
use crate::{Map, Purpose, Value};

/// The names that a live request's state has.
const NAMES: &[&str] =
    &["headers", "cookies", "path", "args", "method", "host", "port", "protocol", "package", "user", "render"];

/// What a program may know of a request: `headers`, `cookies`, `path`, `args`, `method`, `host`, `port`, `protocol`
/// (`http` or `rpc`), `page` and `page_mount` or `rpc` and `rpc_mount`, `package`, `user`, `render`.
///
/// A value is made when it is asked for: most programs ask for few. A clone is cheap.
#[derive(Debug, Clone)]
pub struct RequestState {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Map(Arc<Map>),
    Live(Arc<Live>),
}

/// A request that came over the network.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) head: Arc<RequestHead>,
    pub(crate) arguments: Arc<Map>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) user: Option<Arc<str>>,
}

/// Where a page or procedure is from: the same for all its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// What it is.
    pub(crate) purpose: Purpose,
    /// Its name, without its mount.
    pub(crate) name: String,
    /// The prefix under which it is mounted.
    pub(crate) mount: String,
    /// The package file or the site's folder.
    pub(crate) package: String,
}

impl From<Map> for RequestState {
    /// Exactly these names and values.
    fn from(map: Map) -> Self {
        RequestState { source: Source::Map(Arc::new(map)) }
    }
}

impl From<Arc<Live>> for RequestState {
    fn from(live: Arc<Live>) -> Self {
        RequestState { source: Source::Live(live) }
    }
}

impl RequestState {
    /// The value of a name; none if there is no such name.
    pub fn get(&self, name: &str) -> Option<Value> {
        match &self.source {
            Source::Map(map) => map.get(name).cloned(),
            Source::Live(live) => live.get(name),
        }
    }

    /// All names with their values.
    pub fn to_map(&self) -> Map {
        match &self.source {
            Source::Map(map) => Map::clone(map),
            Source::Live(live) => {
                let names = NAMES.iter().chain(live.origin.names());
                names.filter_map(|&name| Some((name.to_string(), live.get(name)?))).collect()
            }
        }
    }
}

impl Origin {
    fn names(&self) -> &'static [&'static str] {
        match self.purpose {
            Purpose::Page => &["page", "page_mount"],
            Purpose::Rpc => &["rpc", "rpc_mount"],
        }
    }
}

impl Live {
    fn get(&self, name: &str) -> Option<Value> {
        let is_page = self.origin.purpose == Purpose::Page;
        Some(match name {
            "headers" => Value::Object(headers(&self.head)),
            "cookies" => Value::Object(cookies::read(self.head.headers())),
            "path" => text(&self.head.path),
            "args" => Value::Object(Map::clone(&self.arguments)),
            "method" => text(self.head.method().as_str()),
            "host" => text(&self.head.host),
            "port" => self.head.port.into(),
            "protocol" => text(if is_page { "http" } else { "rpc" }),
            "page" if is_page => text(&self.origin.name),
            "page_mount" if is_page => text(&self.origin.mount),
            "rpc" if !is_page => text(&self.origin.name),
            "rpc_mount" if !is_page => text(&self.origin.mount),
            "package" => text(&self.origin.package),
            "user" => text(self.user.as_deref()?),
            // Ancestor: a page says `if render == "True":` so that work happens only when it is really asked for.
            "render" => text("True"),
            _ => return None,
        })
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_string())
}

/// Headers by their name in lower case; the values of a repeated one are joined as RFC 9110 5.3 says. What proves who
/// the visitor is stays with the server.
fn headers(head: &RequestHead) -> Map {
    let mut map = Map::with_capacity(head.headers().keys_len());
    for (name, value) in head.headers() {
        if *name == http::header::AUTHORIZATION || *name == http::header::COOKIE {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        match map.get_mut(name.as_str()) {
            Some(Value::String(text)) => {
                text.push_str(", ");
                text.push_str(&value);
            }
            _ => {
                map.insert(name.as_str().to_string(), Value::String(value.into_owned()));
            }
        }
    }
    map
}
