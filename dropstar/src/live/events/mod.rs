//! `/events`: what changes, as server-sent events.
//!
//! The [`Hub`] watches the store once, however many readers there are, and keeps the newest events. A reader begins
//! with how things are and goes on with what changes since, none lost and none repeated in between. One that comes back
//! with the id of its last event gets what it missed, if that is still kept; else, and when it does not keep up, it is
//! told `reset` and begins anew. What waits for a reader that does not read is its place among the kept events, no more.

mod hub;
mod kept;
mod reader;
mod selection;
mod snapshot;

pub(crate) use hub::Hub;
pub(crate) use selection::Selection;

/// What events are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A counter has another value.
    Counter,
    /// A key of the state was written or removed.
    State,
    /// A queue holds other messages.
    Queue,
    /// A run-thread has a result or an error.
    Thread,
    /// A sample of a series was given.
    Series,
    /// There are lines in the log.
    Log,
}

impl EventKind {
    /// All of them.
    pub const ALL: [EventKind; 6] =
        [EventKind::Counter, EventKind::State, EventKind::Queue, EventKind::Thread, EventKind::Series, EventKind::Log];

    /// Its name in addresses and events.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Counter => "counter",
            EventKind::State => "state",
            EventKind::Queue => "queue",
            EventKind::Thread => "thread",
            EventKind::Series => "series",
            EventKind::Log => "log",
        }
    }
}
