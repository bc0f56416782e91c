//! Run-threads: steps that repeat.
//!
//! A run-thread starts its step every N seconds from start to start, never overlapping itself. It is no thread of the
//! operating system: a thread of the timer begins its run when it is due, and a run that waits goes on as a task of
//! the runtime. Whoever names it shares the one run-thread and gets its newest result.

mod failures;
mod lateness;
mod run_thread;
mod state;
mod timer;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use unidist::Stop;

pub use lateness::Lateness;
pub use run_thread::RunThread;
pub use state::{Failed, Kept, ThreadState, Took};
pub(crate) use timer::leave_timer;

use crate::block::Run;
use crate::error::{RunError, RunErrorKind};
use crate::happenings::Happenings;
use crate::step::{CompiledStep, OnError, Repeat};
use crate::value::Map;
use run_thread::Shared;
use timer::{Due, Timer, Told};

/// Waits for `limit` or until a stop is requested; not at all for a limit of zero. Holds no thread.
pub async fn sleep(limit: Duration, stop: &Stop) {
    // The runtime's timer would round it up to a millisecond or two.
    if limit.is_zero() {
        return;
    }
    tokio::select! {
        () = tokio::time::sleep(limit) => {}
        () = stop.requested() => {}
    }
}

/// How far apart so many run-threads of a period start.
fn spacing(every: Duration, together: usize) -> Duration {
    let together = u32::try_from(together).unwrap_or(u32::MAX).max(1);
    if together == 1 { SPACING_MIN } else { (every / 2 / together).clamp(SPACING_MIN, SPACING_MAX) }
}

/// Tells that the timer is alive.
struct Probe(Mutex<Option<tokio::sync::oneshot::Sender<()>>>);

impl Due for Probe {
    fn due(self: Arc<Self>, _: Instant) -> Told {
        if let Some(answer) = self.0.lock().take() {
            let _ = answer.send(());
        }
        Told::default()
    }
}

/// The stack of a thread that runs blocks, in bytes: enough for blocks inside blocks as deep as they may run.
pub const STACK_BYTES: usize = 8 << 20;

/// How far apart run-threads start at least, so that they are not all due in the same moment ever after: several times
/// what a small run takes.
const SPACING_MIN: Duration = Duration::from_micros(100);

/// How far apart they start at most: nobody waits long for the last first result.
const SPACING_MAX: Duration = Duration::from_millis(1);

/// The run-threads of an instance, by name.
pub struct RunThreads {
    threads: Mutex<HashMap<String, Arc<RunThread>>>,
    /// Before this no further run-thread starts.
    next_start: Mutex<Option<Instant>>,
    timer: Timer,
    runtime: tokio::runtime::Handle,
    stop: Stop,
    lateness: Arc<Lateness>,
    happenings: Arc<Happenings>,
}

impl RunThreads {
    /// None yet. Runs are tasks of `runtime`; none starts after a stop.
    pub fn new(runtime: tokio::runtime::Handle, stop: Stop, happenings: Arc<Happenings>) -> Self {
        RunThreads {
            threads: Mutex::default(),
            next_start: Mutex::default(),
            timer: Timer::new(),
            runtime,
            stop,
            lateness: Arc::default(),
            happenings,
        }
    }

    /// The step's run-thread, which is started if it is not there. Its first run begins at once; of `together` that are
    /// started in a row each one begins 0.1 to 1 ms after the one before, as it takes to spread them over half a period.
    ///
    /// # Errors
    /// The step does not repeat, blocks are nested too deeply, or the operating system refused the timer a thread.
    pub fn start(&self, step: &Arc<CompiledStep>, run: &Run, together: usize) -> Result<Arc<RunThread>, RunError> {
        let Some(repeat) = &step.attributes.repeat else { return Err(RunError::failed("the step does not repeat")) };
        self.find_or_start(step, repeat, (run, together))
    }

    /// The newest result of a step's run-thread; waits for a first result.
    ///
    /// # Errors
    /// Its first run failed and the step does not say to go on.
    pub async fn fetch(&self, thread: &RunThread, step: &CompiledStep, run: &Run) -> Result<Map, RunError> {
        let shown = format!("run_thread.{}", thread.name);
        let may_fail = match step.attributes.on_error {
            OnError::Unset => run.instance.is_longrunning,
            OnError::Stop => false,
            OnError::Continue | OnError::Handle(_) => true,
        };
        let mut merged = match thread.first(&run.stop).await {
            Ok(kept) => Map::clone(&kept.result),
            Err(error) if may_fail && error.kind != RunErrorKind::Stopped => Map::new(),
            Err(error) => return Err(error),
        };
        merged.insert(shown, thread.to_value());
        Ok(merged)
    }

    /// The newest result of a run-thread with its `age` in seconds; waits for a first result.
    ///
    /// # Errors
    /// No run-thread has this name, or its first run failed.
    pub async fn newest(&self, name: &str, stop: &Stop) -> Result<Map, RunError> {
        let Some(thread) = self.get(name) else {
            let mut known: Vec<String> = self.threads.lock().keys().cloned().collect();
            known.sort();
            let known =
                if known.is_empty() { "there are none".into() } else { format!("there are: {}", known.join(", ")) };
            return Err(RunError::failed(format!("no run-thread has the name \"{name}\"; {known}")));
        };
        let kept = thread.first(stop).await?;
        let mut result = Map::clone(&kept.result);
        result.insert("age".into(), kept.finished.elapsed().as_secs_f64().into());
        Ok(result)
    }

    /// The run-thread of a name.
    pub fn get(&self, name: &str) -> Option<Arc<RunThread>> {
        self.threads.lock().get(name).cloned()
    }

    /// Ends the run-threads whose names are not among `names`; a run under way goes to its end.
    pub fn retain(&self, names: &HashSet<String>) {
        self.threads.lock().retain(|name, thread| {
            let stays = names.contains(name);
            if !stays {
                thread.end();
                log::info!("Running Thread: Quitting: {name}");
            }
            stays
        });
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<RunThread>> {
        let mut all: Vec<Arc<RunThread>> = self.threads.lock().values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Whether the timer still tells what is due: completes when it has told a moment asked for now.
    pub async fn is_alive(&self) -> bool {
        let (answer, told) = tokio::sync::oneshot::channel();
        let probe: Arc<dyn Due> = Arc::new(Probe(Mutex::new(Some(answer))));
        self.timer.tell(probe, Instant::now()).is_ok() && told.await.is_ok()
    }

    /// How late starts were.
    pub fn lateness(&self) -> &Lateness {
        &self.lateness
    }

    fn find_or_start(
        &self,
        step: &Arc<CompiledStep>,
        repeat: &Repeat,
        (run, together): (&Run, usize),
    ) -> Result<Arc<RunThread>, RunError> {
        run.instance.note(&repeat.name);
        let mut threads = self.threads.lock();
        if let Some(thread) = threads.get(&repeat.name) {
            if thread.is_same(step, run) {
                return Ok(Arc::clone(thread));
            }
            thread.end();
            log::info!("Running Thread: Quitting: {}", repeat.name);
        }
        let shared = Shared {
            runtime: self.runtime.clone(),
            stop: self.stop.clone(),
            lateness: Arc::clone(&self.lateness),
            happenings: Arc::clone(&self.happenings),
        };
        let thread = Arc::new(RunThread::new(step, repeat, run.seed()?, shared));
        threads.insert(repeat.name.clone(), Arc::clone(&thread));
        drop(threads);
        log::info!("Running Thread: Starting: {}", repeat.name);
        repeat.collect.iter().for_each(|collect| collect.announce(run));
        log::info!("Waiting for interval thread output: {}", repeat.name);
        let due: Arc<dyn Due> = thread.clone();
        let first = self.next_start(spacing(repeat.every, together));
        self.timer.tell(due, first).map_err(|error| RunError::failed(format!("the timer could not start: {error}")))?;
        Ok(thread)
    }

    /// When a run-thread that starts now has its first run; the next one follows after `spacing`.
    fn next_start(&self, spacing: Duration) -> Instant {
        let mut next = self.next_start.lock();
        let first = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
        *next = Some(first + spacing);
        first
    }

    /// How many runs there were and how late they started, for whoever watches the log.
    fn log_summary(&self) {
        let all = self.all();
        if all.is_empty() {
            return;
        }
        let sum = |count: fn(&ThreadState) -> u64| all.iter().map(|thread| thread.with_state(count)).sum::<u64>();
        let microseconds = |fraction| self.lateness.quantile(fraction).as_micros();
        log::info!(
            "run-threads: {}, starts {}, late {}, skipped {}, failed {}; lateness in microseconds: p50 {}, p99 {}, max {}",
            all.len(),
            self.lateness.count(),
            sum(|state| state.late),
            sum(|state| state.skipped),
            sum(|state| state.failed),
            microseconds(0.5),
            microseconds(0.99),
            microseconds(1.0),
        );
    }

    /// Ends every run-thread: no further run starts, and runs under way have ended when this returns.
    ///
    /// The stop must have been requested; runs end by it. Waits at most `limit`.
    pub async fn shutdown(&self, limit: Duration) {
        self.timer.end();
        self.log_summary();
        let deadline = tokio::time::Instant::now() + limit;
        for thread in self.all() {
            thread.end();
            if !thread.ended(deadline).await {
                log::warn!("run-thread {} did not end in time", thread.name);
            }
            log::info!("Running Thread: Quitting: {}", thread.name);
        }
        self.threads.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_threads_that_start_together_are_spread_over_half_a_period_in_bounds() {
        let microseconds = |every, together| spacing(Duration::from_secs(every), together).as_micros();
        assert_eq!(microseconds(5, 10_000), 250);
        assert_eq!(microseconds(5, 1), 100);
        assert_eq!((microseconds(5, 20), microseconds(3600, 2000)), (1000, 1000));
        assert_eq!((microseconds(1, 100_000), microseconds(0, 7)), (100, 100));
    }
}
