//! Text that can't leave its place: inside a JSON string, and on a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal may act on it, or show a line otherwise than it is: controls (C0, DEL, C1), line and paragraph
/// separators, and marks that reverse the direction of text.
fn is_active(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// One line that a terminal only shows: what it could act on is written as `\n`, `\r`, `\x1b`, `\u{85}`.
///
/// For texts from elsewhere: names, error messages, values.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\t' && is_active(c)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_shown(&mut shown, c);
    }
    Cow::Owned(shown)
}

fn push_shown(out: &mut String, c: char) {
    match c {
        '\t' => out.push('\t'),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        c if is_active(c) && c.is_ascii() => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if is_active(c) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Lines for a terminal: those after the first begin with `indent` blanks, so that none looks like a line of the log.
pub(super) fn push_indented(out: &mut String, text: &str, indent: usize) {
    for (index, line) in text.trim_end_matches(['\n', '\r']).split('\n').enumerate() {
        if index > 0 {
            let _ = write!(out, "\n{:indent$}", "");
        }
        out.push_str(&for_terminal(line.strip_suffix('\r').unwrap_or(line)));
    }
}

/// A JSON string with its quotes. What a terminal could act on is escaped too: JSON logs are read with `cat`.
pub(super) fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_active(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_spelled_out() {
        assert_eq!(for_terminal("a\x1b[31mb\r\nc\u{9b}d\u{202e}e\x07"), "a\\x1b[31mb\\r\\nc\\u{9b}d\\u{202e}e\\x07");
        assert!(matches!(for_terminal("grüße\t日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_second_line_is_indented() {
        let mut out = String::new();
        push_indented(&mut out, "one\r\n12:00:00.000 error faked\n", 4);
        assert_eq!(out, "one\n    12:00:00.000 error faked");
    }

    proptest! {
        #[test]
        fn a_json_string_reads_back_and_stays_on_its_line(text in any::<String>()) {
            let mut out = String::new();
            push_json(&mut out, &text);
            prop_assert!(!out.chars().any(is_active));
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }

        #[test]
        fn nothing_active_reaches_a_terminal(text in any::<String>()) {
            let shown = for_terminal(&text).into_owned();
            prop_assert!(!shown.chars().any(|c| c != '\t' && is_active(c)));
        }
    }
}
