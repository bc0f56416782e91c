//! What sites and the `serve` tag may say.

use crate::spec::{FieldKind, FieldSpec};

const PORT: FieldSpec =
    FieldSpec::new("port", FieldKind::Integer, "The port; 0 takes a free one. Sites of one port share it, by Host.")
        .default("8686");

const LISTEN: FieldSpec = FieldSpec::new(
    "listen",
    FieldKind::Text,
    "The address to listen at; 0.0.0.0 and :: are all. One that others reach needs users, and TLS or `insecure`.",
)
.default("127.0.0.1");

const TLS: FieldSpec = FieldSpec::new("tls", FieldKind::Mapping(TLS_FIELDS), "HTTPS instead of HTTP.");

const USERS: FieldSpec = FieldSpec::new(
    "users",
    FieldKind::Path,
    "The file of users and tokens that `procblock user` writes. Default: `users.json` beside the site file, or in the \
     site's folder; without one everybody who reaches the server may do everything.",
);

const INSECURE: FieldSpec = FieldSpec::new(
    "insecure",
    FieldKind::Boolean,
    "Allow an address that others reach without users and TLS: where something else keeps them away.",
)
.default("false");

const ANY_HOST: FieldSpec = FieldSpec::new(
    "any host",
    FieldKind::Boolean,
    "Answer whatever Host a request names; else one that is no site, alias or own address is refused.",
)
.default("false");

const DEV: FieldSpec = FieldSpec::new(
    "dev",
    FieldKind::Boolean,
    "Show what failed, with its place, on the page itself to whoever comes from this machine.",
)
.default("false");

const PREFIX: FieldSpec =
    FieldSpec::new("prefix", FieldKind::Text, "The path under which a proxy shows the server: `/tools`.");

const STATUS: FieldSpec = FieldSpec::new("status", FieldKind::Text, "The path of the status pages.").default("/status");

const TRUSTED_PROXY: FieldSpec = FieldSpec::new(
    "trusted proxy",
    FieldKind::Mapping(PROXY_FIELDS),
    "Proxies whose `X-Forwarded-…` headers are believed.",
);

const LIMITS: FieldSpec =
    FieldSpec::new("limits", FieldKind::Mapping(LIMIT_FIELDS), "Bounds of connections, requests and programs.");

const ALIASES: FieldSpec =
    FieldSpec::new("aliases", FieldKind::ListOf(&FieldKind::Text), "Other hosts that the site answers for.");

const FOLDER: FieldSpec = FieldSpec::new(
    "folder",
    FieldKind::Path,
    "The site is this folder: `pages/NAME.lua|py|sh|yaml` with `templates/NAME.html` is `/NAME`, `rpc/NAME.…` is \
     `/rpc/NAME`, `static/a.js` is `/a.js`, `public/a.css` is `/a.css` and wants no log-in.",
);

const PACKAGES: FieldSpec = FieldSpec::new(
    "packages",
    FieldKind::ListOf(&FieldKind::OneOf(&[FieldKind::Path, FieldKind::Mapping(MOUNT_FIELDS)])),
    "The package files that the site is made of, looked through in this order.",
);

const SITE: FieldSpec = FieldSpec::new("site", FieldKind::Path, "A site file.");

/// What may be said of a package where it is mounted.
pub const MOUNT_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("path", FieldKind::Path, "The package file.").required(),
    FieldSpec::new("aliases", FieldKind::ListOf(&FieldKind::Text), "Hosts for which it answers besides the site's."),
    FieldSpec::new("mount", FieldKind::Text, "The prefix of its pages.").default("/"),
    FieldSpec::new("mount rpc", FieldKind::Text, "The prefix of its RPCs. Default: that of pages and `rpc/`."),
    FieldSpec::new("mount static", FieldKind::Text, "The prefix of its static files. Default: that of pages."),
];

/// TLS of a listener.
pub const TLS_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("certificate", FieldKind::Path, "The chain of certificates, PEM; read again when it changes.")
        .required(),
    FieldSpec::new("key", FieldKind::Path, "The private key, PEM.").required(),
    FieldSpec::new(
        "strict",
        FieldKind::Duration,
        "How long browsers that were here ask this host by HTTPS alone, at all of its ports \
         (Strict-Transport-Security); 0s where another port of the host speaks plain HTTP.",
    )
    .default("30d"),
];

/// Proxies in front of a listener.
pub const PROXY_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("addresses", FieldKind::ListOf(&FieldKind::Text), "The proxies' addresses.").required(),
    FieldSpec::new(
        "user header",
        FieldKind::Text,
        "The header in which they give the user's name; they must take it away from what clients send.",
    ),
];

/// The limits of a listener.
pub const LIMIT_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("connections", FieldKind::Integer, "Connections at once; more wait to be accepted.").default("4096"),
    FieldSpec::new("header timeout", FieldKind::Duration, "From a request's first byte to the end of its headers.")
        .default("10s"),
    FieldSpec::new("idle timeout", FieldKind::Duration, "An idle connection is closed after.").default("75s"),
    FieldSpec::new("body timeout", FieldKind::Duration, "From the end of the headers to the end of the body.")
        .default("30s"),
    FieldSpec::new("header size", FieldKind::Size, "The headers of a request.").default("16KiB"),
    FieldSpec::new("body size", FieldKind::Size, "The body of a request.").default("1MiB"),
    FieldSpec::new("upload size", FieldKind::Size, "An upload, kept in a temporary file while the request runs.")
        .default("32MiB"),
    FieldSpec::new("arguments", FieldKind::Integer, "Arguments of a request.").default("1000"),
    FieldSpec::new("programs", FieldKind::Integer, "Pages and RPCs that run at once, those that wait for something included; of Lua that computes long, 4 for each core run at once.")
        .default("64"),
    FieldSpec::new("programs waiting", FieldKind::Integer, "Pages and RPCs that wait; further ones are answered 503.")
        .default("1000"),
    FieldSpec::new("event readers", FieldKind::Integer, "Readers of `/events` at once.").default("2000"),
    FieldSpec::new("grace", FieldKind::Duration, "How long requests under way may go on when the server ends.")
        .default("5s"),
];

/// What is said of a listener, in a site or in `serve`; sites that share one must not contradict each other.
pub const LISTENER_FIELDS: &[FieldSpec] =
    &[PORT, LISTEN, TLS, USERS, INSECURE, ANY_HOST, DEV, PREFIX, STATUS, TRUSTED_PROXY, LIMITS];

/// A site of a site file, by its name, which is its main host.
pub const SITE_FIELDS: &[FieldSpec] = &[
    PACKAGES,
    FOLDER,
    ALIASES,
    PORT,
    LISTEN,
    TLS,
    USERS,
    INSECURE,
    ANY_HOST,
    DEV,
    PREFIX,
    STATUS,
    TRUSTED_PROXY,
    LIMITS,
];

/// The mapping behind `serve`.
pub const SERVE_FIELDS: &[FieldSpec] = &[
    FOLDER,
    SITE,
    PACKAGES,
    ALIASES,
    PORT,
    LISTEN,
    TLS,
    USERS,
    INSECURE,
    ANY_HOST,
    DEV,
    PREFIX,
    STATUS,
    TRUSTED_PROXY,
    LIMITS,
];
