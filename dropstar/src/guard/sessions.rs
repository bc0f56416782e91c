//! Who is logged in: sessions in memory, known by the hash of what the browser's cookie holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::users::{Sha256, random_text};

/// Sessions at once; a new one takes the place of the one that was idle longest.
const SESSIONS_MAX: usize = 10_000;

/// Sessions of one user at once.
const SESSIONS_OF_USER_MAX: usize = 50;

/// A session that is not used ends after.
const IDLE_MAX: Duration = Duration::from_secs(8 * 3600);

/// A session ends after, however much it is used.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The length of what a cookie holds: other texts are not looked up.
const ID_LENGTH: usize = 43;

/// All sessions. The lock is held to look one up; to log in, for as long as it takes to look through all of them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: RwLock<HashMap<Sha256, Arc<Session>>>,
}

/// A browser that logged in.
#[derive(Debug)]
pub(super) struct Session {
    /// The hash by which it is known.
    pub(super) key: Sha256,
    /// The user.
    pub(super) user: Arc<str>,
    /// The hash of the password's hash at log-in: another password ends the session.
    pub(super) password: Sha256,
    begun: Duration,
    /// When it was used last, in milliseconds of the clock.
    used: AtomicU64,
}

impl Session {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.used()) >= IDLE_MAX || now.saturating_sub(self.begun) >= AGE_MAX
    }

    fn used(&self) -> Duration {
        Duration::from_millis(self.used.load(Ordering::Relaxed))
    }
}

impl Sessions {
    /// Begins a session with a new id, which is what the cookie holds and is kept nowhere.
    ///
    /// # Errors
    /// The machine gives no random bytes.
    pub(super) fn begin(&self, user: &str, password: Sha256, now: Duration) -> Result<(String, Arc<Session>), String> {
        let id = random_text()?;
        let key = Sha256::of(id.as_bytes());
        let used = AtomicU64::new(milliseconds(now));
        let session = Arc::new(Session { key, user: user.into(), password, begun: now, used });
        let mut sessions = self.sessions.write();
        make_room(&mut sessions, user, now);
        sessions.insert(key, session.clone());
        Ok((id, session))
    }

    /// The session of a cookie, unless it is over; it counts as used.
    pub(super) fn find(&self, id: &str, now: Duration) -> Option<Arc<Session>> {
        if id.len() != ID_LENGTH {
            return None;
        }
        let session = self.sessions.read().get(&Sha256::of(id.as_bytes()))?.clone();
        if session.is_over(now) {
            self.end(&session.key);
            return None;
        }
        let now = milliseconds(now);
        // Written once a second at most, so that requests of one session on several cores share the line.
        if now.saturating_sub(session.used.load(Ordering::Relaxed)) >= 1000 {
            session.used.store(now, Ordering::Relaxed);
        }
        Some(session)
    }

    /// Ends a session.
    pub(super) fn end(&self, key: &Sha256) {
        self.sessions.write().remove(key);
    }
}

/// Takes away what is over, and what is too many: of this user, then of all.
fn make_room(sessions: &mut HashMap<Sha256, Arc<Session>>, user: &str, now: Duration) {
    sessions.retain(|_, session| !session.is_over(now));
    let of_user = |session: &&Arc<Session>| &*session.user == user;
    if sessions.values().filter(of_user).count() >= SESSIONS_OF_USER_MAX {
        let longest = sessions.values().filter(of_user).min_by_key(|session| session.used()).map(|session| session.key);
        longest.map(|key| sessions.remove(&key));
    }
    if sessions.len() >= SESSIONS_MAX {
        let longest = sessions.values().min_by_key(|session| session.used()).map(|session| session.key);
        longest.map(|key| sessions.remove(&key));
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn begin(sessions: &Sessions, user: &str, now: Duration) -> String {
        sessions.begin(user, Sha256::of(b""), now).unwrap().0
    }

    #[test]
    fn a_session_ends_when_idle_and_at_its_age() {
        let sessions = Sessions::default();
        let id = begin(&sessions, "ann", Duration::ZERO);
        assert!(sessions.find(&id, 7 * HOUR).is_some());
        assert!(sessions.find(&id, 14 * HOUR).is_some(), "use keeps it");
        assert!(sessions.find(&id, 22 * HOUR).is_none(), "8 hours without use end it");
        let id = begin(&sessions, "ann", Duration::ZERO);
        for hour in (0..7 * 24).step_by(7) {
            assert!(sessions.find(&id, hour * HOUR).is_some());
        }
        assert!(sessions.find(&id, 7 * 24 * HOUR).is_none(), "a week ends it");
    }

    #[test]
    fn sessions_of_a_user_and_of_all_are_bounded() {
        let sessions = Sessions::default();
        let first = begin(&sessions, "ann", Duration::ZERO);
        let other = begin(&sessions, "ben", Duration::ZERO);
        for second in 0..50 {
            begin(&sessions, "ann", Duration::from_secs(second + 1));
        }
        assert!(sessions.find(&first, HOUR).is_none() && sessions.find(&other, HOUR).is_some());
        assert_eq!(sessions.sessions.read().len(), 51);
        let mut all = sessions.sessions.write();
        for user in 0..SESSIONS_MAX {
            let key = Sha256::of(&user.to_le_bytes());
            let used = AtomicU64::new(milliseconds(HOUR));
            all.insert(key, Arc::new(Session { key, user: "cid".into(), password: key, begun: HOUR, used }));
        }
        let before = all.len();
        make_room(&mut all, "dan", HOUR);
        make_room(&mut all, "dan", HOUR);
        assert_eq!(all.len(), before - 2, "one goes for each that comes");
    }

    #[test]
    fn an_id_that_nobody_was_given_is_no_session() {
        let sessions = Sessions::default();
        let id = begin(&sessions, "ann", Duration::ZERO);
        for wrong in ["", "x", &"A".repeat(43), &id[1..], &format!("{id}A")] {
            assert!(sessions.find(wrong, Duration::ZERO).is_none(), "{wrong}");
        }
        let key = sessions.find(&id, Duration::ZERO).unwrap().key;
        sessions.end(&key);
        assert!(sessions.find(&id, Duration::ZERO).is_none());
    }
}
