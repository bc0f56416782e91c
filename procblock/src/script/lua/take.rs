//! Values out of Lua, read where they lie on its stack: a reference for each of them, as mlua gives out, takes five times
//! as long, which is most of what a page with a table of rows costs.
//!
//! Keys of a mapping come out in alphabetical order, since a Lua table has none.
#![expect(unsafe_code, reason = "Lua's stack has no safe interface; every call of its C API is in this file")]

use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mlua::{Lua, Table, Value as LuaValue, ffi};

use super::Control;
use crate::value::{Map, Value};

/// Levels of nesting that may leave a script.
const DEPTH_MAX: usize = 64;

/// What one value of a result counts for in the limit of its size, beside its text.
const NODE_BYTES: usize = 64;

/// Values between two questions whether the call's time is over.
const NODES_BETWEEN: usize = 4096;

/// Places on Lua's stack that one level of nesting takes: a key, its value, a metatable.
const PLACES: c_int = 3;

/// Why a value cannot leave Lua.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::script) struct Fault {
    /// The keys that lead to it, innermost first.
    path: Vec<String>,
    what: String,
}

impl Fault {
    fn new(what: impl Into<String>) -> Self {
        Fault { path: Vec::new(), what: what.into() }
    }

    fn under(mut self, key: impl Into<String>) -> Self {
        self.path.push(key.into());
        self
    }

    /// One sentence that names the value as `root.key[1]`.
    pub(in crate::script) fn text(&self, root: &str) -> String {
        let mut name = root.to_owned();
        // A table that contains itself leads to a path as deep as the limit: its ends tell enough.
        let skipped = self.path.len().saturating_sub(8);
        for (index, key) in self.path.iter().rev().enumerate() {
            match index {
                4 if skipped > 0 => name.push_str(".…"),
                index if skipped > 0 && (4..4 + skipped).contains(&index) => {}
                _ if key.starts_with('[') => name.push_str(key),
                _ => {
                    name.push('.');
                    name.push_str(key);
                }
            }
        }
        format!("{name}: {}", self.what)
    }
}

/// Takes values out of one state.
pub(in crate::script) struct Taker<'a> {
    lua: &'a Lua,
    /// The metatable that marks lists.
    array: *const c_void,
    control: &'a Control,
    bytes_left: usize,
    until_question: usize,
}

/// A key as it came out of a table.
enum Key {
    Index(i64),
    Text(String),
}

impl Key {
    fn name(&self) -> String {
        match self {
            Key::Index(index) => format!("[{index}]"),
            Key::Text(text) => text.clone(),
        }
    }

    fn text(self) -> String {
        match self {
            Key::Index(index) => index.to_string(),
            Key::Text(text) => text,
        }
    }
}

impl<'a> Taker<'a> {
    /// `array` is the metatable that marks lists. What is taken out may count as much as the state may hold.
    pub(in crate::script) fn new(lua: &'a Lua, array: &Table, control: &'a Control) -> Self {
        let array = array.to_pointer();
        Taker { lua, array, control, bytes_left: control.memory_max(), until_question: NODES_BETWEEN }
    }

    /// The plain value.
    ///
    /// # Errors
    /// It holds what is no data, nests too deeply, is too large, or the call was ended.
    pub(in crate::script) fn take(&mut self, value: &LuaValue) -> Result<Value, Fault> {
        let mut taken = Ok(Ok(Value::Null));
        // SAFETY: the value is the one thing on the stack of the function that is called. What it calls of Lua raises
        // no error, which would jump over its frames: no memory is asked for but by `lua_checkstack`, which says so
        // when there is none, and no code of the script runs. A panic of ours does not pass through Lua's frames.
        let done = unsafe {
            self.lua.exec_raw::<()>(value, |state| {
                taken = catch_unwind(AssertUnwindSafe(|| self.value(state, ffi::lua_gettop(state), 0)));
                ffi::lua_settop(state, 0);
            })
        };
        let taken = taken.unwrap_or_else(|panic| resume_unwind(panic));
        done.map_err(|error| Fault::new(error.to_string()))?;
        taken
    }

    /// The value at an absolute `index` of the stack, which is left as it was found unless there is a fault.
    ///
    /// # Safety
    /// There is a value at the index.
    unsafe fn value(&mut self, state: *mut ffi::lua_State, index: c_int, depth: usize) -> Result<Value, Fault> {
        self.count(NODE_BYTES)?;
        // SAFETY: the caller's; each accessor is asked for the type that the value has.
        unsafe {
            Ok(match ffi::lua_type(state, index) {
                ffi::LUA_TNIL => Value::Null,
                ffi::LUA_TBOOLEAN => Value::Bool(ffi::lua_toboolean(state, index) != 0),
                ffi::LUA_TNUMBER => number(state, index)?,
                ffi::LUA_TSTRING => Value::String(self.text(state, index)?),
                ffi::LUA_TTABLE => return self.table(state, index, depth),
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(state, index).is_null() => Value::Null,
                other => {
                    let kind = kind_name(other);
                    return Err(Fault::new(format!(
                        "a {kind} cannot be passed on; expected a text, number, boolean or table"
                    )));
                }
            })
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(|| {
            Fault::new("the value is larger than the script's memory limit; raise \"limits: {memory}\"")
        })?;
        self.until_question -= 1;
        if self.until_question == 0 {
            self.until_question = NODES_BETWEEN;
            if !self.control.may_go_on() {
                return Err(Fault::new("the call was ended while its result was read"));
            }
        }
        Ok(())
    }

    /// The text at an index.
    ///
    /// # Safety
    /// There is a string at the index. (A number there would be made one, which would disturb a walk over its table.)
    unsafe fn text(&mut self, state: *mut ffi::lua_State, index: c_int) -> Result<String, Fault> {
        let mut length = 0;
        // SAFETY: the caller's; the bytes are the string's as long as it is on the stack, and are copied before.
        let bytes = unsafe {
            let start = ffi::lua_tolstring(state, index, &raw mut length);
            std::slice::from_raw_parts(start.cast::<u8>(), length)
        };
        self.count(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(Fault::new(format!(
                "the text is not UTF-8 (byte {}); encode binary data as text first",
                error.valid_up_to() + 1
            ))),
        }
    }

    /// The key at an index.
    ///
    /// # Safety
    /// As for [`Taker::value`].
    unsafe fn key(&mut self, state: *mut ffi::lua_State, index: c_int) -> Result<Key, Fault> {
        // SAFETY: the caller's; each accessor is asked for the type that the value has.
        unsafe {
            match ffi::lua_type(state, index) {
                ffi::LUA_TSTRING => Ok(Key::Text(self.text(state, index).map_err(|fault| fault.under("(key)"))?)),
                ffi::LUA_TNUMBER if ffi::lua_isinteger(state, index) != 0 => {
                    Ok(Key::Index(ffi::lua_tointegerx(state, index, std::ptr::null_mut())))
                }
                ffi::LUA_TNUMBER => Ok(Key::Text(ffi::lua_tonumberx(state, index, std::ptr::null_mut()).to_string())),
                other => {
                    Err(Fault::new(format!("a {} cannot be a key; expected a text or a number", kind_name(other))))
                }
            }
        }
    }

    /// The table at an absolute index.
    ///
    /// # Safety
    /// There is a table at the index.
    unsafe fn table(&mut self, state: *mut ffi::lua_State, index: c_int, depth: usize) -> Result<Value, Fault> {
        if depth >= DEPTH_MAX {
            return Err(Fault::new(format!("nested deeper than {DEPTH_MAX} levels; does a table contain itself?")));
        }
        let mut entries = Entries::default();
        // SAFETY: the caller's; what is pushed has room, and what is popped was pushed. The walk's keys are the
        // table's own, which nobody changes meanwhile.
        let is_marked = unsafe {
            if ffi::lua_checkstack(state, PLACES) == 0 {
                return Err(Fault::new("no memory to read it"));
            }
            ffi::lua_pushnil(state);
            while ffi::lua_next(state, index) != 0 {
                let key = self.key(state, index + 1)?;
                match self.value(state, index + 2, depth + 1) {
                    Ok(value) => entries.add(key, value),
                    Err(fault) => return Err(fault.under(key.name())),
                }
                ffi::lua_settop(state, index + 1);
            }
            let has_metatable = ffi::lua_getmetatable(state, index) != 0;
            let is_marked = has_metatable && ffi::lua_topointer(state, index + 1) == self.array;
            ffi::lua_settop(state, index);
            is_marked
        };
        entries.collect(is_marked)
    }
}

/// The number at an index.
///
/// # Safety
/// There is a number at the index.
unsafe fn number(state: *mut ffi::lua_State, index: c_int) -> Result<Value, Fault> {
    // SAFETY: the caller's.
    let number = unsafe {
        if ffi::lua_isinteger(state, index) != 0 {
            return Ok(Value::from(ffi::lua_tointegerx(state, index, std::ptr::null_mut())));
        }
        ffi::lua_tonumberx(state, index, std::ptr::null_mut())
    };
    serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(|| {
        Fault::new(format!("{number} is not a number that can be passed on; use json.null for an unknown one"))
    })
}

/// Lua's word for what is no data.
fn kind_name(kind: c_int) -> &'static str {
    match kind {
        ffi::LUA_TBOOLEAN => "boolean",
        ffi::LUA_TTABLE => "table",
        ffi::LUA_TFUNCTION => "function",
        ffi::LUA_TTHREAD => "thread",
        ffi::LUA_TLIGHTUSERDATA => "lightuserdata",
        _ => "userdata",
    }
}

/// What a table holds: a list as long as its keys come as 1, 2, 3, …; beside it what has other keys.
#[derive(Default)]
struct Entries {
    list: Vec<Value>,
    texts: Vec<(String, Value)>,
    /// Indexes that are no list, or not in order.
    indexes: Vec<(i64, Value)>,
}

impl Entries {
    fn add(&mut self, key: Key, value: Value) {
        match key {
            Key::Text(text) => self.texts.push((text, value)),
            Key::Index(index) if self.indexes.is_empty() && usize::try_from(index) == Ok(self.list.len() + 1) => {
                self.list.push(value);
            }
            Key::Index(index) => self.indexes.push((index, value)),
        }
    }

    /// A list, when the keys are 1 to n in some order, else a mapping in the order of its keys.
    fn collect(mut self, is_marked: bool) -> Result<Value, Fault> {
        if self.texts.is_empty() {
            self.complete_list();
            if self.indexes.is_empty() && (is_marked || !self.list.is_empty()) {
                return Ok(Value::Array(self.list));
            }
        }
        if is_marked {
            return Err(Fault::new("a list has keys other than 1 to n; use json.null for an empty place"));
        }
        let mut pairs = self.texts;
        let numbers = self.list.into_iter().zip(1..).map(|(value, index)| (index, value)).chain(self.indexes);
        pairs.extend(numbers.map(|(index, value)| (Key::Index(index).text(), value)));
        pairs.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        if let Some([(key, _), _]) = pairs.array_windows().find(|[(a, _), (b, _)]| a == b) {
            return Err(Fault::new(format!("the key {key} stands there twice, as a number and as a text")));
        }
        Ok(Value::Object(Map::from_iter(pairs)))
    }

    /// Puts indexes that came in another order behind the list, if they are those that follow.
    fn complete_list(&mut self) {
        self.indexes.sort_unstable_by_key(|(index, _)| *index);
        let first = i64::try_from(self.list.len()).unwrap_or(i64::MAX).saturating_add(1);
        if self.indexes.iter().zip(first..).all(|((index, _), wanted)| *index == wanted) {
            self.list.extend(self.indexes.drain(..).map(|(_, value)| value));
        }
    }
}
