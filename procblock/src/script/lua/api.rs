//! The functions of Rust that `prelude.lua` builds its modules from.
//!
//! None raises an error of its own: each gives `true` and its results, or `false` and a text, which the prelude
//! raises where the script called, so that a script that catches it sees an ordinary text with file and line.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mlua::{IntoLua, Lua, LuaString, MultiValue, Table, Value as LuaValue, Variadic};

use super::Control;
use super::convert::Given;
use super::take::Taker;
use crate::host::{Host, HostError};
use crate::script::{ScriptConfig, logging, pattern};
use crate::units;
use crate::value::Value;

/// Everything the prelude needs, in one table.
pub(super) fn natives(
    lua: &Lua,
    control: &Arc<Control>,
    host: &Arc<dyn Host>,
    config: &ScriptConfig,
) -> mlua::Result<(Table, Table)> {
    let array = lua.create_table()?;
    array.raw_set("__metatable", "json.array")?;
    let natives = lua.create_table()?;
    natives.raw_set("array", &array)?;
    natives.raw_set("null", LuaValue::NULL)?;
    natives.raw_set("pending", Lua::poll_pending())?;
    natives.raw_set("functions", config.functions.clone())?;
    natives.raw_set(
        "split",
        lua.create_function(|_, name: String| {
            let (module, short) = name.split_once('.').unwrap_or(("", &name));
            Ok((module.to_owned(), short.to_owned()))
        })?,
    )?;
    let limit = Arc::clone(control);
    natives.raw_set("memory_max", lua.create_function(move |_, ()| Ok(limit.memory_max()))?)?;
    let going = Arc::clone(control);
    natives.raw_set("may_go_on", lua.create_function(move |_, ()| Ok(going.may_go_on()))?)?;
    let working = Arc::clone(control);
    natives.raw_set("may_work_on", lua.create_function(move |_, bytes: usize| Ok(working.may_work_on(bytes)))?)?;
    pattern::install(lua, &natives, control)?;
    json(lua, &natives, &array, control)?;
    time(lua, &natives)?;
    log(lua, &natives, control)?;
    outside(lua, &natives, &array, (control, host))?;
    Ok((natives, array))
}

fn answer(lua: &Lua, result: Result<impl IntoLua, String>) -> mlua::Result<MultiValue> {
    let (ok, value) = match result {
        Ok(value) => (true, value.into_lua(lua)?),
        Err(text) => (false, text.into_lua(lua)?),
    };
    Ok([LuaValue::Boolean(ok), value].into_iter().collect())
}

fn json(lua: &Lua, natives: &Table, array: &Table, control: &Arc<Control>) -> mlua::Result<()> {
    let (marks, limits) = (array.clone(), Arc::clone(control));
    let encode = lua.create_function(move |lua, (value, indent): (LuaValue, Option<bool>)| {
        let taken = Taker::new(lua, &marks, &limits).take(&value).map_err(|fault| fault.text("json.encode: value"));
        let text = taken.and_then(|value| {
            let text =
                if indent == Some(true) { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            text.map_err(|error| format!("json.encode: {error}"))
        });
        answer(lua, text)
    })?;
    natives.raw_set("encode", encode)?;
    let (marks, limits) = (array.clone(), Arc::clone(control));
    let decode = lua.create_function(move |lua, text: LuaString| match decoded(&text.as_bytes(), &limits) {
        Ok(value) => answer(lua, Ok(Given { value: &value, array: &marks })),
        Err(text) => answer(lua, Err::<LuaValue, _>(format!("json.decode: {text}"))),
    })?;
    natives.raw_set("decode", decode)
}

/// The value of a text. It takes up to sixteen times as much memory as the text, which the state's limit does not see.
fn decoded(text: &[u8], control: &Control) -> Result<Value, String> {
    if text.len() > control.memory_max() / 4 {
        let size = text.len();
        return Err(format!(
            "the text has {size} bytes, more than a quarter of the script's memory limit; raise \"limits: {{memory}}\""
        ));
    }
    if !control.may_work_on(text.len()) {
        return Err("the call was ended".into());
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// Seconds since 1970, to the microsecond and better.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn time(lua: &Lua, natives: &Table) -> mlua::Result<()> {
    natives.raw_set("now", lua.create_function(|_, ()| Ok(now()))?)?;
    let base = std::time::Instant::now();
    natives.raw_set("monotonic", lua.create_function(move |_, ()| Ok(base.elapsed().as_secs_f64()))?)?;
    let sleep = lua.create_async_function(async |lua: Lua, value: LuaValue| match duration(&value) {
        Ok(duration) => {
            tokio::time::sleep(duration).await;
            answer(&lua, Ok(LuaValue::Nil))
        }
        Err(text) => answer(&lua, Err::<LuaValue, _>(text)),
    })?;
    natives.raw_set("sleep", sleep)
}

fn duration(value: &LuaValue) -> Result<Duration, String> {
    let text = match value {
        LuaValue::Integer(seconds) => seconds.to_string(),
        LuaValue::Number(seconds) => format!("{seconds:.9}"),
        LuaValue::String(text) => text.to_string_lossy(),
        other => format!("a {}", other.type_name()),
    };
    units::parse_duration(&text).ok_or_else(|| format!("time.sleep: expected {}, got {text}", units::DURATION_FORMS))
}

fn log(lua: &Lua, natives: &Table, control: &Arc<Control>) -> mlua::Result<()> {
    let control = Arc::clone(control);
    let write = lua.create_function(move |lua, (level, text): (String, LuaString)| {
        let line = lua.inspect_stack(2, |debug| debug.current_line()).flatten();
        let script = control.with_context(|context| context.caller.script.clone());
        logging::write(&level, &script, line, &text.to_string_lossy());
        Ok(())
    })?;
    natives.raw_set("log", write)
}

fn outside(
    lua: &Lua,
    natives: &Table,
    array: &Table,
    (control, host): (&Arc<Control>, &Arc<dyn Host>),
) -> mlua::Result<()> {
    let (now_control, now_host, now_array) = (Arc::clone(control), Arc::clone(host), array.clone());
    let call_now = lua.create_function(move |lua, (name, arguments): (String, Variadic<LuaValue>)| {
        let arguments = match prepare(lua, (&name, &arguments), &now_array, &now_control) {
            Ok(arguments) => arguments,
            Err(text) => return Ok((Some(false), text.into_lua(lua)?)),
        };
        let called = now_control.with_context(|context| now_host.call_now(&context.caller, &name, &arguments));
        called.map_or(Ok((None, LuaValue::Nil)), |called| answered(lua, &now_array, called))
    })?;
    natives.raw_set("host_now", call_now)?;
    let (control, host, array) = (Arc::clone(control), Arc::clone(host), array.clone());
    let call = lua.create_async_function(move |lua: Lua, (name, arguments): (String, Variadic<LuaValue>)| {
        let (control, host, array) = (Arc::clone(&control), Arc::clone(&host), array.clone());
        async move {
            let prepared = prepare(&lua, (&name, &arguments), &array, &control);
            drop(arguments);
            let arguments = match prepared {
                Ok(arguments) => arguments,
                Err(text) => return Ok((Some(false), text.into_lua(&lua)?)),
            };
            let caller = control.context().caller;
            answered(&lua, &array, host.call(&caller, &name, arguments).await)
        }
    })?;
    natives.raw_set("host", call)
}

/// What a function of the host gave.
fn answered(lua: &Lua, array: &Table, called: Result<Value, HostError>) -> mlua::Result<(Option<bool>, LuaValue)> {
    Ok(match called {
        // Null is `nil` here: `if unidist.sharedstate.get(…) then` must see a missing value as false.
        Ok(Value::Null) => (Some(true), LuaValue::Nil),
        Ok(value) => (Some(true), Given { value: &value, array }.into_lua(lua)?),
        Err(error) => (Some(false), error.text.into_lua(lua)?),
    })
}

fn prepare(
    lua: &Lua,
    (name, arguments): (&str, &[LuaValue]),
    array: &Table,
    control: &Control,
) -> Result<Vec<Value>, String> {
    if !control.may_go_on() {
        return Err("the call was ended".into());
    }
    control.with_context(|context| context.allow.check(name))?;
    arguments
        .iter()
        .zip(1..)
        .map(|(value, position)| {
            Taker::new(lua, array, control)
                .take(value)
                .map_err(|fault| fault.text(&format!("{name}: argument {position}")))
        })
        .collect()
}
