//! Tags before a value: `!!int`, `!!python/object`, `!mine`.

use saphyr_parser::Tag;

use crate::load::scalar::Forced;

const STANDARD: &str = "tag:yaml.org,2002:";

/// A tag as the user wrote it, and what it asks for.
pub(crate) struct Read {
    pub(crate) written: String,
    pub(crate) meaning: Meaning,
}

/// What a tag asks for. Nothing is ever built or run because of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Scalar(Forced),
    Mapping,
    List,
    /// Any other, a lone `!` too: in `shell: ! test -f x` YAML would drop it, and the command with it its meaning.
    Unknown,
}

/// Tells what a tag asks for.
pub(crate) fn read(tag: &Tag) -> Read {
    let name = format!("{}{}", tag.handle, tag.suffix);
    let standard = name.strip_prefix(STANDARD);
    let meaning = match standard {
        Some("str") => Meaning::Scalar(Forced::Text),
        Some("int") => Meaning::Scalar(Forced::Integer),
        Some("float") => Meaning::Scalar(Forced::Float),
        Some("bool") => Meaning::Scalar(Forced::Boolean),
        Some("null") => Meaning::Scalar(Forced::Null),
        Some("map") => Meaning::Mapping,
        Some("seq") => Meaning::List,
        _ => Meaning::Unknown,
    };
    let written = match standard {
        Some(standard) => format!("!!{standard}"),
        None if name.starts_with('!') => name,
        None => format!("!<{name}>"),
    };
    Read { written, meaning }
}
