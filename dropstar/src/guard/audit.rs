//! The audit log: who changed what from where, and who was refused. Lines of the target `audit`, one each.
//!
//! What nobody in particular does on a server without users is told at the level debug only: it would say nothing. What
//! administers is always told.
//! A line holds no secret: neither query nor body, nor what somebody typed where a name belongs.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use log::Level;
use parking_lot::Mutex;

use crate::request::RequestHead;

/// The target of the lines.
const TARGET: &str = "audit";

/// Refusals told in a second; more are counted.
const REFUSALS_PER_SECOND_MAX: u64 = 20;

/// What calls by name are told up to, in bytes.
const NAMED_BYTES_MAX: usize = 1000;

/// A longer path is cut, in characters.
const PATH_CHARACTERS_MAX: usize = 200;

/// What the lines need to remember: how many refusals this second.
#[derive(Debug, Default)]
pub(super) struct Audit {
    second: AtomicU64,
    refusals: AtomicU64,
}

/// A call that changes something, until it is told how it ended.
#[derive(Debug)]
pub(super) struct Call {
    who: Option<Arc<str>>,
    level: Level,
    from: IpAddr,
    what: What,
    /// What it calls by name.
    named: Mutex<String>,
    ended: Option<StatusCode>,
}

#[derive(Debug)]
struct What {
    method: Method,
    path: Box<str>,
}

impl What {
    fn new(head: &RequestHead) -> Self {
        What { method: head.method().clone(), path: head.parts.uri.path().into() }
    }
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, Plain(&self.path))
    }
}

/// Text from outside: control characters and what is not ASCII are escaped, so that it stays one line.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.chars().take(PATH_CHARACTERS_MAX);
        shown.flat_map(char::escape_default).try_for_each(|character| fmt::Write::write_char(formatter, character))?;
        if self.0.chars().nth(PATH_CHARACTERS_MAX).is_some() { formatter.write_str("…") } else { Ok(()) }
    }
}

impl Call {
    /// None if nobody wants to be told.
    pub(super) fn new(who: Option<Arc<str>>, from: IpAddr, head: &RequestHead) -> Option<Self> {
        let level = if who.is_some() { Level::Info } else { Level::Debug };
        log::log_enabled!(target: TARGET, level).then(|| Call::told_at(level, who, from, head))
    }

    /// One that is told whoever makes it.
    pub(super) fn of_administrator(who: Option<Arc<str>>, from: IpAddr, head: &RequestHead) -> Self {
        Call::told_at(Level::Info, who, from, head)
    }

    fn told_at(level: Level, who: Option<Arc<str>>, from: IpAddr, head: &RequestHead) -> Self {
        Call { who, level, from, what: What::new(head), named: Mutex::default(), ended: None }
    }

    /// It calls something by name.
    pub(super) fn names(&self, name: &str) {
        let mut named = self.named.lock();
        if named.len() < NAMED_BYTES_MAX {
            named.push(' ');
            named.push_str(name);
        }
    }

    /// It was answered.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.ended = Some(status);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let level = self.level;
        let (who, from, what) = (Plain(self.who.as_deref().unwrap_or("anybody")), self.from, &self.what);
        let named = self.named.get_mut().escape_default();
        match self.ended {
            Some(status) => log::log!(target: TARGET, level, "{who} from {from}: {what}{named}: {}", status.as_u16()),
            None => {
                log::log!(target: TARGET, level, "{who} from {from}: {what}{named}: no answer, the client was gone")
            }
        }
    }
}

impl Audit {
    /// A call that would have changed something was refused.
    pub(super) fn refused(&self, from: IpAddr, head: &RequestHead, why: &str, now: Duration) {
        if self.is_room(now) {
            log::warn!(target: TARGET, "refused from {from}: {}: {}", What::new(head), Plain(why));
        }
    }

    /// A log-in failed. A name that is not a user's may be a password, so it is not told.
    pub(super) fn log_in_failed(&self, from: IpAddr, user: Option<&str>, now: Duration) {
        if self.is_room(now) {
            log::warn!(target: TARGET, "log-in failed from {from} as {}", Plain(user.unwrap_or("an unknown user")));
        }
    }

    /// A user logged in or out.
    pub(super) fn session(&self, from: IpAddr, user: &str, what: &str) {
        log::info!(target: TARGET, "{} from {from}: {what}", Plain(user));
    }

    /// Whether one more refusal is told this second; the first of a later second tells how many were not.
    fn is_room(&self, now: Duration) -> bool {
        if self.second.swap(now.as_secs(), Ordering::Relaxed) != now.as_secs() {
            let untold = self.refusals.swap(0, Ordering::Relaxed).saturating_sub(REFUSALS_PER_SECOND_MAX);
            if untold > 0 {
                log::warn!(target: TARGET, "{untold} more were refused within a second");
            }
        }
        self.refusals.fetch_add(1, Ordering::Relaxed) < REFUSALS_PER_SECOND_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_on_its_line() {
        assert_eq!(Plain("/a\r\nb\u{1b}[2Jü").to_string(), "/a\\r\\nb\\u{1b}[2J\\u{fc}");
        assert_eq!(Plain(&"x".repeat(300)).to_string().chars().count(), PATH_CHARACTERS_MAX + 1);
    }

    #[test]
    fn a_flood_of_refusals_is_told_in_bounds() {
        let audit = Audit::default();
        let told = (0..1000).filter(|_| audit.is_room(Duration::from_secs(5))).count();
        assert_eq!(told, 20);
        assert!(audit.is_room(Duration::from_secs(6)));
    }
}
