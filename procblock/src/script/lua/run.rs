//! One Lua state and how a call runs in it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use mlua::thread::AsyncThread;
use mlua::{Function, IntoLua, IntoLuaMulti, Lua, LuaOptions, StdLib, Table, Thread, Value as LuaValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::control::{Control, Ended, Place};
use super::convert::{Given, GivenMap};
use super::failure;
use super::load::{Entry, Loaded};
use super::take::Taker;
use super::watchdog::Watchdog;
use crate::error::{RunError, RunErrorKind};
use crate::host::Host;
use crate::script::{Call, Script, ScriptConfig, ended_text, waiting};
use crate::value::{Map, Value};

const PRELUDE: &str = include_str!("prelude.lua");

/// Scripts compiled in one state; a state that has more is replaced.
const SCRIPTS_MAX: usize = 16_384;

/// How a script is known in a state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    File(PathBuf),
    /// The text's address, which its [`Loaded`] keeps from being used again.
    Text(usize, u32),
}

impl Key {
    fn of(script: &Script) -> Key {
        match script {
            Script::File(path) => Key::File(path.clone()),
            Script::Lua { text, first_line, .. } | Script::Python { text, first_line, .. } => {
                Key::Text(text.as_ptr() as usize, *first_line)
            }
        }
    }
}

impl Key {
    fn is_of(&self, script: &Script) -> bool {
        match (self, script) {
            (Key::File(known), Script::File(path)) => known.as_os_str() == path.as_os_str(),
            (Key::Text(address, line), Script::Lua { text, first_line, .. }) => {
                (*address, line) == (text.as_ptr() as usize, first_line)
            }
            _ => false,
        }
    }
}

/// A script that a state has compiled.
struct Known {
    key: Key,
    loaded: Loaded,
}

/// One state. The handles into it stand before it, since fields are dropped in order.
pub(super) struct State {
    /// The script called last, which is likely to be called next.
    recent: Option<Box<Known>>,
    scripts: HashMap<Key, Box<Known>>,
    thread: Option<Thread>,
    new_environment: Function,
    array: Table,
    control: Arc<Control>,
    memory: usize,
    is_spent: bool,
    aside: Arc<Semaphore>,
    watchdog: Arc<Watchdog>,
    lua: Lua,
}

/// What a script is called with, in the order of [`load::ARGUMENTS`].
type Arguments = (LuaValue, LuaValue, LuaValue, LuaValue, LuaValue, LuaValue, LuaValue, LuaValue);

/// A function about to run.
struct Begun {
    thread: Thread,
    running: AsyncThread<LuaValue>,
}

/// How a stretch of script time ended.
enum Stretch {
    Done(mlua::Result<LuaValue>),
    /// It must leave its place and go on elsewhere.
    Turn,
    /// It must not go on.
    Ended(Ended),
}

/// Where a call runs, and its permit to be beside the workers.
struct Turn {
    place: Place,
    permit: Option<OwnedSemaphorePermit>,
}

impl State {
    /// A fresh state: about 0.2 ms.
    pub(super) fn new(
        host: &Arc<dyn Host>,
        config: &ScriptConfig,
        (aside, watchdog): (&Arc<Semaphore>, &Arc<Watchdog>),
    ) -> mlua::Result<State> {
        let libraries = StdLib::COROUTINE | StdLib::MATH | StdLib::OS | StdLib::STRING | StdLib::TABLE | StdLib::UTF8;
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        let control = Control::new();
        let (natives, array) = super::api::natives(&lua, &control, host, config)?;
        let prelude = lua.load(PRELUDE).set_name("=procblock");
        let new_environment: Function = prelude.call(natives)?;
        control.install(&lua)?;
        Ok(State {
            recent: None,
            scripts: HashMap::new(),
            thread: None,
            new_environment,
            array,
            control,
            memory: usize::try_from(config.memory).unwrap_or(usize::MAX),
            is_spent: false,
            aside: Arc::clone(aside),
            watchdog: Arc::clone(watchdog),
            lua,
        })
    }

    pub(super) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Whether it has compiled the script.
    pub(super) fn knows(&self, script: &Script) -> bool {
        self.recent.as_ref().is_some_and(|known| known.key.is_of(script)) || self.scripts.contains_key(&Key::of(script))
    }

    /// Whether it must not be used again.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Runs a script to its end.
    pub(super) async fn call(&mut self, script: &Script, call: &Call<'_>) -> Result<Map, RunError> {
        let memory = call.limits.memory.map_or(self.memory, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        self.control.begin(memory, call);
        // Until the call is done, whatever happens to this future.
        let was_spent = std::mem::replace(&mut self.is_spent, true);
        let result = self.run(script, call).await;
        let must_go = self.control.ended().is_some()
            || result.as_ref().is_err_and(|error| error.kind != RunErrorKind::Failed)
            || self.is_crowded();
        self.is_spent = was_spent || must_go;
        result
    }

    /// Whether scripts keep so much that a call might not find the memory it may use.
    fn is_crowded(&self) -> bool {
        let is_full = || self.lua.used_memory() > self.memory / 2;
        self.scripts.len() > SCRIPTS_MAX || (is_full() && (self.lua.gc_collect().is_err() || is_full()))
    }

    async fn run(&mut self, script: &Script, call: &Call<'_>) -> Result<Map, RunError> {
        let known = match self.recent.take() {
            Some(known) if known.key.is_of(script) => Some(known),
            other => {
                self.scripts.extend(other.map(|other| (other.key.clone(), other)));
                self.scripts.remove(&Key::of(script))
            }
        };
        let current = known.and_then(|mut known| known.loaded.is_current(call.seen).then_some(known));
        let mut known = match current {
            Some(known) => known,
            None => Box::new(Known { key: Key::of(script), loaded: Box::pin(self.load(script, call)).await? }),
        };
        let result = self.enter(&mut known.loaded, call).await;
        self.recent = Some(known);
        result
    }

    /// Compiles a script and runs a file's own code.
    async fn load(&mut self, script: &Script, call: &Call<'_>) -> Result<Loaded, RunError> {
        match script {
            Script::File(path) => {
                let loaded = Loaded::file(&self.lua, &self.new_environment, path);
                let mut loaded = loaded.map_err(|error| self.or_ended(error, call))?;
                let Entry::Process(code) = loaded.entry.clone() else { return Ok(loaded) };
                let begun = self.begin(&code, ());
                let ran = self.drive(begun, call).await;
                ran.map_err(|failed| self.failure(failed, &loaded, call))?;
                if loaded.find_process_block() { Ok(loaded) } else { Err(loaded.no_process_block()) }
            }
            Script::Lua { name, text, first_line } | Script::Python { name, text, first_line } => {
                let loaded = Loaded::text(&self.lua, &self.new_environment, (name, text, *first_line));
                loaded.map_err(|error| self.or_ended(error, call))
            }
        }
    }

    /// The error, unless it only tells that the call was ended while it was prepared.
    fn or_ended(&self, error: RunError, call: &Call<'_>) -> RunError {
        let Some(ended) = self.control.ended() else { return error };
        let (kind, message) = ended_text(ended, call);
        RunError::new(kind, message)
    }

    async fn enter(&mut self, loaded: &mut Loaded, call: &Call<'_>) -> Result<Map, RunError> {
        if let Entry::Body(body) = loaded.entry.clone() {
            let result = self.execute(&body, loaded, call).await?;
            if !loaded.find_process_block() {
                let is_local = loaded.text.as_ref().is_some_and(|text| text.contains("local function ProcessBlock"));
                if is_local && matches!(result, LuaValue::Nil) {
                    return Err(loaded.no_process_block());
                }
                return self.mapping(&result, loaded);
            }
        }
        let Entry::Process(function) = loaded.entry.clone() else { return Err(loaded.no_process_block()) };
        let result = self.execute(&function, loaded, call).await?;
        self.mapping(&result, loaded)
    }

    async fn execute(&mut self, function: &Function, loaded: &Loaded, call: &Call<'_>) -> Result<LuaValue, RunError> {
        let begun = self.arguments(loaded, call).and_then(|arguments| self.begin(function, arguments));
        let result = self.drive(begun, call).await;
        result.map_err(|failed| self.failure(failed, loaded, call))
    }

    /// Copies of the arguments; those that the script cannot see are nil.
    fn arguments(&self, loaded: &Loaded, call: &Call<'_>) -> mlua::Result<Arguments> {
        let (lua, array) = (&self.lua, &self.array);
        let map = |map: &Map| GivenMap { map, array }.into_lua(lua);
        let value = |value: &Value| match value {
            Value::Null => Ok(LuaValue::Nil),
            value => Given { value, array }.into_lua(lua),
        };
        let [pipe_data, block, request_state, input_data, tag, cwd, env, block_parent] = loaded.wanted;
        Ok((
            if pipe_data { map(call.pipe_data)? } else { LuaValue::Nil },
            if block { value(call.block)? } else { LuaValue::Nil },
            if request_state { map(&call.request_state.to_map())? } else { LuaValue::Nil },
            if input_data { map(call.input_data)? } else { LuaValue::Nil },
            if tag { call.tag.into_lua(lua)? } else { LuaValue::Nil },
            if cwd { call.cwd.to_string_lossy().as_ref().into_lua(lua)? } else { LuaValue::Nil },
            if env { map(call.env)? } else { LuaValue::Nil },
            if block_parent { value(call.block_parent)? } else { LuaValue::Nil },
        ))
    }

    /// The mapping that a script returned.
    fn mapping(&self, result: &LuaValue, loaded: &Loaded) -> Result<Map, RunError> {
        let refused = |message: String| {
            let mut error = RunError::failed(message);
            error.place = loaded.sources.lock().chunks.first().map(|chunk| chunk.full().to_owned());
            error
        };
        let kind = match result {
            LuaValue::Nil => return Ok(Map::new()),
            LuaValue::Table(_) => match Taker::new(&self.lua, &self.array, &self.control).take(result) {
                Ok(Value::Object(map)) => return Ok(map),
                Ok(other) => crate::value::kind_name(&other),
                Err(fault) => return Err(refused(fault.text("result"))),
            },
            LuaValue::String(_) => "text",
            LuaValue::Integer(_) => "number",
            other => other.type_name(),
        };
        Err(refused(format!("the script returned a {kind}, expected a mapping such as {{answer = 42}}, or nil")))
    }

    /// The coroutine that calls of this state run in, about to call `function`.
    fn coroutine(&mut self, function: &Function) -> mlua::Result<Thread> {
        let is_usual = !self.control.forget_changed_count();
        if let Some(thread) = self.thread.take()
            && is_usual
            && thread.reset(function.clone()).is_ok()
        {
            return Ok(thread);
        }
        self.control.install(&self.lua)?;
        self.lua.create_thread(function.clone())
    }

    /// Puts a function and its arguments on a coroutine. Not within [`State::drive`], whose future would carry them.
    fn begin(&mut self, function: &Function, arguments: impl IntoLuaMulti) -> mlua::Result<Begun> {
        let thread = self.coroutine(function)?;
        self.control.set_main(thread.state() as usize);
        Ok(Begun { running: thread.clone().into_async(arguments)?, thread })
    }

    /// Runs a function to its end, wherever that is, within the call's deadline.
    async fn drive(&mut self, begun: mlua::Result<Begun>, call: &Call<'_>) -> Result<LuaValue, Failed> {
        let Begun { thread, running } = begun.map_err(Failed::Lua)?;
        let mut running = pin!(running);
        let mut turn = Turn { place: Place::here(), permit: None };
        let result = loop {
            let stretch = poll_fn(|context| self.poll(running.as_mut(), &mut turn, context));
            match waiting::within(call, stretch).await.map_err(Failed::Ended)? {
                // A coroutine of the script may have been cut off: then a result is not a result.
                Stretch::Done(result) => {
                    break self.control.ended().map_or(Ok(result), |ended| Err(Failed::Ended(ended)))?;
                }
                Stretch::Ended(ended) => return Err(Failed::Ended(ended)),
                Stretch::Turn => {
                    // Given back first: were all places held by calls that wait for their next turn, none would get one.
                    turn.permit = None;
                    let next = Box::pin(Self::next_turn(turn.place, &self.aside));
                    turn = waiting::within(call, next).await.map_err(Failed::Ended)?;
                }
            }
        };
        // One that failed may hold variables with <close>, which would run when it is used again.
        if result.is_ok() {
            self.thread = Some(thread);
        }
        result.map_err(Failed::Lua)
    }

    /// Waits, behind those who wait already, for a place beside the workers.
    async fn next_turn(place: Place, aside: &Arc<Semaphore>) -> Turn {
        tokio::task::yield_now().await;
        if place == Place::Alone {
            return Turn { place, permit: None };
        }
        let permit = Arc::clone(aside).acquire_owned().await.ok();
        Turn { place: Place::Aside, permit }
    }

    fn poll(
        &self,
        running: Pin<&mut AsyncThread<LuaValue>>,
        turn: &mut Turn,
        context: &mut TaskContext<'_>,
    ) -> Poll<Stretch> {
        // Our own conversions need no limit, and are quicker without one.
        if let Err(error) = self.lua.set_memory_limit(self.control.memory_max()) {
            return Poll::Ready(Stretch::Done(Err(error)));
        }
        let watched = self.watchdog.begin();
        self.control.begin_stretch(turn.place);
        let polled = if turn.place == Place::Aside {
            tokio::task::block_in_place(|| running.poll(context))
        } else {
            running.poll(context)
        };
        let wants_turn = self.control.end_stretch();
        drop(watched);
        if let Err(error) = self.lua.set_memory_limit(0) {
            return Poll::Ready(Stretch::Done(Err(error)));
        }
        match polled {
            Poll::Ready(result) => Poll::Ready(Stretch::Done(result)),
            Poll::Pending if let Some(ended) = self.control.ended() => Poll::Ready(Stretch::Ended(ended)),
            Poll::Pending if wants_turn => Poll::Ready(Stretch::Turn),
            Poll::Pending => {
                // It waits: its place is free for others, and it begins on a worker again.
                turn.permit = None;
                turn.place = Place::here();
                Poll::Pending
            }
        }
    }

    fn failure(&self, failed: Failed, loaded: &Loaded, call: &Call<'_>) -> RunError {
        let sources = loaded.sources.lock();
        let ended = match (&failed, self.control.ended()) {
            (Failed::Ended(ended), _) => *ended,
            (_, Some(ended)) => ended,
            (Failed::Lua(error), None) => return failure::from_lua(error, &sources.chunks),
        };
        let (kind, message) = ended_text(ended, call);
        let mut failure = RunError::new(kind, message);
        let at = self.control.ended_at();
        failure.place = failure::place_of(at.as_deref().unwrap_or_default(), &sources.chunks);
        failure
    }
}

/// Why a drive gave no value.
enum Failed {
    Lua(mlua::Error),
    Ended(Ended),
}

/// A state with an environment in it, for tests of what the environment holds.
#[cfg(test)]
pub(in crate::script) fn bare_environment() -> (Lua, Table) {
    let host: Arc<dyn Host> = Arc::new(crate::script::testing::TestHost::default());
    let aside = Arc::new(Semaphore::new(1));
    let watchdog = Arc::new(Watchdog::new(Default::default()));
    let state = State::new(&host, &ScriptConfig::default(), (&aside, &watchdog)).unwrap();
    state.control.memory_for_test(1 << 30);
    let required = state.lua.create_function(|_, ()| Ok(())).unwrap();
    let environment = state.new_environment.call(required).unwrap();
    (state.lua, environment)
}
