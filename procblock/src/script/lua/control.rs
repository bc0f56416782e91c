//! What ends a call and what moves a long one off its runtime worker.
//!
//! One [`Control`] belongs to one Lua state. The count hook, the API's functions and the runner share it; only one
//! call uses it at a time. The hook asks it every few hundred instructions. Once the deadline has passed or a stop was
//! requested it fires at every instruction and yields the coroutine, which is never resumed, or, where a C function in
//! between forbids that, raises. So no `pcall` can hold it, and no unwinding of 100,000 of them takes time.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use mlua::debug::Debug;
use mlua::{HookTriggers, Lua, VmState};
use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};
use unidist::Stop;

use super::cpu::CpuMeter;
use crate::host::Caller;
pub(super) use crate::script::waiting::Ended;
use crate::script::{Allow, Call};
use crate::thread::leave_timer;

/// Script time after which a call leaves its runtime worker.
const STRETCH_MAX: Duration = Duration::from_millis(2);

/// Time after which a long call lets others have its place off the workers.
const TURN_MAX: Duration = Duration::from_millis(100);

/// Instructions between two questions, while they are quick.
const COUNT_MAX: u32 = 1000;

/// The longest time that should pass between two questions; slow instructions are counted closer.
const BETWEEN_MAX: Duration = Duration::from_micros(500);

/// Work on more bytes than this leaves the worker before it begins.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// How long a call that cannot yield waits for a thread that may take over its worker.
const HAND_OVER_MAX: Duration = Duration::from_millis(20);

/// How long it leaves that thread to do so.
const TAKE_OVER: Duration = Duration::from_micros(200);

const NEVER: u64 = u64::MAX;

/// Where a stretch of script time runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On a worker of the runtime, which it must leave soon.
    Worker,
    /// Off the workers: it may stay for a turn.
    Aside,
    /// On a runtime with a single thread, where there is nowhere to go.
    Alone,
}

impl Place {
    /// Where a call begins on the current runtime.
    pub(super) fn here() -> Place {
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => Place::Worker,
            _ => Place::Alone,
        }
    }
}

/// Raised by the hook; never seen outside of this module but as [`Ended`].
#[derive(Debug, thiserror::Error)]
#[error("the call was ended")]
struct Raised;

/// Who the current call belongs to and what it may do.
#[derive(Debug, Clone, Default)]
pub(in crate::script) struct Context {
    pub(in crate::script) caller: Arc<Caller>,
    pub(in crate::script) allow: Allow,
    pub(in crate::script) stop: Stop,
}

/// See the module.
pub(in crate::script) struct Control {
    base: Instant,
    deadline: AtomicU64,
    stretch_began: AtomicU64,
    asked: AtomicU64,
    /// Since when Lua code has been running without a break, for the watchdog; 0 while none runs.
    running_since: AtomicU64,
    is_lost: AtomicBool,
    count: AtomicU32,
    is_count_changed: AtomicBool,
    place: AtomicU8,
    wants_turn: AtomicBool,
    cpu: CpuMeter,
    ended: AtomicU8,
    /// Where the script was when it was ended.
    ended_at: Mutex<Option<String>>,
    /// The last try to end the script was a yield.
    has_yielded_to_end: AtomicBool,
    /// The coroutine that may be yielded, as an address.
    main: AtomicUsize,
    memory_max: AtomicUsize,
    context: Mutex<Context>,
}

/// Gives the worker of this thread, if it has one, to another thread; a run-thread's timer goes on without this one.
///
/// tokio takes a worker back at the end of `block_in_place` when nobody has taken it over by then, which on busy cores
/// takes longer than any fixed time. Its blocking jobs begin in their order, so when this one has begun, the one that
/// takes over has too.
fn hand_over() {
    if leave_timer() {
        return;
    }
    tokio::task::block_in_place(|| {
        let (begun, has_begun) = mpsc::channel();
        tokio::task::spawn_blocking(move || begun.send(()));
        if has_begun.recv_timeout(HAND_OVER_MAX).is_ok() {
            std::thread::park_timeout(TAKE_OVER);
        }
    });
}

enum Verdict {
    GoOn,
    LeavePlace,
    End,
}

impl Control {
    pub(super) fn new() -> Arc<Control> {
        Arc::new(Control {
            base: Instant::now(),
            deadline: AtomicU64::new(NEVER),
            stretch_began: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            running_since: AtomicU64::new(0),
            is_lost: AtomicBool::new(false),
            count: AtomicU32::new(COUNT_MAX),
            is_count_changed: AtomicBool::new(false),
            place: AtomicU8::new(Place::Alone as u8),
            wants_turn: AtomicBool::new(false),
            cpu: CpuMeter::default(),
            ended: AtomicU8::new(0),
            ended_at: Mutex::new(None),
            has_yielded_to_end: AtomicBool::new(false),
            main: AtomicUsize::new(0),
            memory_max: AtomicUsize::new(0),
            context: Mutex::new(Context::default()),
        })
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_nanos()).unwrap_or(NEVER - 1).max(1)
    }

    /// Begins a call.
    pub(super) fn begin(&self, memory_max: usize, call: &Call<'_>) {
        self.deadline.store(call.deadline().map_or(NEVER, |at| self.nanos(at)), Relaxed);
        self.memory_max.store(memory_max, Relaxed);
        self.cpu.begin_call(call.limits.cpu);
        if self.ended.load(Relaxed) != 0 {
            self.ended.store(0, Relaxed);
            *self.ended_at.lock() = None;
        }
        self.wants_turn.store(false, Relaxed);
        self.has_yielded_to_end.store(false, Relaxed);
        let mut context = self.context.lock();
        context.caller = Arc::clone(call.caller);
        context.allow = call.allow;
        context.stop = call.stop.clone();
    }

    /// Names the coroutine that runs the call.
    pub(super) fn set_main(&self, address: usize) {
        self.main.store(address, Relaxed);
    }

    /// Whether a coroutine may still count closer than usual, and forgets it.
    pub(super) fn forget_changed_count(&self) -> bool {
        self.is_count_changed.swap(false, Relaxed)
    }

    /// Begins a stretch of script time.
    pub(super) fn begin_stretch(&self, place: Place) {
        let now = self.nanos(Instant::now());
        self.stretch_began.store(now, Relaxed);
        self.asked.store(now, Relaxed);
        self.running_since.store(now, Relaxed);
        self.cpu.begin_stretch();
        self.wants_turn.store(false, Relaxed);
        self.set_place(place);
    }

    /// Ends a stretch; whether the script was yielded because it should leave its place.
    pub(super) fn end_stretch(&self) -> bool {
        self.running_since.store(0, Relaxed);
        self.cpu.end_stretch();
        self.wants_turn.swap(false, Relaxed)
    }

    fn set_place(&self, place: Place) {
        self.place.store(place as u8, Relaxed);
    }

    fn place(&self) -> Place {
        match self.place.load(Relaxed) {
            0 => Place::Worker,
            1 => Place::Aside,
            _ => Place::Alone,
        }
    }

    /// The most memory that the current call may use, in bytes.
    pub(in crate::script) fn memory_max(&self) -> usize {
        self.memory_max.load(Relaxed)
    }

    /// Gives a state without a call memory to work with.
    #[cfg(test)]
    pub(super) fn memory_for_test(&self, bytes: usize) {
        self.memory_max.store(bytes, Relaxed);
    }

    /// Who calls and what it may do.
    pub(in crate::script) fn context(&self) -> Context {
        self.context.lock().clone()
    }

    /// Looks at the context without copying it. `look` must not call into Lua.
    pub(in crate::script) fn with_context<R>(&self, look: impl FnOnce(&Context) -> R) -> R {
        look(&self.context.lock())
    }

    /// Why the call was ended, if it was.
    pub(super) fn ended(&self) -> Option<Ended> {
        match self.ended.load(Relaxed) {
            0 => None,
            1 => Some(Ended::TimedOut),
            3 => Some(Ended::CpuSpent),
            _ => Some(Ended::Stopped),
        }
    }

    /// How long the current stretch has gone on past the deadline: what the watchdog asks.
    pub(super) fn overdue(&self) -> Option<Duration> {
        if self.running_since.load(Relaxed) == 0 {
            return None;
        }
        let now = self.nanos(Instant::now());
        now.checked_sub(self.deadline.load(Relaxed)).map(Duration::from_nanos)
    }

    /// How long the current stretch has held a worker of the runtime without asking; zero if it holds none.
    pub(super) fn holds_worker_for(&self) -> Duration {
        if self.running_since.load(Relaxed) == 0 || self.place() != Place::Worker {
            return Duration::ZERO;
        }
        let now = self.nanos(Instant::now());
        Duration::from_nanos(now.saturating_sub(self.stretch_began.load(Relaxed)))
    }

    /// Marks the thread that runs this state as lost or found; whether that is news.
    pub(super) fn set_lost(&self, is_lost: bool) -> bool {
        self.is_lost.swap(is_lost, Relaxed) != is_lost
    }

    fn verdict(&self, now: u64) -> Verdict {
        if self.ended.load(Relaxed) != 0 {
            return Verdict::End;
        }
        if now >= self.deadline.load(Relaxed) {
            self.ended.store(1, Relaxed);
            return Verdict::End;
        }
        if self.with_context(|context| context.stop.is_requested()) {
            self.ended.store(2, Relaxed);
            return Verdict::End;
        }
        if self.cpu.is_spent() {
            self.ended.store(3, Relaxed);
            return Verdict::End;
        }
        let spent = Duration::from_nanos(now.saturating_sub(self.stretch_began.load(Relaxed)));
        let limit = if self.place() == Place::Aside { TURN_MAX } else { STRETCH_MAX };
        if spent >= limit { Verdict::LeavePlace } else { Verdict::GoOn }
    }

    /// Asked by our own loops in Rust: false once the call was ended. May move the call off its worker.
    pub(in crate::script) fn may_go_on(&self) -> bool {
        match self.verdict(self.nanos(Instant::now())) {
            Verdict::End => false,
            Verdict::LeavePlace => {
                self.step_aside();
                true
            }
            Verdict::GoOn => true,
        }
    }

    /// Asked before work in C or Rust that asks nothing until it is done: what is large leaves the worker first. False
    /// once the call was ended.
    pub(in crate::script) fn may_work_on(&self, bytes: usize) -> bool {
        if bytes > INLINE_BYTES_MAX && self.place() == Place::Worker {
            self.step_aside();
        }
        self.may_go_on()
    }

    /// Lets another thread take over the worker while this call stays where it is: for code that cannot yield. It waits
    /// for none of the places beside the workers: it could only wait on its worker.
    fn step_aside(&self) {
        if self.place() != Place::Alone {
            // Also when that was done before: nothing tells whether it was taken over then.
            hand_over();
            self.set_place(Place::Aside);
        }
        self.stretch_began.store(self.nanos(Instant::now()), Relaxed);
    }

    /// Installs the hook in a new state. Coroutines that scripts create inherit it.
    pub(super) fn install(self: &Arc<Self>, lua: &Lua) -> mlua::Result<()> {
        self.set_count(lua, COUNT_MAX)
    }

    fn set_count(self: &Arc<Self>, lua: &Lua, count: u32) -> mlua::Result<()> {
        self.count.store(count, Relaxed);
        if count != COUNT_MAX {
            self.is_count_changed.store(true, Relaxed);
        }
        let control = Arc::clone(self);
        let triggers = HookTriggers::new().every_nth_instruction(count);
        lua.set_global_hook(triggers, move |lua, debug| control.on_count(lua, debug))
    }

    fn on_count(self: &Arc<Self>, lua: &Lua, debug: &Debug<'_>) -> mlua::Result<VmState> {
        let now = self.nanos(Instant::now());
        match self.verdict(now) {
            Verdict::End => self.end(lua, debug),
            Verdict::LeavePlace => self.leave_place(lua),
            Verdict::GoOn => {
                self.adapt(lua, now)?;
                Ok(VmState::Continue)
            }
        }
    }

    /// Ends the script: by a yield, and when that was without effect, by an error.
    fn end(self: &Arc<Self>, lua: &Lua, debug: &Debug<'_>) -> mlua::Result<VmState> {
        self.set_count(lua, 1)?;
        let mut ended_at = self.ended_at.lock();
        if ended_at.is_none()
            && let (Some(source), Some(line)) = (debug.source().short_src, debug.current_line())
        {
            *ended_at = Some(format!("{source}:{line}: "));
        }
        drop(ended_at);
        if self.has_yielded_to_end.fetch_xor(true, Relaxed) {
            return Err(mlua::Error::external(Raised));
        }
        Ok(VmState::Yield)
    }

    /// Where the script was when it was ended, as a line of a trace begins.
    pub(super) fn ended_at(&self) -> Option<String> {
        self.ended_at.lock().clone()
    }

    /// Yields the call's own coroutine; one that the script created would see the yield, so there the worker is
    /// handed over instead, as it is where a C function in between forbids the yield.
    fn leave_place(&self, lua: &Lua) -> mlua::Result<VmState> {
        let is_main = lua.state() as usize == self.main.load(Relaxed);
        if is_main && !self.wants_turn.swap(true, Relaxed) {
            return Ok(VmState::Yield);
        }
        self.step_aside();
        Ok(VmState::Continue)
    }

    /// Counts closer while single instructions take long, as joining texts of many megabytes does.
    fn adapt(self: &Arc<Self>, lua: &Lua, now: u64) -> mlua::Result<()> {
        let between = now.saturating_sub(self.asked.swap(now, Relaxed));
        let limit = u64::try_from(BETWEEN_MAX.as_nanos()).unwrap_or(NEVER);
        let count = self.count.load(Relaxed);
        let wanted = if between > limit {
            let share = u64::from(count) * limit / between.max(1);
            u32::try_from(share).unwrap_or(count).max(1)
        } else if between < limit / 16 {
            count.saturating_mul(4).min(COUNT_MAX)
        } else {
            count
        };
        if wanted == count { Ok(()) } else { self.set_count(lua, wanted) }
    }
}
