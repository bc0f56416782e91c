//! Texts that must not be shown, and where they stand in a line.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use parking_lot::RwLock;

/// What stands in place of a secret.
pub(super) const SHOWN: &str = "***";

/// The most texts remembered, spellings and single lines included.
const SECRETS_MAX: usize = 10_000;

/// Lines of a longer secret that are shorter than this are no secret by themselves, in bytes.
const PART_MIN: usize = 4;

const HEADER: &[u8] = b"authorization";

/// Texts that are replaced.
pub(super) struct Secrets {
    texts: RwLock<BTreeSet<Box<str>>>,
}

impl Secrets {
    pub(super) const fn new() -> Self {
        Secrets { texts: RwLock::new(BTreeSet::new()) }
    }

    /// Remembers a text, its single lines and its spelling inside JSON.
    pub(super) fn add(&self, secret: &str) {
        let whole = secret.trim_end_matches(['\n', '\r']);
        let lines = whole.lines().filter(|line| line.len() >= PART_MIN);
        let mut texts = self.texts.write();
        for text in std::iter::once(whole).chain(lines).filter(|text| !text.is_empty()) {
            let quoted = serde_json::Value::from(text).to_string();
            let in_json = quoted.get(1..quoted.len() - 1).unwrap_or(text);
            for text in [text, in_json] {
                if texts.len() < SECRETS_MAX {
                    texts.insert(text.into());
                }
            }
        }
    }

    /// Whether the whole text is a secret.
    pub(super) fn holds(&self, text: &str) -> bool {
        self.texts.read().contains(text)
    }

    /// The text with `***` in place of secrets and of values of `Authorization` headers.
    pub(super) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut ranges = Vec::new();
        for secret in self.texts.read().iter() {
            find_all(text, secret, &mut ranges);
        }
        find_headers(text, &mut ranges);
        if ranges.is_empty() {
            return Cow::Borrowed(text);
        }
        ranges.sort_by_key(|range| range.start);
        let mut shown = String::with_capacity(text.len());
        let mut end = 0;
        for (index, range) in ranges.into_iter().enumerate() {
            if range.start > end || index == 0 {
                shown.push_str(text.get(end..range.start).unwrap_or_default());
                shown.push_str(SHOWN);
            }
            end = end.max(range.end);
        }
        shown.push_str(text.get(end..).unwrap_or_default());
        Cow::Owned(shown)
    }
}

/// Whether the name is that of a header whose value is never shown.
pub(super) fn is_header(name: &str) -> bool {
    let name = name.as_bytes();
    let before = name.len().saturating_sub(HEADER.len());
    name.get(before..).is_some_and(|word| word.eq_ignore_ascii_case(HEADER))
}

/// Every place of `secret`, those that overlap too.
fn find_all(text: &str, secret: &str, ranges: &mut Vec<Range<usize>>) {
    let step = secret.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(secret)) {
        let start = from + found;
        ranges.push(start..start + secret.len());
        from = start + step;
    }
}

/// The values behind the word `authorization` in any case: to the end of the line, or of the quoted text it stands in.
fn find_headers(text: &str, ranges: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    // Most lines are told to have none by their rarest letter.
    if bytes.len() < HEADER.len() || !(bytes.contains(&b'z') || bytes.contains(&b'Z')) {
        return;
    }
    let mut from = 0;
    while let Some(start) = find_header(bytes, from) {
        from = start + HEADER.len();
        if let Some(range) = header_value(bytes, start) {
            from = range.end;
            if !range.is_empty() {
                ranges.push(range);
            }
        }
    }
}

fn find_header(bytes: &[u8], from: usize) -> Option<usize> {
    let found = bytes.get(from..)?.windows(HEADER.len()).position(|word| word.eq_ignore_ascii_case(HEADER))?;
    Some(from + found)
}

/// The value of the header that begins at `start`: `Authorization: v`, `"authorization": "v"`, `-H 'Authorization: v'`.
fn header_value(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let at = |index: usize| bytes.get(index).copied();
    let skip = |from: usize, wanted: &[u8]| {
        (from..).find(|index| !at(*index).is_some_and(|byte| wanted.contains(&byte))).unwrap_or(from)
    };
    let sign = skip(start + HEADER.len(), b"\"'\\ \t");
    if !matches!(at(sign), Some(b':' | b'=')) {
        return None;
    }
    let mut value = skip(sign + 1, b"=> \t\\");
    let is_quote = |index: usize| matches!(at(index), Some(b'"' | b'\''));
    if at(value) == Some(b'b') && is_quote(value + 1) {
        value += 1;
    }
    let quote = if is_quote(value) {
        value += 1;
        at(value - 1)
    } else {
        quote_before(bytes, start)
    };
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r') || Some(*byte) == quote;
    let rest = bytes.get(value..)?;
    Some(value..value + rest.iter().position(is_end).unwrap_or(rest.len()))
}

/// The quote that the header's whole line stands in, as in `curl -H 'Proxy-Authorization: v'`.
fn quote_before(bytes: &[u8], start: usize) -> Option<u8> {
    const PREFIX: &[u8] = b"proxy-";
    let before = bytes.get(..start)?;
    let name = before.len().saturating_sub(PREFIX.len());
    let is_prefixed = before.get(name..).is_some_and(|word| word.eq_ignore_ascii_case(PREFIX));
    let before = if is_prefixed { before.get(..name)? } else { before };
    before.last().copied().filter(|byte| matches!(byte, b'"' | b'\''))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hide(secrets: &[&str], text: &str) -> String {
        let all = Secrets::new();
        secrets.iter().for_each(|secret| all.add(secret));
        all.hide(text).into_owned()
    }

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
        assert_eq!(hide(&["hunter2"], "hunter2 and hunter2!"), "*** and ***!");
        assert_eq!(hide(&["abc", "cde"], "x abcde y"), "x *** y");
        assert_eq!(hide(&["ab", "abcd"], "abcd"), "***");
        assert_eq!(hide(&["aa"], "aaaa b"), "*** b");
        assert_eq!(hide(&[""], "text"), "text");
        assert_eq!(hide(&["ü"], "xüü"), "x***");
    }

    #[test]
    fn a_secret_of_several_lines_is_hidden_line_by_line_and_in_json() {
        let key = "-----BEGIN-----\nMIIabc\n}\n-----END-----\n";
        assert_eq!(hide(&[key], "MIIabc"), "***");
        assert_eq!(hide(&[key], "}"), "}");
        let quoted = serde_json::json!({"key": key.trim_end()}).to_string();
        assert_eq!(hide(&[key], &quoted), "{\"key\":\"***\"}");
        assert_eq!(hide(&["a\"b"], r#"{"x":"a\"b"}"#), r#"{"x":"***"}"#);
    }

    #[test]
    fn values_of_authorization_headers_are_replaced() {
        for (text, shown) in [
            ("Authorization: Bearer abc", "Authorization: ***"),
            ("authorization:Basic eDp5\nnext", "authorization:***\nnext"),
            ("> Proxy-Authorization: Digest a=\"b\", c=\"d\"\r\n", "> Proxy-Authorization: ***\r\n"),
            (r#"{"Authorization": "Bearer abc", "x": 1}"#, r#"{"Authorization": "***", "x": 1}"#),
            (r"{'Authorization': b'Bearer abc', 'x': 1}", r"{'Authorization': b'***', 'x': 1}"),
            ("curl -H 'Authorization: Bearer abc' http://x", "curl -H 'Authorization: ***' http://x"),
            ("curl -H \"proxy-authorization: t\" http://x", "curl -H \"proxy-authorization: ***\" http://x"),
            ("HTTP_AUTHORIZATION=Bearer abc", "HTTP_AUTHORIZATION=***"),
            ("authorization => bearer", "authorization => ***"),
            ("authorization failed", "authorization failed"),
            ("Authorization:", "Authorization:"),
            ("Authorization", "Authorization"),
        ] {
            assert_eq!(hide(&[], text), shown);
        }
    }

    proptest! {
        #[test]
        fn no_secret_is_left_in_any_text(secret in "[a-cü]{1,4}", text in "[a-dü:= '\"]{0,40}") {
            let shown = hide(&[&secret], &text);
            prop_assert!(!shown.replace(SHOWN, "\0").contains(&secret));
        }

        #[test]
        fn any_text_is_taken(text in any::<String>(), secret in any::<String>()) {
            hide(&[&secret], &format!("{text}Authorization:{secret}{text}"));
        }
    }
}
