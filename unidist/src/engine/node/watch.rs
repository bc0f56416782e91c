//! A watch at the owner of a store: it keeps the changes, in its bounds; we are told that there are some, and read them.

use std::collections::VecDeque;
use std::sync::Arc;

use event_listener::Event;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::client::Client;
use crate::error::Error;
use crate::watch::{WatchEvent, WatchSource};
use crate::wire::ask::{Ask, Changes};
use crate::wire::error_of;

pub(super) struct RemoteWatch<E> {
    client: Arc<Client>,
    wait: u64,
    event: Event,
    read: Mutex<Read<E>>,
}

/// A watch that can be told.
pub(super) trait Told: Send + Sync {
    /// There may be changes.
    fn told(&self);
}

/// What was read and not yet popped.
struct Read<E> {
    events: VecDeque<E>,
    revision: u64,
    /// Why nothing comes any more.
    fault: Option<Error>,
}

impl<E: WatchEvent + DeserializeOwned> RemoteWatch<E> {
    pub(super) fn new(client: Arc<Client>, wait: u64, revision: u64) -> Arc<Self> {
        let read = Read { events: VecDeque::new(), revision, fault: None };
        Arc::new(RemoteWatch { client, wait, event: Event::new(), read: Mutex::new(read) })
    }

    fn read_more(&self, read: &mut Read<E>) {
        if read.fault.is_some() || !read.events.is_empty() {
            return;
        }
        match self.client.ask::<Changes<E>>(&Ask::WatchRead { wait: self.wait }) {
            Ok(changes) => {
                read.revision = changes.revision;
                read.fault = changes.fault.as_ref().map(error_of);
                read.events.extend(changes.events);
            }
            Err(error) => read.fault = Some(error),
        }
    }
}

impl<E: WatchEvent> Told for RemoteWatch<E> {
    fn told(&self) {
        self.event.notify(usize::MAX);
    }
}

impl<E: WatchEvent + DeserializeOwned> WatchSource<E> for RemoteWatch<E> {
    fn pop(&self) -> Option<Result<E, Error>> {
        let mut read = self.read.lock();
        self.read_more(&mut read);
        match read.events.pop_front() {
            Some(event) => Some(Ok(event)),
            None => read.fault.clone().map(Err),
        }
    }

    fn changed(&self) -> &Event {
        &self.event
    }

    fn has_changes(&self) -> bool {
        let read = self.read.lock();
        !read.events.is_empty() || read.fault.is_some()
    }

    fn revision(&self) -> u64 {
        let mut read = self.read.lock();
        self.read_more(&mut read);
        read.events.front().map_or(read.revision, |event| event.revision() - 1)
    }
}

impl<E> Drop for RemoteWatch<E> {
    fn drop(&mut self) {
        self.client.remove_watch(self.wait);
        self.client.ask_in_passing(&Ask::WatchEnd { wait: self.wait });
    }
}
