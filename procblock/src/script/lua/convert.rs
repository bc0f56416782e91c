//! Values into Lua and back, by hand: this is most of what a small step costs.
//!
//! Integers stay integers, floats floats. A list carries the metatable of `json.array{}`, so that an empty one comes
//! back as a list; null is `json.null`. Keys of a mapping come back in alphabetical order, since a Lua table has none.

use mlua::{IntoLua, Lua, Table, Value as LuaValue};

use super::Control;
use crate::value::{Map, Value};

/// Levels of nesting that may leave a script.
const DEPTH_MAX: usize = 64;

/// What one value of a result counts for in the limit of its size, beside its text.
const NODE_BYTES: usize = 64;

/// Values between two questions whether the call's time is over.
const NODES_BETWEEN: usize = 4096;

/// A value on its way into Lua.
pub(in crate::script) struct Given<'a> {
    pub(in crate::script) value: &'a Value,
    /// The metatable that marks lists.
    pub(in crate::script) array: &'a Table,
}

/// A mapping on its way into Lua.
pub(in crate::script) struct GivenMap<'a> {
    pub(in crate::script) map: &'a Map,
    /// The metatable that marks lists.
    pub(in crate::script) array: &'a Table,
}

impl IntoLua for Given<'_> {
    fn into_lua(self, lua: &Lua) -> mlua::Result<LuaValue> {
        Ok(match self.value {
            Value::Null => LuaValue::NULL,
            Value::Bool(value) => LuaValue::Boolean(*value),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => LuaValue::Integer(integer),
                (None, float) => LuaValue::Number(float.unwrap_or(f64::NAN)),
            },
            Value::String(text) => LuaValue::String(lua.create_string(text)?),
            Value::Array(items) => {
                let array = self.array;
                let table = lua.create_sequence_from(items.iter().map(|value| Given { value, array }))?;
                table.set_metatable(Some(array.clone()))?;
                LuaValue::Table(table)
            }
            Value::Object(map) => return GivenMap { map, array: self.array }.into_lua(lua),
        })
    }
}

impl IntoLua for GivenMap<'_> {
    fn into_lua(self, lua: &Lua) -> mlua::Result<LuaValue> {
        let array = self.array;
        let pairs = self.map.iter().map(|(key, value)| (key.as_str(), Given { value, array }));
        Ok(LuaValue::Table(lua.create_table_from(pairs)?))
    }
}

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
    array: &'a Table,
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
    fn text(self) -> String {
        match self {
            Key::Index(index) => index.to_string(),
            Key::Text(text) => text,
        }
    }
}

impl<'a> Taker<'a> {
    /// `array` is the metatable that marks lists. What is taken out may count as much as the state may hold.
    pub(in crate::script) fn new(array: &'a Table, control: &'a Control) -> Self {
        Taker { array, control, bytes_left: control.memory_max(), until_question: NODES_BETWEEN }
    }

    /// The plain value.
    pub(in crate::script) fn take(&mut self, value: &LuaValue) -> Result<Value, Fault> {
        self.value(value, 0)
    }

    fn value(&mut self, value: &LuaValue, depth: usize) -> Result<Value, Fault> {
        self.count(NODE_BYTES)?;
        Ok(match value {
            LuaValue::Nil => Value::Null,
            LuaValue::Boolean(value) => Value::Bool(*value),
            LuaValue::Integer(value) => Value::from(*value),
            LuaValue::Number(value) => Value::Number(serde_json::Number::from_f64(*value).ok_or_else(|| {
                Fault::new(format!("{value} is not a number that can be passed on; use json.null for an unknown one"))
            })?),
            LuaValue::String(text) => Value::String(self.text(text)?),
            LuaValue::Table(table) => return self.table(table, depth),
            LuaValue::LightUserData(pointer) if pointer.0.is_null() => Value::Null,
            other => {
                let kind = other.type_name();
                return Err(Fault::new(format!(
                    "a {kind} cannot be passed on; expected a text, number, boolean or table"
                )));
            }
        })
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

    fn text(&mut self, text: &mlua::LuaString) -> Result<String, Fault> {
        let bytes = text.as_bytes();
        self.count(bytes.len())?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(Fault::new(format!(
                "the text is not UTF-8 (byte {}); encode binary data as text first",
                error.valid_up_to() + 1
            ))),
        }
    }

    fn key(&mut self, key: &LuaValue) -> Result<Key, Fault> {
        match key {
            LuaValue::Integer(index) => Ok(Key::Index(*index)),
            LuaValue::String(text) => Ok(Key::Text(self.text(text).map_err(|fault| fault.under("(key)"))?)),
            LuaValue::Number(number) => Ok(Key::Text(number.to_string())),
            other => Err(Fault::new(format!("a {} cannot be a key; expected a text or a number", other.type_name()))),
        }
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<Value, Fault> {
        if depth >= DEPTH_MAX {
            return Err(Fault::new(format!("nested deeper than {DEPTH_MAX} levels; does a table contain itself?")));
        }
        let mut list = Vec::new();
        let mut rest: Vec<(Key, Value)> = Vec::new();
        let mut fault = None;
        let walked = table.for_each(|key: LuaValue, value: LuaValue| {
            let taken = self.entry(&key, &value, depth).map(|(key, value)| match key {
                Key::Index(index) if rest.is_empty() && usize::try_from(index) == Ok(list.len() + 1) => {
                    list.push(value)
                }
                key => rest.push((key, value)),
            });
            taken.map_err(|found| {
                fault = Some(found);
                mlua::Error::runtime("")
            })
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        walked.map_err(|error| Fault::new(error.to_string()))?;
        let is_marked = table.has_metatable() && table.metatable().as_ref() == Some(self.array);
        if rest.is_empty() && (is_marked || !list.is_empty()) {
            return Ok(Value::Array(list));
        }
        collect(list, rest, is_marked)
    }

    fn entry(&mut self, key: &LuaValue, value: &LuaValue, depth: usize) -> Result<(Key, Value), Fault> {
        let key = self.key(key)?;
        match self.value(value, depth + 1) {
            Ok(value) => Ok((key, value)),
            Err(fault) => Err(match key {
                Key::Index(index) => fault.under(format!("[{index}]")),
                Key::Text(text) => fault.under(text),
            }),
        }
    }
}

/// A list, when the keys are 1 to n in some order, else a mapping in the order of its keys.
fn collect(list: Vec<Value>, mut rest: Vec<(Key, Value)>, is_marked: bool) -> Result<Value, Fault> {
    let mut pairs: Vec<(Key, Value)> =
        list.into_iter().zip(1..).map(|(value, index)| (Key::Index(index), value)).collect();
    pairs.append(&mut rest);
    let is_list = pairs.iter().all(|(key, _)| matches!(key, Key::Index(_)));
    if is_list && !pairs.is_empty() {
        let index = |key: &Key| if let Key::Index(index) = key { *index } else { 0 };
        pairs.sort_by_key(|(key, _)| index(key));
        if pairs.iter().zip(1_i64..).all(|((key, _), wanted)| index(key) == wanted) {
            return Ok(Value::Array(pairs.into_iter().map(|(_, value)| value).collect()));
        }
    }
    if is_marked {
        return Err(Fault::new("a list has keys other than 1 to n; use json.null for an empty place"));
    }
    let mut pairs: Vec<(String, Value)> = pairs.into_iter().map(|(key, value)| (key.text(), value)).collect();
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut map = Map::with_capacity(pairs.len());
    for (key, value) in pairs {
        if map.contains_key(&key) {
            return Err(Fault::new(format!("the key {key} stands there twice, as a number and as a text")));
        }
        map.insert(key, value);
    }
    Ok(Value::Object(map))
}
