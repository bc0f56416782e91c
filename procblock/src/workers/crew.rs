//! Workers at work: claims, leases, what becomes of a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use unidist::{Claim, Failure, Unidist};

use super::Group;
use crate::block::Run;
use crate::error::{RunError, RunErrorKind};
use crate::host::BoxFuture;
use crate::store_calls::StoreCalls;
use crate::value::{Map, Value};

/// How long a worker waits after its queue refused it.
const PAUSE: Duration = Duration::from_secs(1);

/// How often `until empty` looks whether messages that others hold came back.
const POLL: Duration = Duration::from_millis(50);

/// Whether a worker stays, or helps out while messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Standing,
    Helping,
}

/// What the workers of a group share while they run.
pub(super) struct Crew {
    pub(super) group: Arc<Group>,
    store: Unidist,
    store_calls: StoreCalls,
    busy: AtomicUsize,
    total: AtomicUsize,
    claimed: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Crew {
    pub(super) fn new(group: &Arc<Group>, store: Unidist, store_calls: StoreCalls) -> Self {
        Crew {
            group: Arc::clone(group),
            store,
            store_calls,
            busy: AtomicUsize::new(0),
            total: AtomicUsize::new(0),
            claimed: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_error: Mutex::default(),
        }
    }

    /// What was done so far, of a group that has ended.
    pub(super) fn outcome(&self) -> Value {
        let counts = [("done", &self.done), ("failed", &self.failed)];
        Value::Object(
            counts.map(|(name, count)| (name.to_string(), count.load(Ordering::Relaxed).into())).into_iter().collect(),
        )
    }

    /// Everything, for `status`.
    pub(super) fn status(&self) -> Value {
        let queue = self.store.messagequeue().status(&self.group.queue).ok().flatten().unwrap_or_default();
        let total = self.total.load(Ordering::SeqCst);
        let mut map = Map::new();
        map.insert("is_running".into(), (total > 0).into());
        map.insert("queue".into(), self.group.queue.clone().into());
        map.insert("workers".into(), total.into());
        map.insert("workers_max".into(), self.group.most.into());
        map.insert("busy".into(), self.busy.load(Ordering::SeqCst).into());
        map.insert("waiting".into(), (queue.ready + queue.delayed).into());
        map.insert("claimed".into(), self.claimed.load(Ordering::Relaxed).into());
        map.insert("done".into(), self.done.load(Ordering::Relaxed).into());
        map.insert("failed".into(), self.failed.load(Ordering::Relaxed).into());
        map.insert("dead_letters".into(), queue.dead.into());
        map.insert("error".into(), self.last_error.lock().clone().into());
        Value::Object(map)
    }

    /// Runs the least number of workers and those they call for help; ends when all have ended.
    pub(super) async fn work_all(self: Arc<Self>, run: Run) {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..self.group.least {
            match run.nested() {
                Ok(inner) => tasks.spawn(Arc::clone(&self).worker(inner, Kind::Standing)),
                Err(error) => return log::error!("workers of {}: {error}", self.group.name),
            };
        }
        while tasks.join_next().await.is_some() {}
    }

    fn worker(self: Arc<Self>, run: Run, kind: Kind) -> BoxFuture<'static, ()> {
        Box::pin(self.work(run, kind))
    }

    async fn work(self: Arc<Self>, mut run: Run, kind: Kind) {
        self.total.fetch_add(1, Ordering::SeqCst);
        log::info!("worker of {}: serving the queue {}", self.group.name, self.group.queue);
        let mut helpers = tokio::task::JoinSet::new();
        while let Some(claim) = self.claim(&run, kind).await {
            self.claimed.fetch_add(1, Ordering::Relaxed);
            self.busy.fetch_add(1, Ordering::SeqCst);
            if self.wants_help()
                && let Ok(inner) = run.nested()
            {
                helpers.spawn(Arc::clone(&self).worker(inner, Kind::Helping));
            }
            self.handle(&run, &claim).await;
            self.busy.fetch_sub(1, Ordering::SeqCst);
            run.give_way().await;
        }
        self.total.fetch_sub(1, Ordering::SeqCst);
        while helpers.join_next().await.is_some() {}
    }

    /// Whether all are busy, messages wait, and there may be more of them.
    fn wants_help(&self) -> bool {
        let total = self.total.load(Ordering::SeqCst);
        let waiting =
            self.store.messagequeue().status(&self.group.queue).ok().flatten().map_or(0, |status| status.ready);
        waiting > 0 && total < self.group.most && self.busy.load(Ordering::SeqCst) >= total
    }

    async fn claim(&self, run: &Run, kind: Kind) -> Option<Claim> {
        let wait = match kind {
            Kind::Standing if !self.group.until_empty => None,
            Kind::Standing | Kind::Helping => Some(Duration::ZERO),
        };
        let queues = self.store.messagequeue();
        loop {
            match queues.claim_async(&self.group.queue, self.group.lease, wait, &run.stop).await {
                Ok(Some(claim)) => return Some(claim),
                Ok(None) if self.owes(kind) && !run.stop.is_requested() => {
                    crate::thread::sleep(POLL, &run.stop).await;
                }
                Ok(None) => return None,
                Err(_) if run.stop.is_requested() => return None,
                Err(error) => {
                    self.tell(error.to_string());
                    if self.group.until_empty {
                        return None;
                    }
                    crate::thread::sleep(PAUSE, &run.stop).await;
                }
            }
        }
    }

    /// Logs why no message is to be had, once.
    fn tell(&self, error: String) {
        let mut last = self.last_error.lock();
        if last.as_ref() != Some(&error) {
            log::error!("worker of {}: {error}", self.group.name);
            *last = Some(error);
        }
    }

    /// Whether `until empty` has to wait: for delayed messages and those that others hold.
    fn owes(&self, kind: Kind) -> bool {
        let status = self.store.messagequeue().status(&self.group.queue).ok().flatten();
        kind == Kind::Standing && status.is_some_and(|status| status.count() > 0)
    }

    async fn handle(&self, run: &Run, claim: &Claim) {
        let id = claim.id.to_string();
        let outcome = self.run_list(run, claim, &id).await;
        let queues = self.store.messagequeue();
        let settled = match outcome {
            Ok(()) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                self.store_calls.make(|| queues.ack(&self.group.queue, &id, Some(claim.attempt)))
            }
            Err(error) if error.kind == RunErrorKind::Stopped => {
                let failure = Failure { reason: "the instance stopped", delay: Duration::ZERO };
                self.store_calls.make(|| queues.fail(&self.group.queue, &id, Some(claim.attempt), failure))
            }
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let reason = error.to_string();
                log::error!("worker of {}: message {id}, attempt {}: {reason}", self.group.name, claim.attempt);
                *self.last_error.lock() = Some(reason.clone());
                let failure = Failure { reason: &reason, delay: self.group.retry_delay };
                self.store_calls.make(|| queues.fail(&self.group.queue, &id, Some(claim.attempt), failure))
            }
        };
        if let Err(error) = settled {
            log::error!("worker of {}: message {id}: {error}", self.group.name);
        }
    }

    /// Runs the list on a message, renewing the lease at a third of its length.
    async fn run_list(&self, run: &Run, claim: &Claim, id: &str) -> Result<(), RunError> {
        let mut inner = run.nested()?;
        inner.pipe_data.insert("message".into(), claim.message.clone());
        inner.pipe_data.insert("message_id".into(), id.into());
        inner.pipe_data.insert("attempt".into(), claim.attempt.into());
        let work = self.group.list.run(&mut inner);
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome.map_err(|failure| *failure.error),
                () = tokio::time::sleep(self.group.lease / 3) => {
                    let queues = self.store.messagequeue();
                    let extended = queues.extend(&self.group.queue, id, Some(claim.attempt), self.group.lease);
                    extended.map_err(|error| RunError::failed(format!("the message was lost while it was worked on: {error}")))?;
                }
            }
        }
    }
}
