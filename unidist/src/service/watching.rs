//! Watches of other processes: the changes wait here, in their bounds, until they are read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use event_listener::Event;
use serde::Serialize;
use serde_json::Value;

use super::Inner;
use super::perform::{Answered, sent};
use super::session::Session;
use crate::error::Error;
use crate::name::is_private;
use crate::watch::{WatchEvent, WatchSource};
use crate::wire::ask::{Ask, Changes};
use crate::wire::fault_of;

/// Changes that are read at once.
const CHANGES_MAX: usize = 1_000;

/// A watch, whatever is watched.
pub(super) trait Watched: Send + Sync {
    fn changed(&self) -> &Event;
    fn has_changes(&self) -> bool;
    /// What is there, as it is sent.
    fn read(&self) -> Answered;
    fn revision(&self) -> u64;
}

struct Source<E>(Arc<dyn WatchSource<E>>);

impl<E: WatchEvent + Serialize> Watched for Source<E> {
    fn changed(&self) -> &Event {
        self.0.changed()
    }

    fn has_changes(&self) -> bool {
        self.0.has_changes()
    }

    fn read(&self) -> Answered {
        let (mut events, mut fault) = (Vec::new(), None);
        while events.len() < CHANGES_MAX {
            match self.0.pop() {
                None => break,
                // What belongs to this process alone is told to no other.
                Some(Ok(event)) if is_private(event.name()) => {}
                Some(Ok(event)) => events.push(event),
                Some(Err(error)) => {
                    fault = Some(fault_of(&error));
                    break;
                }
            }
        }
        sent(&Changes { events, fault, revision: self.0.revision() })
    }

    fn revision(&self) -> u64 {
        self.0.revision()
    }
}

impl Session {
    pub(super) fn watching(self: &Arc<Self>, service: &Inner, ask: Ask) -> Answered {
        match ask {
            Ask::Watch { wait, filter, from } => {
                self.begin_watch(service, wait, service.engine.state().watch(filter, from)?)
            }
            Ask::CounterWatch { wait, filter, from } => {
                self.begin_watch(service, wait, service.engine.counters().watch(filter, from)?)
            }
            Ask::QueueWatch { wait, filter, from } => {
                self.begin_watch(service, wait, service.engine.queues().watch(filter, from)?)
            }
            Ask::WatchRead { wait } => {
                let Some(watch) = self.watch_of(wait) else {
                    let reason = "the store has another owner since: read anew and watch from there";
                    return Err(Error::FellBehind { what: "changes".to_owned(), reason: reason.to_owned() });
                };
                // Before it is read: what comes after is told again.
                watch.is_armed.store(true, Ordering::SeqCst);
                watch.source.read()
            }
            Ask::WatchEnd { wait } => {
                self.end_watch(wait);
                Ok(Value::Null)
            }
            _ => Ok(Value::Null),
        }
    }

    fn begin_watch<E: WatchEvent + Serialize>(
        self: &Arc<Self>,
        service: &Inner,
        wait: u64,
        source: Arc<dyn WatchSource<E>>,
    ) -> Answered {
        let source = Source(source);
        let revision = source.revision();
        self.watch(service, wait, Arc::new(source))?;
        sent(&revision)
    }
}
