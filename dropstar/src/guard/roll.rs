//! The users and tokens of a running server: the file's content, read again when it has changed.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::users::{Scope, Sha256, Users, UsersFile, UsersFileError};

/// How long a change of the file may go unseen, in milliseconds.
const LOOK_EVERY: u64 = 250;

/// Who is known. Reading it costs no lock; the file is looked at four times a second at most, by whoever comes by.
#[derive(Debug)]
pub(super) struct Roll {
    file: Option<UsersFile>,
    /// Whether there are neither users nor tokens nor a proxy that vouches. Only ever turns false.
    is_open: AtomicBool,
    looked: AtomicU64,
    known: ArcSwap<Known>,
}

#[derive(Debug)]
struct Known {
    stamp: Option<Stamp>,
    /// None when the file is not as it must be: then nobody is let in.
    names: Option<Arc<Names>>,
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Names {
    users: HashMap<Arc<str>, KnownUser>,
    tokens: HashMap<Sha256, KnownToken>,
}

/// A user of the file.
#[derive(Debug)]
pub(super) struct KnownUser {
    /// The user's name.
    pub(super) name: Arc<str>,
    /// The password's hash.
    pub(super) password_hash: Option<Arc<str>>,
    /// The hash of that, which sessions keep.
    pub(super) password: Sha256,
    /// How much the user may.
    pub(super) scope: Scope,
}

/// A token of the file.
#[derive(Debug)]
pub(super) struct KnownToken {
    /// `token:NAME`, which can't be a user's name.
    pub(super) name: Arc<str>,
    /// How much its bearer may.
    pub(super) scope: Scope,
    /// When it ends, in seconds since 1970.
    pub(super) expires: Option<u64>,
}

/// One version of a file.
type Stamp = (u64, u64, u64, [i64; 4]);

/// The users file is not as it must be; the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unusable;

impl Roll {
    /// Reads the file, which need not be there.
    ///
    /// # Errors
    /// It is not as it must be.
    pub(super) fn new(path: Option<&Path>, is_vouched: bool, now: Duration) -> Result<Roll, UsersFileError> {
        let file = path.map(UsersFile::new);
        let stamp = file.as_ref().and_then(|file| stamp(file.path()));
        let users = file.as_ref().map_or(Ok(None), UsersFile::read)?.unwrap_or_default();
        Ok(Roll {
            is_open: AtomicBool::new(users.is_empty() && !is_vouched),
            looked: AtomicU64::new(milliseconds(now)),
            known: ArcSwap::from_pointee(Known { stamp, names: Some(Arc::new(Names::new(&users))) }),
            file,
        })
    }

    /// Whether everybody may do what nothing is declared about.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// What the file says now, or a quarter of a second ago.
    ///
    /// # Errors
    /// The file is damaged, can't be read, or has gone while there were users.
    pub(super) fn names(&self, now: Duration) -> Result<Arc<Names>, Unusable> {
        if let Some(file) = &self.file {
            self.look(file, milliseconds(now));
        }
        self.known.load().names.clone().ok_or(Unusable)
    }

    fn look(&self, file: &UsersFile, now: u64) {
        let looked = self.looked.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(looked) >= LOOK_EVERY;
        // One of those who come by looks; the others go on with what is known.
        if !is_due || self.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let stamp = stamp(file.path());
        if stamp == self.known.load().stamp {
            return;
        }
        let names = match file.read() {
            Ok(Some(users)) => {
                if !users.is_empty() {
                    self.is_open.store(false, Ordering::Release);
                }
                log::info!("users file {} was read again", file.path().display());
                Some(Names::new(&users))
            }
            Ok(None) if self.is_open() => Some(Names::default()),
            Ok(None) => {
                log::error!("users file {} is gone; everybody is refused until it is back", file.path().display());
                None
            }
            Err(error) => {
                log::error!("{error}; everybody is refused until then");
                None
            }
        };
        self.known.store(Arc::new(Known { stamp, names: names.map(Arc::new) }));
    }
}

impl Names {
    fn new(users: &Users) -> Self {
        let user = |(name, user): (&str, &crate::users::User)| {
            let name: Arc<str> = name.into();
            let password_hash = user.password_hash().map(Arc::from);
            let password = Sha256::of(user.password_hash().unwrap_or_default().as_bytes());
            (name.clone(), KnownUser { name, password_hash, password, scope: user.scope })
        };
        let token = |(name, token): (&str, &crate::users::Token)| {
            let name = format!("token:{name}").into();
            (*token.sha256(), KnownToken { name, scope: token.scope, expires: token.expires })
        };
        Names { users: users.users().map(user).collect(), tokens: users.tokens().map(token).collect() }
    }

    /// The user of a name.
    pub(super) fn user(&self, name: &str) -> Option<&KnownUser> {
        self.users.get(name)
    }

    /// The token of a text.
    pub(super) fn token(&self, text: &str) -> Option<&KnownToken> {
        self.tokens.get(&Sha256::of(text.as_bytes()))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    Some((metadata.dev(), metadata.ino(), metadata.len(), times))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn setup() -> (tempfile::TempDir, UsersFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = UsersFile::new(folder.path().join("users.json"));
        (folder, file)
    }

    #[test]
    fn a_user_who_is_added_while_it_runs_closes_the_server_for_good() {
        let (_folder, file) = setup();
        let roll = Roll::new(Some(file.path()), false, seconds(0)).unwrap();
        assert!(roll.is_open() && roll.names(seconds(1)).is_ok());
        file.change(|users| users.add_user("ann", None, Scope::Call)).unwrap();
        assert!(roll.names(seconds(2)).unwrap().user("ann").is_some());
        assert!(!roll.is_open());
        file.change(|users| users.remove_user("ann")).unwrap();
        assert!(roll.names(seconds(3)).unwrap().user("ann").is_none());
        assert!(!roll.is_open(), "an emptied file opens nothing");
        std::fs::remove_file(file.path()).unwrap();
        assert!(roll.names(seconds(4)).is_err(), "nor does a removed one");
        file.change(|users| users.add_user("ben", None, Scope::Call)).unwrap();
        assert!(roll.names(seconds(5)).unwrap().user("ben").is_some());
    }

    #[test]
    fn a_file_that_gets_damaged_refuses_everybody_until_it_is_good_again() {
        let (_folder, file) = setup();
        file.change(|users| users.add_user("ann", None, Scope::Call)).unwrap();
        let good = std::fs::read(file.path()).unwrap();
        let roll = Roll::new(Some(file.path()), false, seconds(0)).unwrap();
        std::fs::write(file.path(), "{\"version\": 1, \"users\"").unwrap();
        assert!(roll.names(seconds(1)).is_err());
        std::fs::write(file.path(), good).unwrap();
        assert!(roll.names(seconds(2)).unwrap().user("ann").is_some());
    }

    #[test]
    fn a_damaged_file_is_no_start() {
        let (_folder, file) = setup();
        std::fs::write(file.path(), "x").unwrap();
        assert!(Roll::new(Some(file.path()), false, seconds(0)).is_err());
    }
}
