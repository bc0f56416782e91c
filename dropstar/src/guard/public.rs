//! A public address is refused unless it is protected, and the refusal says what allows it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::{ServeConfig, USERS_FILE};

/// A public address lacks users, TLS or both, and nobody said that this is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicError {
    listen: SocketAddr,
    /// The file to which a user is to be added; none if there are users.
    wants_users: Option<PathBuf>,
    wants_tls: bool,
}

/// Whether a listener may be open to others.
pub(super) fn check(config: &ServeConfig, has_users: bool) -> Result<(), PublicError> {
    let is_public = !config.listen.ip().to_canonical().is_loopback();
    let wants_users = (!has_users).then(|| config.users.clone().unwrap_or_else(|| USERS_FILE.into()));
    let wants_tls = config.tls.is_none();
    if is_public && !config.is_insecure && (wants_users.is_some() || wants_tls) {
        return Err(PublicError { listen: config.listen, wants_users, wants_tls });
    }
    Ok(())
}

impl std::error::Error for PublicError {}

impl fmt::Display for PublicError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = match (&self.wants_users, self.wants_tls) {
            (Some(_), true) => "users nor TLS",
            (Some(_), false) => "users",
            _ => "TLS",
        };
        let neither = if missing.contains("nor") { "neither " } else { "no " };
        let port = self.listen.port();
        writeln!(formatter, "{} can be reached from elsewhere and has {neither}{missing}; either add", self.listen)?;
        if let Some(file) = &self.wants_users {
            writeln!(formatter, "  procblock user add NAME --users {}", file.display())?;
        }
        if self.wants_tls {
            writeln!(formatter, "  tls: {{certificate: FILE.pem, key: FILE.pem}}")?;
        }
        writeln!(formatter, "or keep it on this machine, and reach it by: ssh -L {port}:127.0.0.1:{port} HOST")?;
        writeln!(formatter, "  listen: 127.0.0.1")?;
        writeln!(formatter, "or, where something else keeps others away")?;
        write!(formatter, "  insecure: true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str) -> ServeConfig {
        ServeConfig { listen: listen.parse().unwrap(), ..ServeConfig::new(Vec::new()) }
    }

    #[test]
    fn loopback_needs_nothing_and_everything_else_users_and_tls() {
        for listen in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(check(&config(listen), false), Ok(()), "{listen}");
        }
        for listen in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:0.0.0.0]:1", "10.0.0.1:1"] {
            assert!(check(&config(listen), false).is_err() && check(&config(listen), true).is_err(), "{listen}");
            assert_eq!(check(&ServeConfig { is_insecure: true, ..config(listen) }, false), Ok(()));
            let tls = Some(crate::Tls { certificate: "c".into(), key: "k".into() });
            assert_eq!(check(&ServeConfig { tls: tls.clone(), ..config(listen) }, true), Ok(()));
            assert!(check(&ServeConfig { tls, ..config(listen) }, false).is_err());
        }
    }

    #[test]
    fn the_refusal_says_what_allows_it() {
        let text = check(&config("0.0.0.0:8686"), false).unwrap_err().to_string();
        assert_eq!(
            text,
            "0.0.0.0:8686 can be reached from elsewhere and has neither users nor TLS; either add\n\
             \x20 procblock user add NAME --users users.json\n  tls: {certificate: FILE.pem, key: FILE.pem}\n\
             or keep it on this machine, and reach it by: ssh -L 8686:127.0.0.1:8686 HOST\n  listen: 127.0.0.1\n\
             or, where something else keeps others away\n  insecure: true"
        );
        let text = check(&config("0.0.0.0:8686"), true).unwrap_err().to_string();
        assert!(text.contains("has no TLS;") && !text.contains("user add"), "{text}");
    }
}
