//! Checked names: one rule for locks, counters, buckets, keys, queues, logs and owners.
//!
//! A name is 1 to 512 bytes of any Unicode text without control characters. Names that begin with `__` belong to one
//! process and are never shared or stored.

use crate::error::Error;

/// The longest name, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 512;

/// Refuses a name that is empty, longer than [`NAME_BYTES_MAX`] or has a control character.
pub(crate) fn check(kind: &'static str, name: &str) -> Result<(), Error> {
    let bytes = name.as_bytes();
    if !bytes.is_empty() && bytes.len() <= NAME_BYTES_MAX && bytes.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f) {
        return Ok(());
    }
    Err(refusal(kind, name))
}

/// Whether a name is kept to this process: it begins with `__`.
pub(crate) fn is_private(name: &str) -> bool {
    name.as_bytes().starts_with(b"__")
}

#[cold]
fn refusal(kind: &'static str, name: &str) -> Error {
    let reason = if name.is_empty() {
        "is empty".to_owned()
    } else if name.len() > NAME_BYTES_MAX {
        format!("is {} bytes long, the limit is {NAME_BYTES_MAX}", name.len())
    } else {
        "has a control character, such as a line break: use printable text".to_owned()
    };
    Error::Name { kind, name: name.chars().take(64).collect(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_up_to_the_limit_pass_and_one_byte_more_is_refused() {
        assert!(check("lock", &"x".repeat(NAME_BYTES_MAX)).is_ok());
        assert!(check("lock", &"x".repeat(NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn empty_names_and_control_characters_are_refused_with_a_reason() {
        assert_eq!(check("queue", "").unwrap_err().to_string(), "the queue name \"\" is empty");
        for name in ["a\nb", "\0", "tab\t", "\u{7f}"] {
            assert!(check("key", name).unwrap_err().to_string().contains("control character"), "{name:?}");
        }
    }

    #[test]
    fn unicode_spaces_and_shell_characters_are_names() {
        for name in ["größe", "日本", "a b", "../../etc", "$(id)", "'\"`"] {
            assert!(check("lock", name).is_ok(), "{name}");
        }
    }
}
