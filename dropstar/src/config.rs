//! What is served and how: sites, their content, limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The port unless told otherwise.
pub const PORT_DEFAULT: u16 = 8686;

/// The name of the file of users and tokens, in a site's folder or beside its file, unless the site names another.
pub const USERS_FILE: &str = "users.json";

/// First parts of paths at which the server itself answers, before any page.
pub const RESERVED: &[&str] = &[
    "events",
    "graph",
    "series",
    "healthz",
    "readyz",
    "metrics",
    "version",
    "openapi.json",
    "status",
    "dropstar.js",
    "dropstar-charts.js",
    "login",
    "logout",
];

/// One listener and the sites on it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeConfig {
    /// The address and port. Default: 127.0.0.1:8686. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The sites; a request whose Host names none is the first one's if the Host is an address of the listener or
    /// `localhost`. At least one.
    pub sites: Vec<Site>,
    /// TLS; none is plain HTTP.
    pub tls: Option<Tls>,
    /// How long a browser that came by TLS asks this host only so, at each of its ports (Strict-Transport-Security). It
    /// means nothing without `tls`; zero says nothing to browsers. Default: 30 days.
    pub strict_transport: Duration,
    /// A public address without TLS or without users is allowed. Default: no.
    pub is_insecure: bool,
    /// Every Host is accepted. Default: no, because of DNS rebinding.
    pub any_host: bool,
    /// Whether errors are shown on pages to whoever comes by loopback. Default: no.
    pub dev: bool,
    /// The path under which a proxy shows the server, without a trailing slash: `/tools`. Default: none.
    pub prefix: String,
    /// The path of the status pages. Default: `/status`.
    pub status: String,
    /// Limits.
    pub limits: Limits,
    /// The file of users and tokens; absent or empty means that there are none. `procblock user` writes it beside the
    /// site's file, or in the site's folder, as [`USERS_FILE`].
    pub users: Option<PathBuf>,
    /// The proxies in front of the server, whose headers are believed. Default: none.
    pub trusted_proxy: Option<TrustedProxy>,
}

impl ServeConfig {
    /// These sites on 127.0.0.1:8686, with default limits.
    pub fn new(sites: Vec<Site>) -> Self {
        ServeConfig {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT_DEFAULT),
            sites,
            tls: None,
            strict_transport: Duration::from_secs(30 * 86_400),
            is_insecure: false,
            any_host: false,
            dev: false,
            prefix: String::new(),
            status: "/status".into(),
            limits: Limits::default(),
            users: None,
            trusted_proxy: None,
        }
    }
}

/// A site: the hosts it answers for and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its name, which is also its main host.
    pub name: String,
    /// Other hosts it answers for.
    pub aliases: Vec<String>,
    /// What it holds.
    pub content: SiteContent,
}

/// What a site holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteContent {
    /// A folder with `pages/`, `templates/`, `rpc/`, `static/`. Absolute.
    Folder(PathBuf),
    /// Packages, looked through in this order.
    Packages(Vec<Mount>),
}

/// A package and where it is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The package file. Absolute.
    pub package: PathBuf,
    /// Hosts for which it answers besides the site's.
    pub aliases: Vec<String>,
    /// The prefix of pages, `/` at both ends. Default: `/`.
    pub pages: String,
    /// The prefix of procedures, `/` at both ends. Default: that of pages and `rpc/`.
    pub procedures: String,
    /// The prefix of static files, `/` at both ends. Default: that of pages.
    pub static_files: String,
}

/// The certificate and key of TLS, PEM files that are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The chain of certificates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Proxies whose headers are believed: `X-Forwarded-For`, `X-Forwarded-Host`, `X-Forwarded-Proto`, and the user's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxy {
    /// Their addresses.
    pub addresses: Vec<IpAddr>,
    /// The header in which they give the name of the user who logged in there; they must take it away from what clients
    /// send. Default: none, so that users log in here.
    pub user_header: Option<String>,
}

/// The limits of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait to be accepted. Default: 4,096.
    pub connections: usize,
    /// From the first byte of a request to the end of its headers. Default: 10 s.
    pub header_timeout: Duration,
    /// An idle connection is closed after. Default: 75 s.
    pub idle_timeout: Duration,
    /// From the end of the headers to the end of the body. Default: 30 s.
    pub body_timeout: Duration,
    /// The headers of a request, in bytes. Default: 16 KiB.
    pub header_bytes: usize,
    /// The body of a request, in bytes, after decompression. Default: 1 MiB.
    pub body_bytes: usize,
    /// An upload, in bytes, kept in a temporary file while the request runs. Default: 32 MiB.
    pub upload_bytes: u64,
    /// Arguments of a request. Default: 1,000.
    pub arguments: usize,
    /// Programs at once, those that wait for something included. Default: 64. That some of them compute long is for
    /// whoever runs them to bound.
    pub programs: usize,
    /// Programs that wait for their turn; further ones are answered 503. Default: 1,000.
    pub programs_waiting: usize,
    /// Readers of `/events` at once. Default: 2,000.
    pub event_readers: usize,
    /// How long requests under way may go on when the server ends. Default: 5 s.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            header_bytes: 16 * 1024,
            body_bytes: 1024 * 1024,
            upload_bytes: 32 * 1024 * 1024,
            arguments: 1000,
            programs: 64,
            programs_waiting: 1000,
            event_readers: 2000,
            grace: Duration::from_secs(5),
        }
    }
}
