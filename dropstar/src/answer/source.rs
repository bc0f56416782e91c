//! The lines of a script around the place of an error, for an administrator.

use std::fmt::Write as _;
use std::path::Path;

/// Lines shown before and after the place.
const AROUND: usize = 4;

/// A longer file is not shown, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// The lines around the first `/FILE:LINE` with which a line of the text begins; none if there is none that can be read.
pub(crate) fn excerpt(text: &str) -> Option<String> {
    let (path, line) = text.lines().find_map(place)?;
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > BYTES_MAX {
        return None;
    }
    let source = String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned();
    let first = line.saturating_sub(AROUND).max(1);
    let mut excerpt = String::new();
    for (number, content) in (1..).zip(source.lines()).skip(first - 1).take(2 * AROUND + 1) {
        let mark = if number == line { '>' } else { ' ' };
        // Writing into a String can't fail.
        let _ = writeln!(excerpt, "{mark}{number:>5} | {content}");
    }
    (!excerpt.is_empty()).then_some(excerpt)
}

/// `/FILE:LINE` at the beginning of a line, with or without a word before it.
fn place(line: &str) -> Option<(&Path, usize)> {
    let line = line.trim_start().strip_prefix("template ").unwrap_or(line.trim_start());
    let line = line.strip_prefix('/').map(|_| line)?;
    let mut from = 0;
    loop {
        let colon = from + line.get(from..)?.find(':')?;
        let rest = line.get(colon + 1..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            return Some((Path::new(line.get(..colon)?), rest.get(..digits)?.parse().ok()?));
        }
        from = colon + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_at_the_beginning_of_a_line() {
        for (text, expected) in [
            ("/a/b.lua:7: ouch", Some(("/a/b.lua", 7))),
            ("  /a/b:c.lua:12:3: ouch", Some(("/a/b:c.lua", 12))),
            ("template /a.html:2: x", Some(("/a.html", 2))),
            ("pages/a.lua:7: ouch", None),
            ("/a.lua", None),
            ("/a.lua:x", None),
            ("at /a.lua:5", None),
        ] {
            assert_eq!(place(text), expected.map(|(path, line)| (Path::new(path), line)), "{text}");
        }
    }

    #[test]
    fn the_lines_around_it_are_shown_and_it_is_marked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lua");
        let lines: String = (1..=20).map(|number| format!("line {number}\n")).collect();
        std::fs::write(&path, lines).unwrap();
        let shown = excerpt(&format!("x\n{}:2: ouch", path.display())).unwrap();
        assert!(shown.starts_with("     1 | line 1\n>    2 | line 2\n"), "{shown}");
        assert_eq!(shown.lines().count(), 9);
        assert_eq!(excerpt(&format!("{}:99: ouch", path.display())), None);
        assert_eq!(excerpt("/nothing.lua:1: ouch"), None);
    }
}
