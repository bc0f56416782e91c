//! `string.find`, `match`, `gmatch` and `gsub` with a bound on their work.
//!
//! Stock Lua matches in C, where no hook can end it: `("a"):rep(30)` against `a?a?…a?aa…a` runs for ever. The same
//! patterns (Lua 5.4 manual, 6.4.1) are matched here, step by step, asking on the way whether the call's time is over.
//! The functions give `true` and their results, or `false` and a text that `prelude.lua` raises in the script's place.

mod compile;
mod matcher;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use mlua::{IntoLua, Lua, LuaString, MultiValue, Table, Value as LuaValue};
use parking_lot::Mutex;

use compile::Pattern;
use matcher::{Budget, Capture, Matcher, Refused};

use crate::script::lua::Control;

/// Steps of one call, beside [`STEPS_PER_BYTE`] for each byte of the text: about half a second.
const STEPS_MAX: u64 = 50_000_000;

/// Steps allowed for each byte of the text.
const STEPS_PER_BYTE: u64 = 100;

/// Compiled patterns kept by one state.
const PATTERNS_MAX: usize = 256;

/// Where a search begins and what it may do.
struct Search {
    from: usize,
    last_end: Option<usize>,
    /// Whether a leading `^` binds the match to its beginning.
    may_anchor: bool,
}

impl Search {
    fn at(from: usize) -> Search {
        Search { from, last_end: None, may_anchor: true }
    }
}

/// Compiled patterns of one state; a full cache is emptied.
#[derive(Default)]
struct Cache {
    anchored: Mutex<HashMap<Vec<u8>, Arc<Pattern>>>,
    free: Mutex<HashMap<Vec<u8>, Arc<Pattern>>>,
}

impl Cache {
    fn get(&self, text: &[u8], may_anchor: bool) -> Result<Arc<Pattern>, String> {
        let mut known = if may_anchor { self.anchored.lock() } else { self.free.lock() };
        if let Some(pattern) = known.get(text) {
            return Ok(Arc::clone(pattern));
        }
        let pattern = Arc::new(Pattern::parse(text, may_anchor)?);
        if known.len() >= PATTERNS_MAX {
            known.clear();
        }
        known.insert(text.to_vec(), Arc::clone(&pattern));
        Ok(pattern)
    }
}

/// What one state's pattern functions share.
struct Engine {
    cache: Cache,
    control: Arc<Control>,
}

/// Puts `find`, `match`, `next_match` and `substitute` into `natives`.
pub(super) fn install(lua: &Lua, natives: &Table, control: &Arc<Control>) -> mlua::Result<()> {
    let engine = Arc::new(Engine { cache: Cache::default(), control: Arc::clone(control) });
    let find = Arc::clone(&engine);
    natives.raw_set(
        "find",
        lua.create_function(move |lua, (text, pattern, from, plain): (LuaString, LuaString, Option<i64>, bool)| {
            raised(lua, find.find(lua, &text, &pattern, (from.unwrap_or(1), plain)))
        })?,
    )?;
    let first = Arc::clone(&engine);
    natives.raw_set(
        "match",
        lua.create_function(move |lua, (text, pattern, from): (LuaString, LuaString, Option<i64>)| {
            raised(lua, first.first(lua, &text, &pattern, from.unwrap_or(1)))
        })?,
    )?;
    let next = Arc::clone(&engine);
    natives.raw_set(
        "next_match",
        lua.create_function(
            move |lua, (text, pattern, from, last_end, may_anchor): (LuaString, LuaString, i64, i64, bool)| {
                let search = Search {
                    from: usize::try_from(from - 1).unwrap_or(0),
                    last_end: usize::try_from(last_end).ok(),
                    may_anchor,
                };
                raised(lua, next.next_match(lua, &text, &pattern, &search))
            },
        )?,
    )?;
    natives.raw_set(
        "substitute",
        lua.create_function(move |lua, (text, pattern, with, most): (LuaString, LuaString, LuaValue, Option<i64>)| {
            raised(lua, engine.substitute(lua, &text, &pattern, (&with, most.unwrap_or(i64::MAX))))
        })?,
    )
}

/// `true` and the results, or `false` and the text to raise.
fn raised(lua: &Lua, result: Result<MultiValue, Problem>) -> mlua::Result<MultiValue> {
    match result {
        Ok(mut values) => {
            values.push_front(LuaValue::Boolean(true));
            Ok(values)
        }
        Err(Problem::Text(text)) => (false, text).into_lua_multi_value(lua),
        Err(Problem::Lua(error)) => Err(error),
    }
}

trait IntoMulti {
    fn into_lua_multi_value(self, lua: &Lua) -> mlua::Result<MultiValue>;
}

impl IntoMulti for (bool, String) {
    fn into_lua_multi_value(self, lua: &Lua) -> mlua::Result<MultiValue> {
        Ok([LuaValue::Boolean(self.0), self.1.into_lua(lua)?].into_iter().collect())
    }
}

enum Problem {
    Text(String),
    Lua(mlua::Error),
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Problem::Text(text)
    }
}

impl From<mlua::Error> for Problem {
    fn from(error: mlua::Error) -> Self {
        Problem::Lua(error)
    }
}

fn refusal(refused: &Refused) -> Problem {
    Problem::Text(match refused {
        Refused::TooComplex => "pattern too complex".into(),
        Refused::TooLong => "pattern takes too many steps on this text; make it more exact or the text shorter".into(),
        Refused::Ended => "the call was ended while matching a pattern".into(),
    })
}

/// The place (from 0) that a Lua position stands for; negative ones count from the end.
fn place(from: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from = if from > 0 { from - 1 } else { (length + from).max(0) * i64::from(from != 0) };
    usize::try_from(from).ok().filter(|_| from <= length)
}

fn position(index: usize) -> LuaValue {
    LuaValue::Integer(i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1))
}

impl Engine {
    fn steps(text: &[u8]) -> u64 {
        STEPS_MAX.saturating_add(STEPS_PER_BYTE.saturating_mul(u64::try_from(text.len()).unwrap_or(u64::MAX)))
    }

    /// Searches and hands the matcher of a match on.
    fn search<R>(
        &self,
        text: &[u8],
        pattern: &Pattern,
        search: &Search,
        found: impl FnOnce(Option<(usize, usize)>, &[Capture]) -> Result<R, Problem>,
    ) -> Result<R, Problem> {
        let may_go_on = || self.control.may_go_on();
        let mut budget = Budget::new(Self::steps(text), &may_go_on);
        let mut matcher = Matcher::new(pattern, text, &mut budget);
        let span = matcher.search(search.from, search.last_end).map_err(|refused| refusal(&refused))?;
        found(span, matcher.captures())
    }

    fn find(
        &self,
        lua: &Lua,
        text: &LuaString,
        pattern: &LuaString,
        (from, plain): (i64, bool),
    ) -> Result<MultiValue, Problem> {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let Some(from) = place(from, text.len()) else { return Ok(nothing()) };
        if plain {
            let found = self.plain(&text, &pattern, from)?;
            return Ok(found.map_or_else(nothing, |start| span(start, start + pattern.len())));
        }
        let pattern = self.cache.get(&pattern, true)?;
        self.search(&text, &pattern, &Search::at(from), |found, captures| {
            let Some((start, end)) = found else { return Ok(nothing()) };
            let mut values = span(start, end);
            for capture in captures {
                values.push_back(captured(lua, &text, *capture)?);
            }
            Ok(values)
        })
    }

    fn plain(&self, text: &[u8], wanted: &[u8], from: usize) -> Result<Option<usize>, Problem> {
        let Some(first) = wanted.first() else { return Ok(Some(from)) };
        let may_go_on = || self.control.may_go_on();
        let mut budget = Budget::new(Self::steps(text), &may_go_on);
        let mut at = from;
        while let Some(rest) = text.get(at..) {
            let Some(offset) = rest.iter().position(|byte| byte == first) else { return Ok(None) };
            let here = rest.get(offset..).unwrap_or_default();
            let equal = here.iter().zip(wanted).take_while(|(a, b)| a == b).count();
            if equal == wanted.len() {
                return Ok(Some(at + offset));
            }
            for _ in 0..=equal / 16 {
                budget.step().map_err(|refused| refusal(&refused))?;
            }
            at += offset + 1;
        }
        Ok(None)
    }

    fn first(&self, lua: &Lua, text: &LuaString, pattern: &LuaString, from: i64) -> Result<MultiValue, Problem> {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let Some(from) = place(from, text.len()) else { return Ok(nothing()) };
        let pattern = self.cache.get(&pattern, true)?;
        self.search(&text, &pattern, &Search::at(from), |found, captures| {
            let Some(found) = found else { return Ok(nothing()) };
            Ok(whole_or_captures(lua, &text, found, captures)?.into_iter().collect())
        })
    }

    /// Start, end and captures (the whole match when there are none) of the next match, else nothing.
    fn next_match(
        &self,
        lua: &Lua,
        text: &LuaString,
        pattern: &LuaString,
        search: &Search,
    ) -> Result<MultiValue, Problem> {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let pattern = self.cache.get(&pattern, search.may_anchor)?;
        self.search(&text, &pattern, search, |found, captures| {
            let Some(found) = found else { return Ok(nothing()) };
            let mut values = span(found.0, found.1);
            values.extend(whole_or_captures(lua, &text, found, captures)?);
            Ok(values)
        })
    }

    /// `gsub` with a text or a table.
    fn substitute(
        &self,
        lua: &Lua,
        text: &LuaString,
        pattern: &LuaString,
        (with, most): (&LuaValue, i64),
    ) -> Result<MultiValue, Problem> {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let pattern = self.cache.get(&pattern, true)?;
        let may_go_on = || self.control.may_go_on();
        let mut budget = Budget::new(Self::steps(&text), &may_go_on);
        let mut out = Vec::with_capacity(text.len());
        let (mut count, mut from, mut last_end) = (0_i64, 0, None);
        while count < most {
            let mut matcher = Matcher::new(&pattern, &text, &mut budget);
            let found = matcher.search(from, last_end).map_err(|refused| refusal(&refused))?;
            let Some((start, end)) = found else { break };
            out.extend_from_slice(text.get(from..start).unwrap_or_default());
            replace(lua, &text, (start, end, matcher.captures()), with, &mut out)?;
            if out.len() > self.control.memory_max() {
                return Err(Problem::Lua(mlua::Error::MemoryError("not enough memory".into())));
            }
            count += 1;
            from = end;
            last_end = Some(end);
            if pattern.is_anchored {
                break;
            }
        }
        out.extend_from_slice(text.get(from..).unwrap_or_default());
        Ok([LuaValue::String(lua.create_string(&out)?), LuaValue::Integer(count)].into_iter().collect())
    }
}

fn nothing() -> MultiValue {
    [LuaValue::Nil].into_iter().collect()
}

fn span(start: usize, end: usize) -> MultiValue {
    let last = LuaValue::Integer(i64::try_from(end).unwrap_or(i64::MAX));
    [position(start), last].into_iter().collect()
}

fn captured(lua: &Lua, text: &[u8], capture: Capture) -> Result<LuaValue, Problem> {
    match capture {
        Capture::Span(start, end) => Ok(LuaValue::String(lua.create_string(text.get(start..end).unwrap_or_default())?)),
        Capture::Position(at) => Ok(position(at)),
        Capture::Open(_) => Err(Problem::Text("unfinished capture".into())),
    }
}

fn whole_or_captures(
    lua: &Lua,
    text: &[u8],
    (start, end): (usize, usize),
    captures: &[Capture],
) -> Result<Vec<LuaValue>, Problem> {
    if captures.is_empty() {
        return Ok(vec![captured(lua, text, Capture::Span(start, end))?]);
    }
    captures.iter().map(|capture| captured(lua, text, *capture)).collect()
}

/// Adds what stands in the place of one match.
fn replace(
    lua: &Lua,
    text: &[u8],
    (start, end, captures): (usize, usize, &[Capture]),
    with: &LuaValue,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let whole = Capture::Span(start, end);
    match with {
        LuaValue::Table(table) => {
            let key = captured(lua, text, captures.first().copied().unwrap_or(whole))?;
            match table.get::<LuaValue>(key)? {
                LuaValue::Nil | LuaValue::Boolean(false) => {
                    out.extend_from_slice(text.get(start..end).unwrap_or_default());
                    Ok(())
                }
                value => add_text(lua, &value, out),
            }
        }
        LuaValue::String(template) => fill(text, (whole, captures), &template.as_bytes(), out),
        other => add_text(lua, other, out),
    }
}

fn add_text(lua: &Lua, value: &LuaValue, out: &mut Vec<u8>) -> Result<(), Problem> {
    if !matches!(value, LuaValue::String(_) | LuaValue::Integer(_) | LuaValue::Number(_)) {
        return Err(Problem::Text(format!("invalid replacement value (a {})", value.type_name())));
    }
    if let Some(text) = lua.coerce_string(value.clone())? {
        out.extend_from_slice(&text.as_bytes());
    }
    Ok(())
}

/// Fills `%0` to `%9` and `%%` of a replacement text.
fn fill(
    text: &[u8],
    (whole, captures): (Capture, &[Capture]),
    template: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let mut bytes = template.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let capture = match bytes.next() {
            Some(b'%') => {
                out.push(b'%');
                continue;
            }
            Some(b'0') => whole,
            Some(b'1') if captures.is_empty() => whole,
            Some(digit @ b'1'..=b'9') => *captures
                .get(usize::from(digit - b'1'))
                .ok_or_else(|| format!("invalid capture index %{} in replacement string", digit - b'0'))?,
            _ => return Err(Problem::Text("invalid use of '%' in replacement string".into())),
        };
        match capture {
            Capture::Span(start, end) => out.extend_from_slice(text.get(start..end).unwrap_or_default()),
            Capture::Position(at) => out.extend_from_slice((at + 1).to_string().as_bytes()),
            Capture::Open(_) => return Err(Problem::Text("unfinished capture".into())),
        }
    }
    Ok(())
}
