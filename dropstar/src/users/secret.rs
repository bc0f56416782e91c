//! Random texts, hashes and proofs: the only module that names `ring`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ring::rand::SecureRandom;
use ring::{digest, hmac, rand};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What every token begins with, so that one is known wherever it turns up: in a URL, in a commit.
pub const TOKEN_PREFIX: &str = "pbt_";

/// The random bytes of a token, a session or a key.
const RANDOM_BYTES: usize = 32;

/// The length of [`random_text`]: 32 bytes in base64 without padding.
const RANDOM_TEXT_LENGTH: usize = 43;

/// 256 random bits as text that fits URLs, cookies and headers.
pub(crate) fn random_text() -> Result<String, String> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes()?))
}

/// 256 random bits in the alphabet of PHC texts.
pub(super) fn random_salt() -> Result<String, String> {
    Ok(STANDARD_NO_PAD.encode(random_bytes()?))
}

fn random_bytes() -> Result<[u8; RANDOM_BYTES], String> {
    let mut bytes = [0; RANDOM_BYTES];
    let filled = rand::SystemRandom::new().fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| "this machine gives no random bytes".into())
}

/// Whether a text begins with what has the form of a token.
pub fn is_token(text: &str) -> bool {
    let random = text.strip_prefix(TOKEN_PREFIX).and_then(|rest| rest.get(..RANDOM_TEXT_LENGTH));
    random.is_some_and(|random| random.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')))
}

/// A SHA-256 hash. Secrets are looked up by it, so that the time it takes gives nothing of them away.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sha256([u8; digest::SHA256_OUTPUT_LEN]);

impl Sha256 {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Sha256(hash)
    }

    /// As a Content-Security-Policy names it: `sha256-` and base64.
    pub(crate) fn to_policy_source(self) -> String {
        format!("sha256-{}", STANDARD.encode(self.0))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&to_hexadecimal(&self.0))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hexadecimal(&self.0))
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("a token's hash is not 64 hexadecimal digits");
        if text.len() != 2 * digest::SHA256_OUTPUT_LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut hash = [0; digest::SHA256_OUTPUT_LEN];
        for (index, byte) in hash.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Sha256(hash))
    }
}

fn to_hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A random key that proves that a text was made here, for something: what a form brings back.
#[derive(Debug)]
pub(crate) struct Proof {
    key: hmac::Key,
}

impl Proof {
    pub(crate) fn new() -> Result<Self, String> {
        Ok(Proof { key: hmac::Key::new(hmac::HMAC_SHA256, &random_bytes()?) })
    }

    /// The text that proves this subject.
    pub(crate) fn make(&self, subject: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, subject))
    }

    /// Whether a text proves this subject, in a time that does not tell how much of it is right.
    pub(crate) fn holds(&self, subject: &[u8], text: &str) -> bool {
        let decoded = URL_SAFE_NO_PAD.decode(text);
        decoded.is_ok_and(|tag| hmac::verify(&self.key, subject, &tag).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_random_texts_differ_and_have_256_bits() {
        let (one, other) = (random_text().unwrap(), random_text().unwrap());
        assert_ne!(one, other);
        assert_eq!((one.len(), other.len()), (RANDOM_TEXT_LENGTH, RANDOM_TEXT_LENGTH));
    }

    #[test]
    fn a_token_is_known_by_its_form() {
        let token = format!("{TOKEN_PREFIX}{}", random_text().unwrap());
        assert!(is_token(&token) && is_token(&format!("{token}&x=1")));
        for text in ["", "pbt_", "pbt_short", &token[1..], &token[..token.len() - 1]] {
            assert!(!is_token(text), "{text}");
        }
    }

    #[test]
    fn a_proof_holds_for_its_subject_and_key_alone() {
        let (proof, other) = (Proof::new().unwrap(), Proof::new().unwrap());
        let text = proof.make(b"one");
        assert!(proof.holds(b"one", &text));
        assert!(!proof.holds(b"two", &text) && !other.holds(b"one", &text));
        for wrong in ["", "x", "====", &text[1..], &format!("{text}A"), "\u{0}"] {
            assert!(!proof.holds(b"one", wrong), "{wrong}");
        }
    }

    #[test]
    fn a_hash_is_read_as_it_was_written_and_nothing_else_is() {
        let hash = Sha256::of(b"abc");
        let text = serde_json::to_string(&hash).unwrap();
        assert!(text.starts_with("\"ba7816bf8f01cfea"));
        assert_eq!(serde_json::from_str::<Sha256>(&text).unwrap(), hash);
        for wrong in ["\"\"", "\"ba78\"", &text.replace("ba", "xy"), &text.replace("ba", "+a"), "1"] {
            assert!(serde_json::from_str::<Sha256>(wrong).is_err(), "{wrong}");
        }
    }
}
