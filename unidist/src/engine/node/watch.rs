//! A watch at the owner of a store: it keeps the changes, in its bounds; we are told that there are some, and read them.

use std::collections::VecDeque;
use std::sync::Arc;

use event_listener::Event;
use parking_lot::Mutex;

use super::client::Client;
use crate::error::Error;
use crate::watch::{StateEvent, WatchSource};
use crate::wire::ask::{Ask, Changes};
use crate::wire::error_of;

pub(super) struct RemoteWatch {
    client: Arc<Client>,
    wait: u64,
    event: Event,
    read: Mutex<Read>,
}

/// What was read and not yet popped.
#[derive(Default)]
struct Read {
    events: VecDeque<StateEvent>,
    revision: u64,
    /// Why nothing comes any more.
    fault: Option<Error>,
}

impl RemoteWatch {
    pub(super) fn new(client: Arc<Client>, wait: u64, revision: u64) -> Arc<Self> {
        let read = Read { revision, ..Read::default() };
        Arc::new(RemoteWatch { client, wait, event: Event::new(), read: Mutex::new(read) })
    }

    /// There may be changes.
    pub(super) fn told(&self) {
        self.event.notify(usize::MAX);
    }

    fn read_more(&self, read: &mut Read) {
        if read.fault.is_some() || !read.events.is_empty() {
            return;
        }
        match self.client.ask::<Changes>(&Ask::WatchRead { wait: self.wait }) {
            Ok(changes) => {
                read.revision = changes.revision;
                read.fault = changes.fault.as_ref().map(error_of);
                read.events.extend(changes.events);
            }
            Err(error) => read.fault = Some(error),
        }
    }
}

impl WatchSource for RemoteWatch {
    fn pop(&self) -> Option<Result<StateEvent, Error>> {
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
        read.events.front().map_or(read.revision, |event| event.revision - 1)
    }
}

impl Drop for RemoteWatch {
    fn drop(&mut self) {
        self.client.remove_watch(self.wait);
        self.client.ask_in_passing(&Ask::WatchEnd { wait: self.wait });
    }
}
