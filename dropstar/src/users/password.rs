//! Passwords: what is a good one, their hashes, and hashing them without the server feeling it.
//!
//! The only module that names `argon2`. Its default is what OWASP recommends: argon2id, 19 MiB, two passes.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params};
use tokio::sync::Semaphore;

use super::secret::random_salt;
use super::{UsersError, random_text};

/// The longest password, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The fewest characters of a password (NIST SP 800-63B 5.1.1.2).
pub const PASSWORD_CHARACTERS_MIN: usize = 8;

/// Hashes computed at once: each takes a core for some 30 ms and 19 MiB.
const HASHES_MAX: usize = 2;

/// Log-ins that wait for their hash; more are answered 503.
const WAITING_MAX: usize = 64;

/// A log-in waits for its hash for at most.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The most memory that a hash in a file may ask for, in KiB.
const MEMORY_MAX_KIB: u32 = 256 * 1024;

/// The most passes that a hash in a file may ask for.
const PASSES_MAX: u32 = 16;

/// The hash of a new password.
pub(super) fn hash(name: &str, password: &str) -> Result<String, UsersError> {
    check(name, password)?;
    let salt = SaltString::from_b64(&random_salt().map_err(UsersError::Machine)?)
        .map_err(|error| UsersError::Machine(error.to_string()))?;
    let hashed = Argon2::default().hash_password(password.as_bytes(), &salt);
    hashed.map(|hash| hash.to_string()).map_err(|error| UsersError::Machine(error.to_string()))
}

fn check(name: &str, password: &str) -> Result<(), UsersError> {
    if password.chars().count() < PASSWORD_CHARACTERS_MIN {
        return Err(UsersError::Password("has fewer than 8 characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(UsersError::Password("is longer than 1,024 bytes"));
    }
    if password.contains('\0') {
        return Err(UsersError::Password("holds a NUL"));
    }
    if password.eq_ignore_ascii_case(name) {
        return Err(UsersError::Password("is the user's name"));
    }
    Ok(())
}

/// Whether a hash from a file is one that can be computed in bounds.
pub(super) fn check_hash(text: &str) -> Result<(), String> {
    let hash = PasswordHash::new(text).map_err(|_| "is not a PHC text")?;
    let is_known = Algorithm::try_from(hash.algorithm).is_ok() && hash.hash.is_some() && hash.salt.is_some();
    if !is_known {
        return Err("is not of argon2".into());
    }
    let parameters = Params::try_from(&hash).map_err(|_| "has parameters that argon2 does not know")?;
    if parameters.m_cost() > MEMORY_MAX_KIB || parameters.t_cost() > PASSES_MAX {
        return Err(format!("takes more than {MEMORY_MAX_KIB} KiB or {PASSES_MAX} passes"));
    }
    Ok(())
}

/// Whether a password is the one behind a hash. Takes some 30 ms of a core.
fn is_right(hash: &str, password: &[u8]) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

/// Checks passwords on threads of their own, few at once.
#[derive(Debug)]
pub(crate) struct Hashing {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    nobody: Arc<Nobody>,
}

/// Whom a password is compared with when the user is unknown, so that it takes as long.
#[derive(Debug)]
struct Nobody {
    password: String,
    hash: OnceLock<String>,
}

impl Nobody {
    /// Made by the first comparison, whoever it is about: a server that nobody logs in to has no need of it, nor of the
    /// memory that it takes.
    fn hash(&self) -> &str {
        // Without a hash no password is right.
        self.hash.get_or_init(|| hash("", &self.password).unwrap_or_default())
    }
}

/// A password was not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashingError {
    /// Too many others are at it.
    #[error("too many log in at once; try again in a few seconds")]
    Busy,
}

impl Hashing {
    /// Computes nothing yet.
    ///
    /// # Errors
    /// The machine has no random bytes.
    pub(crate) fn new() -> Result<Self, UsersError> {
        let password = random_text().map_err(UsersError::Machine)?;
        let nobody = Arc::new(Nobody { password, hash: OnceLock::new() });
        let running = Arc::new(Semaphore::new(HASHES_MAX));
        let waiting = Arc::new(Semaphore::new(HASHES_MAX + WAITING_MAX));
        Ok(Hashing { running, waiting, nobody })
    }

    /// Whether a password is the one behind a hash; without a hash it is not, which takes as long to find out.
    ///
    /// # Errors
    /// Too many others are at it, or its turn did not come within 10 s.
    pub(crate) async fn is_right(&self, hash: Option<&str>, password: String) -> Result<bool, HashingError> {
        // The permits go along with the work: a client that goes away while its hash is computed frees none early.
        let place = self.waiting.clone().try_acquire_owned().map_err(|_| HashingError::Busy)?;
        let turn = tokio::time::timeout(WAIT_MAX, self.running.clone().acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(HashingError::Busy)?;
        let has_hash = hash.is_some() && password.len() <= PASSWORD_BYTES_MAX;
        let (hash, nobody) = (hash.map(str::to_string), Arc::clone(&self.nobody));
        let compared = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            let nobodys = nobody.hash();
            is_right(hash.as_deref().unwrap_or(nobodys), password.as_bytes())
        });
        Ok(compared.await.unwrap_or(false) && has_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_from_a_file_are_argon2_in_bounds() {
        let good = hash("ann", "correct horse").unwrap();
        assert_eq!(check_hash(&good), Ok(()));
        for (wrong, text) in [
            ("secret".to_string(), "is not a PHC text"),
            ("$2b$12$abcdefghijklmnopqrstuv".to_string(), "is not"),
            (good.replace("m=19456", "m=999999999"), "takes more than"),
            (good.replace("t=2", "t=1000"), "takes more than"),
            (good.rsplit_once('$').unwrap().0.to_string(), "is not of argon2"),
        ] {
            assert!(check_hash(&wrong).unwrap_err().contains(text), "{wrong}");
        }
    }

    #[tokio::test]
    async fn the_right_password_is_right_and_nobody_has_one() {
        let hashing = Hashing::new().unwrap();
        let hash = hash("ann", "correct horse").unwrap();
        assert_eq!(hashing.is_right(Some(&hash), "correct horse".into()).await, Ok(true));
        assert_eq!(hashing.is_right(Some(&hash), "correct horsf".into()).await, Ok(false));
        assert_eq!(hashing.is_right(None, "correct horse".into()).await, Ok(false));
    }

    #[tokio::test]
    async fn more_than_may_wait_are_told_at_once() {
        let hashing = Hashing::new().unwrap();
        let _all = hashing.waiting.acquire_many(66).await.unwrap();
        assert_eq!(hashing.is_right(None, "x".into()).await, Err(HashingError::Busy));
    }
}
