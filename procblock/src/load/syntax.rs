//! What a user did when the parser gave up: its terse reasons in words that name the remedy.

use crate::load::Mark;
use crate::load::budget::DEPTH_MAX;
use crate::load::problem::shown;

/// A mistake in the syntax: where, what and the remedy.
pub(crate) struct Told {
    pub(crate) mark: Mark,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

impl Told {
    fn new(mark: Mark, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Told { mark, what: what.into(), remedy: remedy.into() }
    }
}

/// Reasons of the parser whose place and meaning need no second look: a part of the reason, what, the remedy.
const SIMPLE: &[(&str, &str, &str)] = &[
    (
        "found unexpected end of stream",
        "the quote that opens here is never closed",
        "close it, or quote a text that holds a quote with the other kind of quote",
    ),
    (
        "invalid indentation in quoted scalar",
        "the quote that opens here is not closed before the next key",
        "close it, or indent the lines of a longer text",
    ),
    (
        "found unexpected document indicator",
        "the quote that opens here is not closed before the next document",
        "close it, or indent the lines of a longer text",
    ),
    (
        "hexadecimal number",
        "an escape in this text lacks its digits",
        "write \\xNN, \\uNNNN or \\UNNNNNNNN, \\\\ for a backslash, or use '…' where a backslash is itself",
    ),
    (
        "invalid Unicode character escape",
        "an escape in this text is no character",
        "write the number of a character, \\\\ for a backslash, or use '…' where a backslash is itself",
    ),
    (
        "block sequence entries are not allowed",
        "a list can't begin in the middle of a line",
        "put \"- \" on a line of its own below the key, or quote the text",
    ),
    (
        "did not find expected '-' indicator",
        "a key at the indentation of a list's items",
        "indent it under the item above, or less than the list",
    ),
    (
        "did not find expected comment or line break",
        "text behind | or > on the same line",
        "begin the text on the next line, or quote it",
    ),
    ("indentation indicator equal to 0", "a block text with the indentation 0", "leave the 0 out"),
    (
        "wrongly indented line in block scalar",
        "the first line of a block text is indented less than its header says",
        "indent the text under its key",
    ),
    (
        "comment intercepting",
        "a comment begins here, yet the text goes on in the next line",
        "remove the comment; if the # is part of the text quote the whole value, or in a condition the whole key",
    ),
    (
        "misplaced bracket",
        "a closing bracket without an opening one",
        "remove it, or quote the text that it is part of",
    ),
    ("byte order mark", "a byte order mark inside of the file", "delete this invisible character"),
    ("comments must be separated", "a # right behind a value", "put a space before a comment, or quote the text"),
    ("directive", "a line that begins with % is a directive, and this is none", "quote the text"),
    ("TAG", "a line that begins with % is a directive, and this is none", "quote the text"),
    (
        "invalid content after document end marker",
        "text behind the end of the document",
        "remove the ... or the text behind it",
    ),
    (
        "plain scalar cannot start with '-'",
        "a text can't begin with - and a bracket or comma",
        "put a space behind the - of a list item, or quote the text",
    ),
    ("while parsing a tag", "a tag that is not complete", "quote a text that begins with !"),
    ("while scanning a tag", "a tag that is not complete", "quote a text that begins with !"),
    ("verbatim tag", "a tag that is not complete", "quote a text that begins with !"),
    ("global tag", "a tag that is not complete", "quote a text that begins with !"),
    ("handle wasn't declared", "an unknown tag", "remove it, or quote a text that begins with !"),
    (
        "mapping keys are not allowed",
        "a ? that begins a key is not allowed here",
        "quote a text that begins with \"? \"",
    ),
    ("':' may not precede", "a bracket right behind a colon", "put a space behind the colon, or quote the text"),
];

const WITHOUT_COLON: &str = "a line without a colon where a key is expected";
const WITHOUT_COLON_REMEDY: &str = "write key: value, or indent the line under the text that it goes on with";

/// Tells what a reason of the parser means. `opening` is where the innermost open mapping or list began.
pub(crate) fn explain(reason: &str, mark: Mark, opening: Option<&Mark>) -> Told {
    let bracket = opening.and_then(|opening| Some((opening, bracket_at(opening)?)));
    if reason.contains("recursion limit") {
        return too_deep(mark);
    }
    if reason.contains("tab")
        && let Some(told) = tab(reason, &mark)
    {
        return told;
    }
    if bracket.is_some()
        && let Some(told) = placeholder(&mark)
    {
        return told;
    }
    match reason {
        "mapping values are not allowed in this context" => second_colon(mark),
        "illegal placement of ':' indicator" => match bracket {
            Some((opening, bracket)) if opening.line != mark.line => unclosed(opening.clone(), bracket),
            _ => second_colon(mark),
        },
        _ if reason.contains("expected ',' or") => in_brackets(mark, bracket),
        _ if reason.contains("did not find expected node content") => in_brackets_value(mark, bracket),
        _ if reason.contains("unexpected character") => sign(mark),
        _ if reason.contains("anchor") => alias(reason, mark),
        _ if reason.contains("simple key expect") => without_colon(mark, bracket),
        "invalid indentation in flow construct" => in_brackets(mark, bracket),
        _ if follows_bracket(&mark) => {
            Told::new(mark, "text behind the closing bracket", "quote the whole value, as in '[ -f x ] && echo yes'")
        }
        _ if reason.contains("did not find expected key") || reason == "invalid indentation" => misaligned(mark),
        _ if reason.contains("invalid trailing content") => behind_quote(mark, bracket),
        _ if reason.contains("unknown escape") => escape(mark),
        _ if reason.contains("<document start>") => directive(mark),
        _ if reason.contains("unprintable") => Told::new(mark, "a NUL character", "delete this invisible character"),
        _ => simple(reason, mark),
    }
}

/// The problem of a collection that is nested too deeply.
pub(crate) fn too_deep(mark: Mark) -> Told {
    let what = format!("nested deeper than {DEPTH_MAX} levels");
    Told::new(mark, what, "close the brackets opened before it, or use fewer levels")
}

fn simple(reason: &str, mark: Mark) -> Told {
    match SIMPLE.iter().find(|(part, _, _)| reason.contains(part)) {
        Some((_, what, remedy)) => Told::new(mark, *what, *remedy),
        None => Told::new(
            mark,
            format!("not valid YAML: {reason}"),
            "check the indentation, quotes and brackets here; quote a text with special characters",
        ),
    }
}

fn bracket_at(opening: &Mark) -> Option<char> {
    opening.rest().chars().next().filter(|c| matches!(c, '[' | '{'))
}

fn line_of(mark: &Mark) -> &str {
    mark.source.line(mark.line)
}

/// The part of a line before a mark.
fn before(mark: &Mark) -> &str {
    let line = line_of(mark);
    let rest = mark.rest().len().min(mark.source.rest(mark.line, 1).len());
    let start = mark.source.rest(mark.line, 1).len() - rest;
    line.get(..start).unwrap_or(line)
}

fn at_byte(mark: &Mark, line: u32, byte: usize) -> Mark {
    let text = mark.source.line(line);
    let column = text.get(..byte).unwrap_or(text).chars().count() + 1;
    Mark { source: mark.source.clone(), line, column: u32::try_from(column).unwrap_or(u32::MAX) }
}

fn tab(reason: &str, mark: &Mark) -> Option<Told> {
    let remedy = "indent with spaces";
    // A tab behind a line is noticed while that line is read.
    let is_below = reason.contains("cannot start with a tab") || reason.contains("plain scalar");
    for line in mark.line..=mark.line + u32::from(is_below) {
        let text = mark.source.line(line);
        let indentation = text.len() - text.trim_start().len();
        if let Some(byte) = text.get(..indentation).and_then(|white| white.find('\t')) {
            return Some(Told::new(at_byte(mark, line, byte), "a tab in the indentation", remedy));
        }
    }
    let byte = before(mark).rfind('\t').or_else(|| line_of(mark).find('\t'))?;
    Some(Told::new(
        at_byte(mark, mark.line, byte),
        "a tab where only spaces may stand",
        "replace it by a space, or quote the text",
    ))
}

/// A `${…}` on the line, which ends a text without quotes inside of brackets.
fn placeholder(mark: &Mark) -> Option<Told> {
    let byte = line_of(mark).find("${")?;
    let mark = at_byte(mark, mark.line, byte);
    Some(Told::new(mark, "a ${…} inside of […] or {…} needs quotes", "quote the value: \"${…}\""))
}

/// A colon and space inside of what should be one text, or a line that is indented as if it went on with the last.
fn second_colon(mark: Mark) -> Told {
    let before = before(&mark);
    let key = before.trim_start().trim_start_matches("- ");
    let condition = key.starts_with("if ") || key.starts_with("elif ");
    if condition {
        let remedy = "quote the whole key, as in 'if name == \"a: b\"': …";
        return Told::new(mark, "a condition with a colon and a space in it", remedy);
    }
    if key.contains(": ") {
        let remedy = "quote the value, as in key: 'text: more text'";
        return Told::new(mark, "a second \": \" in one line", remedy);
    }
    let above = line_above(&mark);
    let Some((line, text)) = above else {
        return Told::new(mark, "a key is not allowed here", "put the first key on a line of its own");
    };
    let trimmed = text.trim_start();
    let content = trimmed.trim_start_matches("- ");
    if !content.contains(": ") && !content.ends_with(':') && content.contains(':') && !content.starts_with(['"', '\''])
    {
        let byte = text.len() - content.len() + content.find(':').unwrap_or(0);
        return Told::new(at_byte(&mark, line, byte), "no space behind the colon of a key", "write key: value");
    }
    let indentation = line_of(&mark).len() - line_of(&mark).trim_start().len();
    if text.len() - trimmed.len() == indentation && !trimmed.contains(':') {
        return Told::new(at_byte(&mark, line, indentation), WITHOUT_COLON, WITHOUT_COLON_REMEDY);
    }
    let first = at_byte(&mark, mark.line, indentation);
    Told::new(
        first,
        "this line is indented as if it went on with the text above",
        "align it with the key above, or begin the value above on a line of its own",
    )
}

/// The nearest line above that is neither empty nor a comment, within reason.
fn line_above(mark: &Mark) -> Option<(u32, &str)> {
    const LINES_SEARCHED_MAX: u32 = 50;
    let first = mark.line.saturating_sub(LINES_SEARCHED_MAX).max(1);
    let lines = (first..mark.line).rev().map(|line| (line, mark.source.line(line).trim_end()));
    lines.into_iter().find(|(_, text)| !text.trim().is_empty() && !text.trim_start().starts_with('#'))
}

fn unclosed(opening: Mark, bracket: char) -> Told {
    let closing = if bracket == '[' { ']' } else { '}' };
    let remedy = format!("write {closing} where it ends, or quote a text that begins with {bracket}");
    Told::new(opening, format!("the {bracket} that opens here is not closed"), remedy)
}

fn in_brackets(mark: Mark, bracket: Option<(&Mark, char)>) -> Told {
    let at_end = mark.rest().trim_start().is_empty();
    match bracket {
        Some((opening, bracket)) if at_end || opening.line != mark.line => unclosed(opening.clone(), bracket),
        _ if mark.rest().starts_with(':') => second_colon(mark),
        _ => Told::new(
            mark,
            "a comma or closing bracket is missing before this",
            "separate with commas; quote a text with brackets, quotes or colons in it",
        ),
    }
}

fn in_brackets_value(mark: Mark, bracket: Option<(&Mark, char)>) -> Told {
    let remedy = "write a value, or quote the text";
    let found = mark.rest().chars().next();
    match (found, bracket) {
        (None, Some((opening, bracket))) => unclosed(opening.clone(), bracket),
        (Some(found), _) => Told::new(mark, format!("a value is missing before {}", shown(&found.to_string())), remedy),
        (None, None) => Told::new(mark, "a value is missing at the end of the file", remedy),
    }
}

/// A sign that YAML keeps for itself at the beginning of a text.
fn sign(mark: Mark) -> Told {
    let sign = mark.rest().chars().next().unwrap_or(' ');
    Told::new(mark, format!("a text can't begin with {sign}"), "quote the value")
}

fn alias(reason: &str, mark: Mark) -> Told {
    let text = mark.rest();
    if reason.contains("unknown anchor") {
        let end =
            text.find(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}')).unwrap_or(text.len());
        let name = text.get(..end).unwrap_or(text);
        let what = format!("the alias {} has no anchor before it", shown(name));
        return Told::new(
            mark,
            what,
            "quote a text that begins with *, or write an anchor such as &name before the value meant",
        );
    }
    let sign = text.chars().next().filter(|c| matches!(c, '*' | '&'));
    let what = sign
        .map_or_else(|| "an anchor at the wrong place".to_owned(), |sign| format!("a text can't begin with {sign}"));
    Told::new(mark, what, "quote the value")
}

/// A line that should be a key and has no colon; the parser notices it only at the next one.
fn without_colon(mark: Mark, bracket: Option<(&Mark, char)>) -> Told {
    if let Some((opening, bracket)) = bracket {
        return unclosed(opening.clone(), bracket);
    }
    let (line, text) = match line_above(&mark) {
        Some((line, text)) if !text.contains(": ") && !text.ends_with(':') => (line, text),
        _ => (mark.line, mark.source.line(mark.line)),
    };
    Told::new(at_byte(&mark, line, text.len() - text.trim_start().len()), WITHOUT_COLON, WITHOUT_COLON_REMEDY)
}

/// Whether a bracket that is no part of a text was closed right before a mark.
fn follows_bracket(mark: &Mark) -> bool {
    before(mark).trim_end().ends_with([']', '}'])
}

fn misaligned(mark: Mark) -> Told {
    let text = mark.rest();
    let line = line_of(&mark);
    let first = at_byte(&mark, mark.line, line.len() - line.trim_start().len());
    if line.trim_start().starts_with("- ") || line.trim() == "-" {
        return Told::new(
            first,
            "a list item where a key is expected",
            "align it with the other items of its list, or put the key of the list above it",
        );
    }
    if text.starts_with(['&', '!']) {
        return Told::new(mark, "a second anchor or tag before one value", "keep one of them, or quote the text");
    }
    Told::new(
        first,
        "this line is indented like none of those above it",
        "align it with the keys of the mapping that it belongs to",
    )
}

/// A `%` at the beginning of a line, which the parser notices only behind it, or text behind the only document.
fn directive(mark: Mark) -> Told {
    match line_above(&mark) {
        Some((line, text)) if text.starts_with('%') => {
            let what = "a line that begins with % is a directive, and no document follows it";
            Told::new(at_byte(&mark, line, 0), what, "quote a text that begins with %")
        }
        _ => Told::new(mark, "text behind the end of what the file holds", "indent every key as the first one"),
    }
}

fn behind_quote(mark: Mark, bracket: Option<(&Mark, char)>) -> Told {
    let remedy = if bracket.is_some() {
        "put a comma between the two, or quote the whole value"
    } else if before(&mark).trim_end().ends_with('\'') {
        "quote the whole value, as in \"'one' 'two'\"; in a text in '…' write '' for a quote"
    } else {
        "quote the whole value, as in '\"one\" \"two\"'; in a text in \"…\" write \\\" for a quote"
    };
    Told::new(mark, "text behind the closing quote", remedy)
}

fn escape(mark: Mark) -> Told {
    let remedy = "write \\\\ for a backslash, or use '…' where a backslash is itself";
    let mut characters = mark.rest().char_indices().skip(1);
    while let Some((_, c)) = characters.next() {
        if c != '\\' {
            continue;
        }
        let Some((byte, escaped)) = characters.next() else { break };
        if !"0abt\tnvfre \"/\\N_LPxuU\n\r".contains(escaped) {
            let what = format!("{} is no escape", shown_escape(escaped));
            let place = place_of(&mark, byte - 1);
            return Told::new(place, what, remedy);
        }
    }
    Told::new(mark, "an escape that is not known in this text", remedy)
}

fn shown_escape(escaped: char) -> String {
    if escaped.is_control() { "a backslash before a control character".into() } else { format!("\\{escaped}") }
}

/// The place of a byte of the text behind a mark, which may be lines further.
fn place_of(mark: &Mark, byte: usize) -> Mark {
    let text = mark.rest().get(..byte).unwrap_or_default();
    let lines = u32::try_from(text.matches('\n').count()).unwrap_or(0);
    let last = text.rsplit('\n').next().map_or(0, |line| u32::try_from(line.chars().count()).unwrap_or(0));
    let column = if lines == 0 { mark.column + last } else { last + 1 };
    Mark { source: mark.source.clone(), line: mark.line + lines, column }
}
