//! Names that a file system and librrd can hold, made from any text without collisions.

/// The most letters a field's name has inside a file (rrdcreate(1): 1 to 19 of `[a-zA-Z0-9_]`).
pub const FIELD_NAME_MAX: usize = 19;

/// The most bytes of a key that stand readable in a file name.
const KEY_MAX: usize = 120;

/// A key as a part of a file name: `/` becomes `slash`, a space `space`, as the ancestor wrote them.
///
/// Letters, digits, `.`, `_` and `-` stay. A key with anything else, or so long, or which reads as another key's
/// safe form (`a slash`), gets a `~` and eight hexadecimal digits of its checksum behind it, so that two keys never
/// share a file. The result is never empty, never begins with a dot and holds no separator.
///
/// ```
/// use unidist::timeseries::safe_key;
/// assert_eq!(safe_key("eth0"), "eth0");
/// assert_eq!(safe_key("/dev/sda1"), "slashdevslashsda1");
/// assert!(safe_key("../../etc/passwd").starts_with("_.slash..slashetcslashpasswd~"));
/// ```
pub fn safe_key(key: &str) -> String {
    let mut safe = String::with_capacity(key.len() + 16);
    // The words themselves inside a key that also has what they stand for would make two keys one.
    let mut is_plain = !key.contains("slash") && !key.contains("space");
    for letter in key.chars() {
        match letter {
            '/' => safe.push_str("slash"),
            ' ' => safe.push_str("space"),
            '.' if safe.is_empty() => {
                safe.push('_');
                is_plain = false;
            }
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => safe.push(letter),
            _ => {
                safe.push('_');
                is_plain = false;
            }
        }
    }
    if safe.len() > KEY_MAX || safe.is_empty() {
        is_plain = false;
        safe.truncate(KEY_MAX);
    }
    if is_plain { safe } else { format!("{safe}~{:08x}", checksum(key)) }
}

/// A field's name as librrd holds it: the name itself where it fits, else nine of its letters, `_` and a checksum.
///
/// ```
/// use unidist::timeseries::field_name_in_file;
/// assert_eq!(field_name_in_file("random"), "random");
/// assert_eq!(field_name_in_file("requests per second"), "requests__09e144c4");
/// ```
pub fn field_name_in_file(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if !name.is_empty() && name.len() <= FIELD_NAME_MAX && name.chars().all(fits) {
        return name.to_owned();
    }
    let start: String = name.chars().take(9).map(|letter| if fits(letter) { letter } else { '_' }).collect();
    format!("{start}_{:08x}", checksum(name))
}

/// FNV-1a, 32 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): the same in every version of this program, unlike
/// the standard library's hasher.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_of_disks_and_interfaces_read_as_the_ancestor_wrote_them() {
        assert_eq!(safe_key("/"), "slash");
        assert_eq!(safe_key("C: Drive").split('~').next(), Some("C_spaceDrive"));
        assert_eq!(safe_key("sda 1"), "sdaspace1");
        assert_eq!(safe_key("slash").len(), "slash~00000000".len());
    }

    #[test]
    fn keys_that_look_alike_get_different_names() {
        let keys = [
            "/", "slash", "a/b", "aslashb", "a b", "aspaceb", " ", "space", "", ".", "..", "_", "a:b", "a;b", "a\nb",
            "a_b", "ä", "ö", "~", "A", "a",
        ];
        let mut names: Vec<String> = keys.iter().map(|key| safe_key(key)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), keys.len());
    }

    proptest! {
        #[test]
        fn a_safe_key_is_one_ordinary_file_name(key in "\\PC*") {
            let name = safe_key(&key);
            prop_assert!(!name.is_empty() && name.len() <= 200 && !name.starts_with('.') && !name.starts_with('-') | key.starts_with('-'));
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-~".contains(&b)));
        }

        #[test]
        fn a_field_name_always_fits_librrd(name in "\\PC*") {
            let inside = field_name_in_file(&name);
            prop_assert!((1..=FIELD_NAME_MAX).contains(&inside.len()));
            prop_assert!(inside.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        }
    }
}
