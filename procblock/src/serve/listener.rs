//! From what sites say of their listener to the server's configuration.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use dropstar::{Limits, PORT_DEFAULT, ServeConfig, Tls, TrustedProxy, USERS_FILE};

use crate::load::{Entry, Node, Problems};
use crate::serve::fields::{LIMIT_FIELDS, LISTENER_FIELDS, PROXY_FIELDS, TLS_FIELDS};
use crate::spec::{Fields, FromValue, Size};

/// The most that a limit of a count may be.
const COUNT_MAX: i64 = 1_000_000;

/// The most that a body may be told to have.
const BODY_MAX: u64 = 1 << 40;

/// The address that the entries of a site or of `serve` give.
pub(super) fn address(entries: &[&Entry], problems: &mut Problems) -> Option<SocketAddr> {
    let mut unread = Problems::new();
    let fields = Fields::sort(entries.iter().copied(), LISTENER_FIELDS, "the site", &mut unread);
    let ip = match fields.node("listen") {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(node) => listen(node, problems)?,
    };
    let port = match fields.node("port") {
        None => PORT_DEFAULT,
        Some(node) => port(node, problems)?,
    };
    Some(SocketAddr::new(ip, port))
}

fn listen(node: &Node, problems: &mut Problems) -> Option<IpAddr> {
    let text = node.as_text()?;
    let found = if text == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { text.parse().ok() };
    if found.is_none() {
        let remedy = match text.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() && text.parse::<SocketAddr>().is_ok() => {
                format!("write the port apart: port: {port}")
            }
            _ => "expected an address of this machine such as 127.0.0.1, ::1 or 0.0.0.0".into(),
        };
        problems.error(&node.mark, format!("listen is \"{text}\""), remedy);
    }
    found
}

fn port(node: &Node, problems: &mut Problems) -> Option<u16> {
    let number = i64::from_value(&node.to_value()).ok()?;
    let found = u16::try_from(number).ok();
    if found.is_none() {
        problems.error(&node.mark, format!("port {number} is out of range"), "expected 0 to 65535");
    }
    found
}

/// A listener without its sites. `home` is the folder in which the file of users is looked for.
pub(super) fn config(listen: SocketAddr, entries: &[&Entry], home: PathBuf, problems: &mut Problems) -> ServeConfig {
    let fields = Fields::sort(entries.iter().copied(), LISTENER_FIELDS, "the site", problems);
    let default = ServeConfig::new(Vec::new());
    ServeConfig {
        listen,
        sites: Vec::new(),
        tls: fields.node("tls").and_then(|node| tls(node, problems)),
        strict_transport: fields
            .node("tls")
            .and_then(|node| strict(node, problems))
            .unwrap_or(default.strict_transport),
        is_insecure: fields.literal("insecure", problems).unwrap_or(false),
        any_host: fields.literal("any host", problems).unwrap_or(false),
        dev: fields.literal("dev", problems).unwrap_or(false),
        prefix: fields.node("prefix").and_then(|node| path_of("prefix", node, problems)).unwrap_or_default(),
        status: fields.node("status").and_then(|node| path_of("status", node, problems)).unwrap_or(default.status),
        limits: fields.node("limits").map(|node| limits(node, problems)).unwrap_or_default(),
        users: fields.node("users").and_then(path).or_else(|| Some(home.join(USERS_FILE))),
        trusted_proxy: fields.node("trusted proxy").and_then(|node| trusted_proxy(node, problems)),
    }
}

/// A path of a site: begins with `/`, does not end with it.
fn path_of(name: &str, node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.as_text()?.trim_end_matches('/');
    if text.is_empty() && name == "prefix" {
        return Some(String::new());
    }
    if !is_path(text) || text.len() < 2 {
        let what = format!("{name} is \"{}\"", node.as_text()?);
        problems.error(&node.mark, what, format!("expected a path such as /{name}"));
        return None;
    }
    Some(text.to_string())
}

/// Whether a text is a plain path of a site, from its `/` on.
pub(super) fn is_path(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '/');
    let is_part = |part: &str| part != ".." && part != ".";
    text.starts_with('/') && text.chars().all(is_plain) && !text.contains("//") && text.split('/').all(is_part)
}

fn tls(node: &Node, problems: &mut Problems) -> Option<Tls> {
    let fields = Fields::read(node, TLS_FIELDS, "tls", problems);
    Some(Tls { certificate: path(fields.node("certificate")?)?, key: path(fields.node("key")?)? })
}

fn strict(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let mut told = Problems::new();
    Fields::read(node, TLS_FIELDS, "tls", &mut told).literal("strict", problems)
}

/// A path, made absolute against the folder of its file.
fn path(node: &Node) -> Option<PathBuf> {
    node.as_text().map(|path| node.mark.source.resolve(path))
}

fn trusted_proxy(node: &Node, problems: &mut Problems) -> Option<TrustedProxy> {
    let fields = Fields::read(node, PROXY_FIELDS, "trusted proxy", problems);
    let mut addresses = Vec::new();
    for item in fields.node("addresses")?.items()? {
        let text = item.as_text().unwrap_or_default();
        match text.parse::<IpAddr>() {
            Ok(address) => addresses.push(address),
            Err(_) => {
                let what = format!("a trusted proxy is \"{text}\"");
                problems.error(&item.mark, what, "expected its address such as 127.0.0.1");
            }
        }
    }
    Some(TrustedProxy { addresses, user_header: fields.literal("user header", problems) })
}

/// Reads limits one by one.
struct LimitReader<'a, 'n> {
    fields: Fields<'n>,
    problems: &'a mut Problems,
}

impl LimitReader<'_, '_> {
    fn count(&mut self, name: &str, default: usize) -> usize {
        let Some(number) = self.fields.literal::<i64>(name, self.problems) else { return default };
        if !(1..=COUNT_MAX).contains(&number) {
            self.refuse(name, &number.to_string(), &format!("expected 1 to {COUNT_MAX}"));
        }
        usize::try_from(number).unwrap_or(default)
    }

    fn duration(&mut self, name: &str, default: Duration) -> Duration {
        let Some(duration) = self.fields.literal::<Duration>(name, self.problems) else { return default };
        if duration.is_zero() && name != "grace" {
            self.refuse(name, "0", "expected more than 0");
        }
        duration
    }

    fn size(&mut self, name: &str, default: u64) -> u64 {
        let Some(Size(bytes)) = self.fields.literal::<Size>(name, self.problems) else { return default };
        if bytes == 0 || bytes > BODY_MAX {
            self.refuse(name, &bytes.to_string(), "expected more than 0 and at most 1TiB");
        }
        bytes
    }

    fn refuse(&mut self, name: &str, found: &str, remedy: &str) {
        if let Some(node) = self.fields.node(name) {
            self.problems.error(&node.mark, format!("the limit {name} is {found}"), remedy);
        }
    }
}

fn limits(node: &Node, problems: &mut Problems) -> Limits {
    let default = Limits::default();
    let fields = Fields::read(node, LIMIT_FIELDS, "limits", problems);
    let mut reader = LimitReader { fields, problems };
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Limits {
        connections: reader.count("connections", default.connections),
        header_timeout: reader.duration("header timeout", default.header_timeout),
        idle_timeout: reader.duration("idle timeout", default.idle_timeout),
        body_timeout: reader.duration("body timeout", default.body_timeout),
        header_bytes: bytes(reader.size("header size", default.header_bytes as u64)),
        body_bytes: bytes(reader.size("body size", default.body_bytes as u64)),
        upload_bytes: reader.size("upload size", default.upload_bytes),
        arguments: reader.count("arguments", default.arguments),
        programs: reader.count("programs", default.programs),
        programs_waiting: reader.count("programs waiting", default.programs_waiting),
        event_readers: reader.count("event readers", default.event_readers),
        grace: reader.duration("grace", default.grace),
    }
}
