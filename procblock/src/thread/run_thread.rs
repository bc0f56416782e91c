//! One run-thread: when it is due, what a run leaves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::Notify;
use unidist::Stop;

use super::failures::Failures;
use super::lateness::Lateness;
use super::state::{Kept, ThreadState};
use super::timer::{Due, Told};
use crate::block::Run;
use crate::error::{RunError, RunErrorKind};
use crate::happenings::{Happening, Happenings};
use crate::step::{CompiledStep, Repeat};
use crate::value::{Map, Value};

/// A start counts as late when it is this part of the period behind its time …
const LATE_PART: u32 = 10;

/// … and at least this much.
const LATE_MIN: Duration = Duration::from_millis(10);

/// One run-thread.
pub struct RunThread {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub step: Arc<CompiledStep>,
    every: Duration,
    history: usize,
    ends: Option<Instant>,
    seed: Mutex<Option<Run>>,
    state: Mutex<ThreadState>,
    failures: Mutex<Failures>,
    changed: Notify,
    shared: Shared,
}

/// What the run-threads of an instance share.
pub(super) struct Shared {
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) stop: Stop,
    pub(super) lateness: Arc<Lateness>,
    pub(super) happenings: Arc<Happenings>,
}

impl RunThread {
    /// A run-thread that has not run yet; each of its runs starts from a copy of `seed`.
    pub(super) fn new(step: &Arc<CompiledStep>, repeat: &Repeat, seed: Run, shared: Shared) -> Self {
        RunThread {
            name: repeat.name.clone(),
            step: Arc::clone(step),
            every: repeat.every,
            history: repeat.history,
            ends: repeat.duration.and_then(|duration| Instant::now().checked_add(duration)),
            seed: Mutex::new(Some(seed)),
            state: Mutex::default(),
            failures: Mutex::default(),
            changed: Notify::new(),
            shared,
        }
    }

    /// Its counts and newest result as data.
    pub fn to_value(&self) -> Value {
        self.state.lock().to_value(&self.scripts(), self.every)
    }

    /// Its period, from start to start.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// The round-robin files it has stored to so far, each with its graphs.
    pub fn series_paths(&self) -> Vec<(String, Vec<String>)> {
        let repeat = self.step.attributes.repeat.iter();
        repeat.flat_map(|repeat| &repeat.collect).flat_map(crate::step::Collect::paths).collect()
    }

    /// Looks at its state; the lock is held only for the call.
    pub fn with_state<T>(&self, look: impl FnOnce(&ThreadState) -> T) -> T {
        look(&self.state.lock())
    }

    /// Whether a step of a later pass is this run-thread's own: the same YAML, of the same file, with the same input.
    pub(super) fn is_same(&self, step: &Arc<CompiledStep>, run: &Run) -> bool {
        let is_same_step = Arc::ptr_eq(&self.step, step)
            || self.step.item == step.item && self.step.mark.source.folder == step.mark.source.folder;
        is_same_step && self.seed.lock().as_ref().is_some_and(|seed| seed.input.input_data == run.input.input_data)
    }

    fn scripts(&self) -> Vec<String> {
        let script = self.step.item.get("script").and_then(Value::as_str);
        vec![script.map_or_else(|| self.step.label.clone(), str::to_string)]
    }

    /// Waits until a first run has ended; the newest result, or why there is none.
    pub(super) async fn first(&self, stop: &Stop) -> Result<Kept, RunError> {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state.lock();
                if let Some(kept) = state.newest() {
                    return Ok(kept.clone());
                }
                if let Some(error) = &state.last_error {
                    return Err(error.clone());
                }
                if state.has_ended {
                    return Err(RunError::failed(format!("the run-thread {} ended without a result", self.name)));
                }
            }
            tokio::select! {
                () = changed => {}
                () = stop.requested() => {
                    return Err(RunError::new(RunErrorKind::Stopped, "the instance is stopping"));
                }
            }
        }
    }

    async fn run_once(self: Arc<Self>) {
        let Some(mut run) = self.seed.lock().as_ref().and_then(|seed| seed.nested().ok()) else { return };
        run.is_failure_known = self.failures.lock().are_going_on();
        let started = Instant::now();
        let outcome = self.step.run_repeated(&mut run).await;
        run.release_locks();
        let duration = started.elapsed();
        if let Ok(result) = &outcome {
            self.collect(&run, result);
        }
        self.tell(&outcome, started);
        self.state.lock().finish(outcome, duration, self.history);
        self.changed.notify_waiters();
        self.shared.happenings.tell(Happening::Ran(&self));
    }

    /// Logs what is new about failures. A recovery is a warning too: who read of the failure reads of its end.
    fn tell(&self, outcome: &Result<Map, RunError>, started: Instant) {
        let text = match outcome {
            Ok(_) => self.failures.lock().end(started),
            Err(error) if error.kind == RunErrorKind::Stopped => None,
            Err(error) => self.failures.lock().add(error.to_string(), started),
        };
        let level = if outcome.is_ok() { log::Level::Warn } else { log::Level::Error };
        if let Some(text) = text {
            log::log!(level, "run-thread {}: {text}", self.name);
        }
    }

    fn collect(&self, run: &Run, result: &Map) {
        for collect in self.step.attributes.repeat.iter().flat_map(|repeat| &repeat.collect) {
            collect.store(run, result);
        }
    }

    /// Counts a start and says whether the run may begin. The first one is due as soon as it can be, and never late.
    fn begin(&self, due: Instant, now: Instant) -> bool {
        let mut state = self.state.lock();
        if state.is_busy {
            state.skipped += 1;
            return false;
        }
        let late = now.saturating_duration_since(due);
        if state.last_start.is_some() && late > (self.every / LATE_PART).max(LATE_MIN) {
            state.late += 1;
        }
        state.is_busy = true;
        state.last_start = Some(SystemTime::now());
        true
    }

    /// Waits until a run under way has ended, and lets go of what runs start from. False when `deadline` came first.
    pub(super) async fn ended(&self, deadline: tokio::time::Instant) -> bool {
        let idle = async {
            loop {
                let changed = self.changed.notified();
                if !self.with_state(|state| state.is_busy) {
                    return;
                }
                changed.await;
            }
        };
        let has_ended = tokio::time::timeout_at(deadline, idle).await.is_ok();
        self.seed.lock().take();
        has_ended
    }

    /// No further run starts; one under way goes to its end.
    pub(super) fn end(&self) {
        self.state.lock().has_ended = true;
        self.changed.notify_waiters();
    }
}

impl Due for RunThread {
    fn due(self: Arc<Self>, due: Instant) -> Told {
        let now = Instant::now();
        if self.shared.stop.is_requested() || self.ends.is_some_and(|ends| due >= ends) || self.state.lock().has_ended {
            self.end();
            return Told::default();
        }
        let is_first = self.with_state(|state| state.last_start.is_none());
        let mut next = due + self.every;
        if next <= now {
            let behind = (now - due).as_nanos() / self.every.as_nanos().max(1);
            let behind = u32::try_from(behind).unwrap_or(u32::MAX);
            if !is_first {
                self.state.lock().skipped += u64::from(behind);
            }
            next = due + self.every.saturating_mul(behind.saturating_add(1));
        }
        let timed = if is_first { None } else { Some(due) };
        let work = self.begin(due, now).then(|| -> Box<dyn FnOnce() + Send> { Box::new(move || self.start(timed)) });
        Told { next: Some(next), work }
    }
}

impl RunThread {
    /// Begins a run on this thread; where it has to wait it goes on as a task of the runtime. `due` is none for the first.
    fn start(self: Arc<Self>, due: Option<Instant>) {
        let name: Arc<str> = self.name.as_str().into();
        let runtime = self.shared.runtime.clone();
        let mut run = Box::pin(crate::logging::within(name, async move {
            match due {
                Some(due) => self.shared.lateness.record(due.elapsed()),
                None => self.shared.lateness.record_first(),
            }
            self.run_once().await;
        }));
        let _entered = runtime.enter();
        // The task polls it anew, so nothing that wakes it in between is missed.
        let mut context = Context::from_waker(Waker::noop());
        match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => drop(runtime.spawn(run)),
            Ok(Poll::Ready(())) => {}
            Err(_) => log::error!("a run panicked; its run-thread does not go on"),
        }
    }
}
