//! The request of another process on whose behalf a thread is working, and answers as they are remembered and sent.
//!
//! A process that serves its store to others sets the request around the call. Who keeps changes on disk keeps the
//! answer in the same transaction, so that a request that is repeated to the store's next owner is not done twice.
#![cfg_attr(not(feature = "node"), expect(dead_code, reason = "only a store that is served gets such requests"))]

use std::cell::RefCell;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AddAnswer, TakeAnswer};
use crate::messagequeue::{Added, Delivery};
use crate::sharedstate::Compared;

/// Names a request: the newest of its lane, of which a client has as many as it has requests under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestKey {
    pub(crate) session: Arc<str>,
    pub(crate) lane: u32,
    /// Counts up in its lane.
    pub(crate) number: u64,
}

/// For whom a thread works.
#[derive(Default)]
struct Caller {
    request: Option<RequestKey>,
    process: Option<u32>,
}

thread_local! {
    static CALLER: RefCell<Caller> = RefCell::default();
}

/// Runs `act` on behalf of another process; `request`: its answer is to be remembered.
pub(crate) fn on_behalf<T>(process: u32, request: Option<RequestKey>, act: impl FnOnce() -> T) -> T {
    /// Also when `act` panics.
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            CALLER.with_borrow_mut(|caller| *caller = Caller::default());
        }
    }
    CALLER.with_borrow_mut(|caller| *caller = Caller { request, process: Some(process) });
    let _reset = Reset;
    act()
}

/// The request whose answer is to be remembered.
pub(crate) fn current() -> Option<RequestKey> {
    CALLER.with_borrow(|caller| caller.request.clone())
}

/// The process that asks; none: this one.
pub(crate) fn process() -> Option<u32> {
    CALLER.with_borrow(|caller| caller.process)
}

/// How a request went that may have to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Turn<T> {
    Done(T),
    Empty,
    /// The answer comes later.
    Waiting,
}

/// What a change returns, as it is sent to and remembered for the process that asked.
pub(crate) trait Answer: Send {
    /// None: nothing was done that would be done twice.
    fn to_answer(&self) -> Option<Value>;
}

fn value(answer: &impl Serialize) -> Option<Value> {
    serde_json::to_value(answer).ok()
}

impl Answer for () {
    fn to_answer(&self) -> Option<Value> {
        Some(Value::Null)
    }
}

impl Answer for bool {
    fn to_answer(&self) -> Option<Value> {
        Some(Value::from(*self))
    }
}

impl Answer for i64 {
    fn to_answer(&self) -> Option<Value> {
        Some(Value::from(*self))
    }
}

impl Answer for u64 {
    fn to_answer(&self) -> Option<Value> {
        Some(Value::from(*self))
    }
}

impl Answer for usize {
    fn to_answer(&self) -> Option<Value> {
        Some(Value::from(*self))
    }
}

impl Answer for Option<Arc<Value>> {
    fn to_answer(&self) -> Option<Value> {
        value(&self.as_ref().map(|value| [value]))
    }
}

impl Answer for Compared<Option<Arc<Value>>> {
    fn to_answer(&self) -> Option<Value> {
        value(&match self {
            Compared::Set(revision, before) => Compared::Set(*revision, before.as_ref().map(|value| [value])),
            Compared::Differs(revision) => Compared::Differs(*revision),
        })
    }
}

impl Answer for Added {
    fn to_answer(&self) -> Option<Value> {
        value(&Turn::Done(self))
    }
}

impl Answer for Delivery {
    fn to_answer(&self) -> Option<Value> {
        value(&Turn::Done(self))
    }
}

/// What comes back to one who gives up waiting was answered before.
impl Answer for Option<Added> {
    fn to_answer(&self) -> Option<Value> {
        None
    }
}

impl Answer for Option<Delivery> {
    fn to_answer(&self) -> Option<Value> {
        None
    }
}

impl Answer for AddAnswer {
    fn to_answer(&self) -> Option<Value> {
        match self {
            AddAnswer::Added(added) => added.to_answer(),
            AddAnswer::Waiting(_) => None,
        }
    }
}

impl Answer for TakeAnswer {
    fn to_answer(&self) -> Option<Value> {
        match self {
            TakeAnswer::Delivered(delivery) => delivery.to_answer(),
            TakeAnswer::Empty | TakeAnswer::Waiting(_) => None,
        }
    }
}
