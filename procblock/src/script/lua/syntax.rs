//! The first mistake in the syntax of a text, found without running it.

use mlua::Lua;
use mlua::chunk::ChunkMode;

use super::load::body;
use crate::script::syntax::Mistake;

/// The mistake of one text, if it has one; `first_line` is that of a text in a block file, a script file has none.
pub(in crate::script) fn mistake(lua: &Lua, text: &str, first_line: Option<u32>) -> Option<Mistake> {
    let mut content = first_line.map_or_else(|| text.to_owned(), |line| body(text, line)).into_bytes();
    if content.starts_with(b"#!") {
        content.splice(0..2, *b"--");
    }
    let chunk = lua.load(content).set_name("=script").set_mode(ChunkMode::Text);
    let error = chunk.into_function().err()?.to_string();
    let message = error.lines().next().unwrap_or_default();
    let (line, what) = message.split_once("script:").and_then(|(_, rest)| rest.split_once(": ")).unzip();
    let line = line.and_then(|line| line.parse().ok()).or(first_line).unwrap_or(1);
    Some(Mistake { line, column: 1, message: what.unwrap_or(message).to_owned() })
}
