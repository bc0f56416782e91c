//! File names of locks: any name becomes one file name, and two names never the same.
//!
//! Letters, digits, `-`, `_` and inner dots stay, all else is `%XX`. A name that grows too long for a file system keeps
//! its beginning and ends in `%%` and a 128-bit hash. A semaphore's slot is `%~N` at the end. Neither `%%` nor `%~`
//! comes out of the encoding, so nothing collides, but for two long names with one hash.

use std::fmt::Write;

const LENGTH_MAX: usize = 200;
const KEPT: usize = 120;

/// The file name of a lock, or of one slot of a semaphore.
pub(super) fn encode(name: &str, slot: Option<u32>) -> String {
    match slot {
        None => base(name),
        Some(slot) => format!("{}{slot}", slot_prefix(name)),
    }
}

/// What the file names of all slots of a semaphore begin with.
pub(super) fn slot_prefix(name: &str) -> String {
    base(name) + "%~"
}

fn base(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        let stays = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && index > 0);
        if stays {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    if text.len() > LENGTH_MAX {
        text.truncate(KEPT);
        let _ = write!(text, "%%{:032x}", hash(name.as_bytes()));
    }
    text
}

/// FNV-1a with 128 bits (draft-eastlake-fnv): the same in every process and version.
fn hash(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62272e07bb014262b821756295c58d;
    const PRIME: u128 = 0x0000000001000000000000000000013b;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_stay_inside_the_folder() {
        for (name, expected) in [
            ("deploy", "deploy"),
            ("../../etc/passwd", "%2E./../etc/passwd"),
            ("a/b", "a%2Fb"),
            (".fence", "%2Efence"),
            ("a%2Fb", "a%252Fb"),
            ("ü", "%C3%BC"),
        ] {
            assert_eq!(encode(name, None), expected.replace('/', "%2F"), "{name}");
        }
    }

    #[test]
    fn the_longest_name_fits_into_a_file_name() {
        assert!(encode(&"ü".repeat(256), Some(999)).len() <= 255);
    }

    proptest! {
        #[test]
        fn two_names_never_share_a_file(a in ".{1,120}", b in ".{1,120}", slot in proptest::option::of(0_u32..3)) {
            prop_assert_eq!(encode(&a, slot) == encode(&b, slot), a == b);
            prop_assert!(encode(&a, Some(0)) != encode(&b, None));
        }
    }
}
