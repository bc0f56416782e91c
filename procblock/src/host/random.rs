//! `random.token`: unguessable texts for scripts, such as the ids of sessions. What `math.random` gives can be guessed.
//!
//! The only module that names `getrandom`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::host::HostError;
use crate::value::Value;

pub(super) const FUNCTIONS: &[&str] = &["random.token"];

/// Random bytes of a token unless told: nobody guesses 256 bits.
const BYTES_DEFAULT: u64 = 32;

/// Fewer bytes could be tried one after the other.
const BYTES_MIN: u64 = 8;

/// The most that one token is made of, in bytes.
const BYTES_MAX: u64 = 1024;

/// `random.token(bytes)`: text that fits URLs, cookies, headers and names, of so many random bytes of the kernel.
///
/// # Errors
/// `bad_argument`: not 8 to 1,024 bytes. `failed`: the machine gives no random bytes.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, HostError> {
    if name != "random.token" {
        let text = format!("there is no function {name}; there are: {}", FUNCTIONS.join(", "));
        return Err(HostError::new("unknown_function", text));
    }
    let count = match arguments.first() {
        None | Some(Value::Null) => Some(BYTES_DEFAULT),
        Some(value) => value.as_u64().filter(|count| (BYTES_MIN..=BYTES_MAX).contains(count)),
    };
    let count = count.and_then(|count| usize::try_from(count).ok()).ok_or_else(|| {
        let given = arguments.first().unwrap_or(&Value::Null);
        let text = format!("random.token takes a number of bytes from {BYTES_MIN} to {BYTES_MAX}, got {given}");
        HostError::new("bad_argument", text)
    })?;
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes)
        .map_err(|error| HostError::new("failed", format!("this machine gives no random bytes: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(arguments: &[Value]) -> Result<String, String> {
        let called = call("random.token", arguments).map_err(|error| error.text)?;
        called.as_str().map(str::to_string).ok_or_else(|| called.to_string())
    }

    #[test]
    fn a_token_has_256_bits_unless_told_and_is_never_the_same() {
        let tokens: std::collections::HashSet<String> = (0..100).map(|_| token(&[]).unwrap()).collect();
        assert_eq!(tokens.len(), 100);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert!(tokens.iter().all(|token| token.len() == 43 && token.bytes().all(is_plain)));
        assert_eq!(token(&[json!(null)]).unwrap().len(), 43);
        assert_eq!(token(&[json!(9)]).unwrap().len(), 12);
        assert_eq!(token(&[json!(1024)]).unwrap().len(), 1366);
    }

    #[test]
    fn what_could_be_guessed_or_is_no_number_is_refused() {
        for wrong in [json!(7), json!(0), json!(-1), json!(1025), json!(9.5), json!("32"), json!([32])] {
            let text = token(std::slice::from_ref(&wrong)).unwrap_err();
            assert_eq!(text, format!("random.token takes a number of bytes from 8 to 1024, got {wrong}"));
        }
        assert_eq!(call("random.number", &[]).unwrap_err().code, "unknown_function");
    }
}
