//! Values into Lua, by hand: this is much of what a small step costs. `take.rs` holds the way back.
//!
//! Integers stay integers, floats floats. A list carries the metatable of `json.array{}`, so that an empty one comes
//! back as a list; null is `json.null`.

use mlua::{IntoLua, Lua, Table, Value as LuaValue};

use crate::value::{Map, Value};

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
