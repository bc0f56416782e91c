//! Which `${…}` of a shell line are ours, and how the shell's own treat what stands in them.

/// Whose a `${` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// An expression, or one with a default.
    Ours,
    /// A parameter expansion of the shell.
    Shell,
    /// `${n+1}` and `${n-1}`: arithmetic to us, a default to the shell.
    Either,
}

/// How the shell reads the word of its own `${name…word}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// `${x%word}`, `${x#word}`, `${x/word}`, `${x^word}`: quoting in it starts anew.
    Pattern,
    /// `${x:+word}` and its like: quoted as the whole is.
    Value,
    /// `${x:word}`, `${x[word]}`: computed with.
    Arithmetic,
}

/// Decides by what follows the `${`.
pub(super) fn owner(rest: &str) -> Owner {
    let mut characters = rest.chars();
    let first = characters.next();
    let second = characters.next();
    match first {
        Some('#' | '?' | '@' | '*' | '$' | '!') => return Owner::Shell,
        Some('-') if second == Some('}') => return Owner::Shell,
        Some(digit) if digit.is_ascii_digit() => {
            let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let is_ours = behind.starts_with(|c: char| c.is_whitespace() || matches!(c, '.' | '*' | '<' | '>' | '!'))
                || behind.starts_with("==");
            return if is_ours { Owner::Ours } else { Owner::Shell };
        }
        _ => {}
    }
    let name = name_length(rest);
    if name == 0 {
        return Owner::Ours;
    }
    let behind = rest.get(name..).unwrap_or_default();
    match behind.chars().next() {
        Some('%' | '#' | '/' | '^' | ',' | '@' | '?') => Owner::Shell,
        Some(':') if !behind.starts_with(":-") => Owner::Shell,
        Some('=') if !behind.starts_with("==") => Owner::Shell,
        Some('+' | '-') => Owner::Either,
        _ => Owner::Ours,
    }
}

/// How the word of the shell's own `${` is read, by what follows the `${`.
pub(super) fn word(rest: &str) -> Word {
    let unprefixed = match rest.strip_prefix(['!', '#']) {
        Some(behind) if !behind.starts_with(['}', '%', '#', ':', '-', '+', '=', '?']) => behind,
        _ => rest,
    };
    let special = usize::from(unprefixed.starts_with(['#', '?', '@', '*', '$', '!', '-']));
    let name = unprefixed.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(unprefixed.len());
    let behind = unprefixed.get(name.max(special)..).unwrap_or_default();
    match behind.chars().next() {
        Some('%' | '#' | '/' | '^' | ',') => Word::Pattern,
        Some('[') => Word::Arithmetic,
        Some(':') if ![":-", ":+", ":=", ":?"].iter().any(|operator| behind.starts_with(operator)) => Word::Arithmetic,
        _ => Word::Value,
    }
}

/// The bytes of the shell name that a text begins with; 0 when it begins with none.
fn name_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// A beginning for generated names, so that no `_1` of the line is one of them: as many underscores as needed.
pub(super) fn name_prefix(line: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for byte in line.bytes() {
        match byte {
            b'_' => run += 1,
            digit if digit.is_ascii_digit() => longest = longest.max(std::mem::take(&mut run)),
            _ => run = 0,
        }
    }
    "_".repeat(longest + 1)
}
