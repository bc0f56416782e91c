//! Lua's errors as [`RunError`]s: the place in the user's file, the message alone, the trace without our own frames.

use crate::error::{RunError, RunErrorKind};

/// The most of a trace that is kept, in lines.
const TRACE_LINES_MAX: usize = 60;

/// The name of a chunk as it stands in messages, which Lua cuts, and in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChunkName {
    short: String,
    full: String,
}

impl ChunkName {
    /// The name of a file's or text's chunk. Lua shows at most 59 bytes of it: `...` and the end.
    pub(super) fn new(full: &str) -> ChunkName {
        const SHOWN: usize = 59;
        let bytes = full.as_bytes();
        let short = match bytes.len().checked_sub(SHOWN) {
            Some(over) if over > 0 => {
                format!("...{}", String::from_utf8_lossy(bytes.get(over + 3..).unwrap_or_default()))
            }
            _ => full.to_owned(),
        };
        ChunkName { short, full: full.to_owned() }
    }

    /// The whole name.
    pub(super) fn full(&self) -> &str {
        &self.full
    }

    /// What `Chunk::set_name` wants.
    pub(super) fn for_lua(&self) -> String {
        format!("@{}", self.full)
    }
}

/// A failure of a script whose chunks have these names, the script's own first.
pub(super) fn from_lua(error: &mlua::Error, chunks: &[ChunkName]) -> RunError {
    let (kind, text) = innermost(error);
    let (message, trace) = text.split_once("\nstack traceback:\n").unwrap_or((&text, ""));
    let trace = if trace.is_empty() { callback_trace(error) } else { trace.to_owned() };
    let (place, message) = match leading_place(message, chunks) {
        Some((place, message)) => (Some(place), message.to_owned()),
        None => (
            trace.lines().find_map(|line| leading_place(line.trim_start(), chunks)).map(|(place, _)| place),
            message.to_owned(),
        ),
    };
    let mut failure = RunError::new(kind, readable(kind, &message));
    failure.place = place.or_else(|| chunks.first().map(|chunk| chunk.full.clone()));
    failure.trace = Some(clean(&trace, chunks)).filter(|trace| !trace.is_empty());
    failure
}

fn readable(kind: RunErrorKind, message: &str) -> String {
    let message = strip_own(message);
    if kind == RunErrorKind::Limit {
        return "the script used more memory than its limit; raise \"limits: {memory}\" or keep less at a time".into();
    }
    if message.starts_with("table: 0x") {
        return "the script raised a table; raise a text: error(\"what went wrong\")".into();
    }
    if message.is_empty() { "the script failed without a message".into() } else { message.to_owned() }
}

/// The place that a text begins with, else the script as a whole.
pub(super) fn place_of(text: &str, chunks: &[ChunkName]) -> Option<String> {
    leading_place(text, chunks).map(|(place, _)| place).or_else(|| chunks.first().map(|chunk| chunk.full.clone()))
}

/// The message without the place of a line of ours.
fn strip_own(message: &str) -> &str {
    let Some(rest) = message.strip_prefix("procblock:") else { return message };
    match rest.split_once(": ") {
        Some((line, message)) if line.bytes().all(|byte| byte.is_ascii_digit()) => message,
        _ => message,
    }
}

fn innermost(error: &mlua::Error) -> (RunErrorKind, String) {
    match error {
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => innermost(cause),
        mlua::Error::MemoryError(text) => (RunErrorKind::Limit, text.clone()),
        mlua::Error::RuntimeError(text) if text.starts_with("not enough memory") => (RunErrorKind::Limit, text.clone()),
        mlua::Error::RuntimeError(text) => {
            let first = text.lines().next().unwrap_or_default();
            let kind = if first.ends_with(": not enough memory") { RunErrorKind::Limit } else { RunErrorKind::Failed };
            (kind, text.clone())
        }
        mlua::Error::SyntaxError { message, .. } => (RunErrorKind::Failed, message.clone()),
        other => (RunErrorKind::Failed, other.to_string()),
    }
}

fn callback_trace(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { traceback, .. } => {
            traceback.split_once("stack traceback:\n").map_or(traceback.clone(), |(_, trace)| trace.to_owned())
        }
        _ => String::new(),
    }
}

/// `name:line: rest` for a chunk of the script.
fn leading_place<'a>(text: &'a str, chunks: &[ChunkName]) -> Option<(String, &'a str)> {
    chunks.iter().find_map(|chunk| {
        let rest = text.strip_prefix(&chunk.short)?.strip_prefix(':')?;
        let (line, rest) = rest.split_once(':')?;
        line.parse::<u32>().ok()?;
        Some((format!("{}:{line}", chunk.full), rest.trim_start()))
    })
}

fn clean(trace: &str, chunks: &[ChunkName]) -> String {
    let is_own = |line: &str| {
        line.starts_with("procblock:")
            || line.starts_with("__mlua")
            || line.starts_with("[C]: in ?")
            || line.starts_with("(...tail calls...)")
    };
    let lines = trace.lines().map(str::trim_start).filter(|line| !line.is_empty() && !is_own(line));
    let named = lines.take(TRACE_LINES_MAX).map(|line| {
        chunks
            .iter()
            .find_map(|chunk| line.strip_prefix(&chunk.short).map(|rest| format!("{}{rest}", chunk.full)))
            .unwrap_or_else(|| line.to_owned())
    });
    named.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_lua_cuts_is_found_again() {
        let lua = mlua::Lua::new();
        for length in 1..90 {
            let name = ChunkName::new(&"d/".repeat(length));
            let error = lua.load("error('boom')").set_name(name.for_lua()).exec().unwrap_err();
            let failure = from_lua(&error, std::slice::from_ref(&name));
            assert_eq!(failure.place, Some(format!("{}:1", "d/".repeat(length))));
            assert_eq!(failure.message, "boom");
        }
    }
}
