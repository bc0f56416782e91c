//! An instance's name as part of a path.

/// Longer names are cut and told apart by a hash: a socket's whole path has at most 107 bytes (unix(7)).
const STEM_MAX: usize = 48;

/// The name as a file name without its ending: one name, one stem.
///
/// Letters, digits, `_`, `-` and `.` inside stay; every other byte is `%` and two digits.
pub fn socket_stem(name: &str) -> String {
    let mut stem = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && index > 0);
        if is_plain {
            stem.push(char::from(byte));
        } else {
            stem.push_str(&format!("%{byte:02x}"));
        }
    }
    if stem.is_empty() {
        return "%".into();
    }
    if stem.len() > STEM_MAX {
        let kept = stem.get(..STEM_MAX - 17).unwrap_or_default();
        stem = format!("{kept}%{:016x}", fnv(name.as_bytes()));
    }
    stem
}

/// FNV-1a, 64 bits (draft-eastlake-fnv): the same in every release, which std's hasher does not promise.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_and_others_are_spelled() {
        for (name, stem) in [
            ("simplest", "simplest"),
            ("web-1.2_x", "web-1.2_x"),
            ("a/b", "a%2fb"),
            ("..", "%2e."),
            ("ü x", "%c3%bc%20x"),
            ("%", "%25"),
            ("", "%"),
        ] {
            assert_eq!(socket_stem(name), stem);
        }
        assert_ne!(socket_stem(&"a".repeat(200)), socket_stem(&"a".repeat(201)));
    }

    proptest! {
        #[test]
        fn any_name_is_one_short_file_name(name in any::<String>()) {
            let stem = socket_stem(&name);
            prop_assert!(stem.len() <= STEM_MAX && !stem.is_empty());
            prop_assert!(!stem.starts_with('.') && !stem.contains(['/', '\0']));
        }

        #[test]
        fn two_names_have_two_stems(one in ".{0,60}", two in ".{0,60}") {
            prop_assert_eq!(one == two, socket_stem(&one) == socket_stem(&two));
        }
    }
}
