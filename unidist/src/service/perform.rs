//! What a session asks of the store.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::Inner;
use super::names;
use super::session::{Session, WaitKind};
use crate::engine::request::{Answer, Turn};
use crate::engine::{AddAnswer, Condition, HolderKey, LockAnswer, StateWrite, TakeAnswer, Verdict};
use crate::error::Error;
use crate::messagequeue::NewMessage;
use crate::name::is_private;
use crate::sharedlock::{Fence, LockRequest, Owner};
use crate::sharedstate::{KeyFilter, SetOptions};
use crate::wire::ask::{AddAsk, Ask, HolderAsk, LockAsk, SetAsk, VerdictAsk};

pub(super) type Answered = Result<Value, Error>;

/// A result as it is sent.
pub(super) fn sent(value: &impl Serialize) -> Answered {
    serde_json::to_value(value)
        .map_err(|error| Error::Remote { code: "failed".to_owned(), text: format!("the answer has no JSON: {error}") })
}

/// Names that other processes may know.
fn public(mut names: Vec<Arc<str>>) -> Vec<Arc<str>> {
    names.retain(|name| !is_private(name));
    names
}

/// The answer to a change.
fn answer(value: &impl Answer) -> Answered {
    Ok(value.to_answer().unwrap_or_default())
}

impl Session {
    /// Does what is asked. Never waits for another session.
    pub(super) fn perform(self: &Arc<Self>, service: &Arc<Inner>, ask: Ask) -> Answered {
        names::check(&ask)?;
        match ask {
            Ask::Fenced(fence, ask) => self.perform_fenced(service, &fence, *ask),
            Ask::CounterGet { .. }
            | Ask::CounterSwap { .. }
            | Ask::CounterAdd { .. }
            | Ask::CounterRemove { .. }
            | Ask::CounterAll {}
            | Ask::CounterSnapshot {} => counter(service, ask),
            Ask::Lock(ask) => self.lock(service, &ask),
            Ask::LockCancel { wait } => self.lock_cancel(service, wait),
            Ask::LockRelease { .. } | Ask::LockReleaseAll { .. } | Ask::LockForceRelease { .. } => {
                self.release(service, ask)
            }
            Ask::LockRenew { .. }
            | Ask::LockHas { .. }
            | Ask::LockHolders { .. }
            | Ask::LockWaiting { .. }
            | Ask::LockAll {} => lock(service, ask),
            Ask::Watch { .. }
            | Ask::CounterWatch { .. }
            | Ask::QueueWatch { .. }
            | Ask::WatchRead { .. }
            | Ask::WatchEnd { .. } => self.watching(service, ask),
            Ask::StateEntry { .. }
            | Ask::StateSet(_)
            | Ask::StateRemove { .. }
            | Ask::StateCompareAndRemove { .. }
            | Ask::StateRemoveBucket { .. }
            | Ask::StateScan { .. }
            | Ask::StateSearch { .. }
            | Ask::StateBuckets {}
            | Ask::StateRevision {} => state(service, ask),
            Ask::QueueAdd(ask) => self.add(service, ask),
            Ask::QueueRequest { queue, want, may_wait, wait } => {
                let queues = service.engine.queues();
                match queues.request(&queue, want, may_wait)? {
                    TakeAnswer::Delivered(delivery) => answer(&delivery),
                    TakeAnswer::Empty => sent(&Turn::<()>::Empty),
                    TakeAnswer::Waiting(ticket) => {
                        let queue = Arc::from(queue);
                        self.wait(service, wait, WaitKind::Message { queue, ticket })?;
                        sent(&Turn::<()>::Waiting)
                    }
                }
            }
            Ask::QueueAddCancel { wait } | Ask::QueueCancel { wait } => self.queue_cancel(service, wait),
            Ask::LogFollow { .. } | Ask::LogUnfollow { .. } => self.following(service, ask),
            Ask::Backup { folder } => sent(&service.engine.backup(&folder)?),
            Ask::LogAppend { .. }
            | Ask::LogRead { .. }
            | Ask::LogConfigure { .. }
            | Ask::LogStatus { .. }
            | Ask::LogDelete { .. }
            | Ask::LogNames {} => log(service, ask),
            _ => queue(service, ask),
        }
    }

    fn lock(self: &Arc<Self>, service: &Arc<Inner>, ask: &LockAsk) -> Answered {
        let owner = ask.owner.as_deref().map(Owner::named).transpose()?;
        let request = LockRequest {
            name: &ask.name,
            owner: owner.as_ref(),
            lease: ask.lease,
            permits: ask.permits,
            rank: ask.rank,
            may_wait: ask.may_wait,
        };
        if let Some(grant) = self.granted_before(service, ask.wait) {
            return sent(&Turn::Done(grant.fence));
        }
        if self.is_waiting(ask.wait) {
            return sent(&Turn::<()>::Waiting);
        }
        match service.engine.locks().request(&request)? {
            LockAnswer::Granted(grant) => {
                self.hold(service, &grant, ask.wait);
                sent(&Turn::Done(grant.fence))
            }
            LockAnswer::Waiting(ticket) => {
                let name = Arc::from(ask.name.as_str());
                self.wait(service, ask.wait, WaitKind::Lock { name, ticket })?;
                sent(&Turn::<()>::Waiting)
            }
        }
    }

    fn lock_cancel(self: &Arc<Self>, service: &Inner, wait: u64) -> Answered {
        if let Some(grant) = self.granted_before(service, wait) {
            return sent(&Turn::Done(grant.fence));
        }
        let Some(WaitKind::Lock { name, ticket }) = self.cancel(wait) else { return sent(&Turn::<()>::Waiting) };
        match service.engine.locks().cancel(&name, &ticket).transpose()? {
            None => sent(&Turn::<()>::Empty),
            Some(grant) => {
                self.hold(service, &grant, wait);
                sent(&Turn::Done(grant.fence))
            }
        }
    }

    fn release(&self, service: &Inner, ask: Ask) -> Answered {
        let locks = service.engine.locks();
        match ask {
            Ask::LockRelease { name, holder } => {
                with_holder(&holder, |holder| locks.release(&name, holder))?;
                self.let_go(service, &name);
                Ok(Value::Null)
            }
            Ask::LockReleaseAll { owner } => sent(&locks.release_all(&Owner::named(&owner)?)?),
            Ask::LockForceRelease { name } => {
                let released = locks.force_release(&name)?;
                self.let_go(service, &name);
                sent(&released)
            }
            _ => Ok(Value::Null),
        }
    }

    fn perform_fenced(self: &Arc<Self>, service: &Arc<Inner>, fence: &Fence, ask: Ask) -> Answered {
        if !ask.is_fenced() {
            let reason = "a fencing number goes with one change".to_owned();
            return Err(Error::LockOption { name: fence.lock().to_owned(), reason });
        }
        let (mut ask, mut answered) = (Some(ask), Value::Null);
        service.engine.fenced(fence, &mut || {
            if let Some(ask) = ask.take() {
                answered = self.perform(service, ask)?;
            }
            Ok(())
        })?;
        Ok(answered)
    }

    fn add(self: &Arc<Self>, service: &Arc<Inner>, ask: AddAsk) -> Answered {
        let AddAsk { queue, message, priority, delay, id, may_wait, wait } = ask;
        let new = NewMessage { message: Arc::new(message), priority, delay, id: id.map(Arc::from) };
        match service.engine.queues().add(&queue, new, may_wait)? {
            AddAnswer::Added(added) => answer(&added),
            AddAnswer::Waiting(ticket) => {
                self.wait(service, wait, WaitKind::Room { queue: Arc::from(queue), ticket })?;
                sent(&Turn::<()>::Waiting)
            }
        }
    }

    fn queue_cancel(&self, service: &Inner, wait: u64) -> Answered {
        let queues = service.engine.queues();
        match self.cancel(wait) {
            Some(WaitKind::Message { queue, ticket }) => match queues.cancel(&queue, &ticket).transpose()? {
                Some(delivery) => answer(&delivery),
                None => sent(&Turn::<()>::Empty),
            },
            Some(WaitKind::Room { queue, ticket }) => match queues.cancel_add(&queue, &ticket).transpose()? {
                Some(added) => answer(&added),
                None => sent(&Turn::<()>::Empty),
            },
            _ => sent(&Turn::<()>::Waiting),
        }
    }

    fn following(self: &Arc<Self>, service: &Inner, ask: Ask) -> Answered {
        match ask {
            Ask::LogFollow { log } => {
                let appended = service.engine.logs().appended(&log)?;
                self.follow(service, &log, appended)?;
            }
            Ask::LogUnfollow { log } => self.unfollow(&log),
            _ => {}
        }
        Ok(Value::Null)
    }
}

fn counter(service: &Inner, ask: Ask) -> Answered {
    let counters = service.engine.counters();
    match ask {
        Ask::CounterGet { name } => sent(&counters.get(&name)?),
        Ask::CounterSwap { name, value } => answer(&counters.swap(&name, value)?),
        Ask::CounterAdd { name, by } => answer(&counters.add(&name, by)?),
        Ask::CounterRemove { name } => answer(&counters.remove(&name)?),
        Ask::CounterSnapshot {} => {
            let (mut values, revision) = counters.snapshot()?;
            values.retain(|(name, _)| !is_private(name));
            sent(&(values, revision))
        }
        _ => {
            let mut all = counters.all()?;
            all.retain(|(name, _)| !is_private(name));
            sent(&all)
        }
    }
}

fn lock(service: &Inner, ask: Ask) -> Answered {
    let locks = service.engine.locks();
    match ask {
        Ask::LockRenew { name, holder, lease } => {
            sent(&with_holder(&holder, |holder| locks.renew(&name, holder, lease))?)
        }
        Ask::LockHas { name, holder } => sent(&with_holder(&holder, |holder| Ok(locks.has_holder(&name, holder)))?),
        Ask::LockHolders { name } => sent(&locks.holders(&name)?),
        Ask::LockWaiting { name } => sent(&locks.waiting(&name)?),
        _ => {
            let mut all = locks.all()?;
            all.retain(|info| !is_private(&info.name));
            sent(&all)
        }
    }
}

fn with_holder<T>(holder: &HolderAsk, act: impl FnOnce(HolderKey<'_>) -> Result<T, Error>) -> Result<T, Error> {
    match holder {
        HolderAsk::Fence(fence) => act(HolderKey::Fence(*fence)),
        HolderAsk::Owner(_) => act(HolderKey::Owner(&holder.owner()?)),
    }
}

fn state(service: &Inner, ask: Ask) -> Answered {
    let state = service.engine.state();
    match ask {
        Ask::StateEntry { bucket, key } => sent(&state.entry(&bucket, &key)?),
        Ask::StateSet(ask) => set(service, ask),
        Ask::StateRemove { bucket, key } => answer(&state.remove(&bucket, &key)?),
        Ask::StateCompareAndRemove { bucket, key, revision } => {
            answer(&state.compare_and_remove(&bucket, &key, revision)?)
        }
        Ask::StateRemoveBucket { bucket } => answer(&state.remove_bucket(&bucket)?),
        Ask::StateScan { bucket } => {
            let passes = |name: &str| !is_private(name) && bucket.as_deref().is_none_or(|only| only == name);
            sent(&state.scan(&KeyFilter { bucket: &passes, key: &|_| true, one_bucket: bucket.as_deref() })?)
        }
        Ask::StateSearch { search } => {
            let shared = crate::Unidist::of(service.engine.clone());
            let mut found = shared.sharedstate().search(&search)?;
            found.retain(|entry| !is_private(&entry.bucket));
            sent(&found)
        }
        Ask::StateBuckets {} => sent(&public(state.buckets()?)),
        _ => sent(&state.revision()?),
    }
}

fn set(service: &Inner, ask: SetAsk) -> Answered {
    let SetAsk { bucket, key, value, time_to_live, revision, wants_before } = ask;
    let bytes = service.engine.limits().check_value(|| format!("the key {key:?} of the bucket {bucket:?}"), &value)?;
    let options = SetOptions { time_to_live };
    let condition = revision.map_or(Condition::Always, Condition::Revision);
    let write = StateWrite { bucket: &bucket, key: &key, value, bytes, options: &options, wants_before };
    answer(&service.engine.state().set(write, condition)?)
}

fn queue(service: &Inner, ask: Ask) -> Answered {
    let queues = service.engine.queues();
    match ask {
        Ask::QueueGiveBack { queue, delivery } => {
            queues.give_back(&queue, delivery);
            Ok(Value::Null)
        }
        Ask::QueueSettle { queue, id, attempt, verdict } => {
            let verdict = match &verdict {
                VerdictAsk::Acknowledge => Verdict::Acknowledge,
                VerdictAsk::Fail { reason, delay } => Verdict::Fail { reason, delay: *delay },
                VerdictAsk::Extend(lease) => Verdict::Extend(*lease),
            };
            answer(&queues.settle_claim(&queue, &id, attempt, verdict)?)
        }
        Ask::QueuePeek { queue, limit } => sent(&queues.peek(&queue, limit)?),
        Ask::QueueEdge { queue, edge } => sent(&queues.edge(&queue, edge)?),
        Ask::QueueRemove { queue, id } => answer(&queues.remove(&queue, &id)?),
        Ask::QueuePurge { queue } => answer(&queues.purge(&queue)?),
        Ask::QueueDelete { queue } => answer(&queues.delete(&queue)?),
        Ask::QueueConfigure { queue, options } => sent(&queues.configure(&queue, options)?),
        Ask::QueueStatus { queue } => sent(&queues.status(&queue)?),
        Ask::QueueSnapshot { queue } => sent(&queues.snapshot(&queue)?),
        _ => sent(&public(queues.names()?)),
    }
}

fn log(service: &Inner, ask: Ask) -> Answered {
    let logs = service.engine.logs();
    match ask {
        Ask::LogAppend { log, value } => {
            let bytes = service.engine.limits().check_value(|| format!("the log {log:?}"), &value)?;
            answer(&logs.append(&log, value, bytes)?)
        }
        Ask::LogRead { log, offset, limit } => sent(&logs.read(&log, offset, limit)?),
        Ask::LogConfigure { log, options } => sent(&logs.configure(&log, options)?),
        Ask::LogStatus { log } => sent(&logs.status(&log)?),
        Ask::LogDelete { log } => answer(&logs.delete(&log)?),
        _ => sent(&public(logs.names()?)),
    }
}
