//! Who may use a server: users with passwords, tokens for programs.
//!
//! What is kept proves a password or a token and does not give it away: argon2id hashes of passwords, SHA-256 of tokens
//! (which are 256 random bits, so there is nothing to guess). [`UsersFile`] is where it is kept.

mod file;
mod password;
mod secret;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use file::{UsersFile, UsersFileError};
pub(crate) use password::{Hashing, HashingError};
pub use password::{PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN};
pub(crate) use secret::{Proof, Sha256, random_text};
pub use secret::{TOKEN_PREFIX, is_token};

/// The longest name of a user or token, in bytes.
pub const USER_NAME_BYTES_MAX: usize = 64;

/// Users, and tokens, at most.
pub const USERS_MAX: usize = 10_000;

/// How much a user or token may. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// See pages, call what is read only.
    Read,
    /// Change things: send forms, call every procedure.
    Call,
    /// Everything, also what is declared for administrators.
    Admin,
}

impl Scope {
    /// Its word: `read`, `call`, `admin`.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Call => "call",
            Scope::Admin => "admin",
        }
    }
}

/// All users and tokens, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// The version of this format: 1.
    version: Version,
    /// Users by name.
    #[serde(default)]
    users: BTreeMap<String, User>,
    /// Tokens by name.
    #[serde(default)]
    tokens: BTreeMap<String, Token>,
}

/// The number 1, and no other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Version;

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(1)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(Version),
            other => Err(serde::de::Error::custom(format_args!("version {other} is not known; expected 1"))),
        }
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The argon2id hash of the password, as PHC text; none for a user for whom only a proxy vouches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    /// How much the user may.
    pub scope: Scope,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// SHA-256 of the token's text, in hexadecimal.
    sha256: Sha256,
    /// How much its bearer may.
    pub scope: Scope,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When it ends, in seconds since 1970; none for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// Why a user or token was not added, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsersError {
    /// A name that can't be.
    #[error(
        "\"{0}\" can't be a name; expected letters, digits, '.', '_', '-' and '@', beginning with a letter or digit, \
         at most {USER_NAME_BYTES_MAX}"
    )]
    Name(String),
    /// The name is taken.
    #[error("there is a {kind} \"{name}\" already; remove it first")]
    Taken {
        /// `user` or `token`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// There is no such user or token.
    #[error("there is no {kind} \"{name}\"")]
    Missing {
        /// `user` or `token`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// The password is no good one.
    #[error("the password {0}")]
    Password(&'static str),
    /// There are as many as there may be.
    #[error("there are {USERS_MAX} already, the most that one file holds")]
    Full,
    /// The machine gives no random bytes, or not the memory that hashing takes.
    #[error("the password or token could not be made: {0}")]
    Machine(String),
}

impl Users {
    /// Whether nobody could log in and no token would be taken.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    /// All users by name.
    pub fn users(&self) -> impl Iterator<Item = (&str, &User)> {
        self.users.iter().map(|(name, user)| (name.as_str(), user))
    }

    /// All tokens by name.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, &Token)> {
        self.tokens.iter().map(|(name, token)| (name.as_str(), token))
    }

    /// The user of a name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// Adds a user; without a password only a proxy can vouch for them. Hashing a password takes some 30 ms.
    ///
    /// # Errors
    /// The name can't be or is taken, the password is no good one.
    pub fn add_user(&mut self, name: &str, password: Option<&str>, scope: Scope) -> Result<(), UsersError> {
        check_name(name)?;
        if self.users.contains_key(name) {
            return Err(UsersError::Taken { kind: "user", name: name.into() });
        }
        if self.users.len() >= USERS_MAX {
            return Err(UsersError::Full);
        }
        let password = password.map(|password| password::hash(name, password)).transpose()?;
        self.users.insert(name.into(), User { password, scope });
        Ok(())
    }

    /// Changes a user's password, which ends the user's sessions. Takes some 30 ms.
    ///
    /// # Errors
    /// There is no such user, the password is no good one.
    pub fn change_password(&mut self, name: &str, password: &str) -> Result<(), UsersError> {
        let missing = || UsersError::Missing { kind: "user", name: name.into() };
        let user = self.users.get_mut(name).ok_or_else(missing)?;
        user.password = Some(password::hash(name, password)?);
        Ok(())
    }

    /// Removes a user, which ends the user's sessions.
    ///
    /// # Errors
    /// There is no such user.
    pub fn remove_user(&mut self, name: &str) -> Result<(), UsersError> {
        let removed = self.users.remove(name);
        removed.map(drop).ok_or_else(|| UsersError::Missing { kind: "user", name: name.into() })
    }

    /// Adds a token and gives its text, which is kept nowhere. `now` is the time since 1970, `lasts` none for a token
    /// without end.
    ///
    /// # Errors
    /// The name can't be or is taken.
    pub fn add_token(
        &mut self,
        name: &str,
        scope: Scope,
        now: Duration,
        lasts: Option<Duration>,
    ) -> Result<String, UsersError> {
        check_name(name)?;
        if self.tokens.contains_key(name) {
            return Err(UsersError::Taken { kind: "token", name: name.into() });
        }
        if self.tokens.len() >= USERS_MAX {
            return Err(UsersError::Full);
        }
        let text = format!("{TOKEN_PREFIX}{}", random_text().map_err(UsersError::Machine)?);
        let expires = lasts.map(|lasts| now.saturating_add(lasts).as_secs());
        let token = Token { sha256: Sha256::of(text.as_bytes()), scope, created: now.as_secs(), expires };
        self.tokens.insert(name.into(), token);
        Ok(text)
    }

    /// Removes a token; it is refused from then on.
    ///
    /// # Errors
    /// There is no such token.
    pub fn remove_token(&mut self, name: &str) -> Result<(), UsersError> {
        let removed = self.tokens.remove(name);
        removed.map(drop).ok_or_else(|| UsersError::Missing { kind: "token", name: name.into() })
    }

    /// Whether everything in it can be: what was read from a file is trusted no further.
    fn check(&self) -> Result<(), String> {
        if self.users.len() > USERS_MAX || self.tokens.len() > USERS_MAX {
            return Err(format!("it holds more than {USERS_MAX} users or tokens"));
        }
        for name in self.users.keys().chain(self.tokens.keys()) {
            check_name(name).map_err(|error| error.to_string())?;
        }
        for (name, user) in &self.users {
            let checked = user.password.as_deref().map_or(Ok(()), password::check_hash);
            checked.map_err(|text| format!("the password hash of \"{name}\" {text}"))?;
        }
        Ok(())
    }
}

impl User {
    /// The password's hash; none for a user for whom only a proxy vouches.
    pub(crate) fn password_hash(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Whether the user can log in here; otherwise only a proxy can vouch for them.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }
}

impl Token {
    pub(crate) fn sha256(&self) -> &Sha256 {
        &self.sha256
    }

    /// Whether it has ended at a time since 1970.
    pub fn is_expired(&self, now: Duration) -> bool {
        self.expires.is_some_and(|expires| now.as_secs() >= expires)
    }
}

fn check_name(name: &str) -> Result<(), UsersError> {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@');
    let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= USER_NAME_BYTES_MAX
        && name.bytes().all(is_inside);
    if is_name { Ok(()) } else { Err(UsersError::Name(name.chars().take(USER_NAME_BYTES_MAX).collect())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    #[test]
    fn a_file_holds_neither_a_password_nor_a_token() {
        let mut users = Users::default();
        users.add_user("ann", Some("correct horse"), Scope::Admin).unwrap();
        let token = users.add_token("deploy", Scope::Call, NOW, None).unwrap();
        let text = serde_json::to_string(&users).unwrap();
        assert!(!text.contains("correct horse") && !text.contains(&token), "{text}");
        assert!(text.contains("$argon2id$") && is_token(&token));
        assert_eq!(serde_json::from_str::<Users>(&text).unwrap(), users);
    }

    #[test]
    fn a_name_is_given_once() {
        let mut users = Users::default();
        users.add_user("ann", None, Scope::Read).unwrap();
        users.add_token("ann", Scope::Read, NOW, None).unwrap();
        assert!(matches!(users.add_user("ann", None, Scope::Admin), Err(UsersError::Taken { kind: "user", .. })));
        let again = users.add_token("ann", Scope::Read, NOW, None);
        assert!(matches!(again, Err(UsersError::Taken { kind: "token", .. })));
        users.remove_user("ann").unwrap();
        users.remove_token("ann").unwrap();
        assert!(users.is_empty());
        assert_eq!(users.remove_user("ann").unwrap_err().to_string(), "there is no user \"ann\"");
    }

    #[test]
    fn names_that_a_log_or_a_page_could_misread_are_refused() {
        let mut users = Users::default();
        for name in ["", "a b", "a\n", "<b>", "-x", "..", "ü", &"a".repeat(65)] {
            assert!(matches!(users.add_user(name, None, Scope::Read), Err(UsersError::Name(_))), "{name:?}");
        }
        for name in ["ann", "ann@example.org", "7", "a.b-c_d"] {
            users.add_user(name, None, Scope::Read).unwrap();
        }
    }

    #[test]
    fn a_weak_password_is_refused_with_the_reason() {
        let mut users = Users::default();
        for (password, reason) in [
            ("short", "has fewer than 8 characters"),
            ("eleanore", "is the user's name"),
            ("a\u{0}bcdefgh", "holds a NUL"),
        ] {
            let error = users.add_user("eleanore", Some(password), Scope::Read).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert!(users.add_user("ann", Some(&long), Scope::Read).is_err());
        assert!(users.is_empty());
    }

    #[test]
    fn an_expired_token_is_over_from_its_second_on() {
        let mut users = Users::default();
        users.add_token("t", Scope::Read, NOW, Some(Duration::from_secs(60))).unwrap();
        let token = users.tokens().next().unwrap().1;
        assert!(!token.is_expired(NOW + Duration::from_secs(59)));
        assert!(token.is_expired(NOW + Duration::from_secs(60)));
    }
}
