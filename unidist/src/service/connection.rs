//! One connection to a served store, whatever carries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::session::Session;
use super::{Inner, fault};
use crate::engine::request;
use crate::wire::ask::Ask;
use crate::wire::plain_fault;

/// The longest name of a session.
const SESSION_BYTES_MAX: usize = 64;

/// A connection; dropping it may end its session.
pub(crate) struct Connection {
    service: Arc<Inner>,
    process: u32,
    session: Mutex<Option<Arc<Session>>>,
    is_closing: AtomicBool,
}

impl Connection {
    pub(super) fn new(service: Arc<Inner>, process: u32) -> Self {
        Connection { service, process, session: Mutex::default(), is_closing: AtomicBool::new(false) }
    }

    /// Answers `node.begin`, `node.ask` and `node.end`; an error is the value of `error` in the answer. Blocks for a
    /// write to the disk at most.
    ///
    /// # Errors
    /// What the store refuses; a call that is none of these.
    pub(crate) fn call(&self, call: &str, args: &[Value]) -> Result<Value, Value> {
        match (call, args) {
            ("node.begin", [Value::String(name)]) => self.begin(name),
            ("node.ask", [ask, rest @ ..]) => {
                let session = self.session()?;
                let ask = Ask::deserialize(ask).map_err(|error| refuse(&format!("no such request: {error}")))?;
                let run = || session.perform(&self.service, ask);
                match rest {
                    [] => request::on_behalf(self.process, None, run).map_err(|error| fault(&error)),
                    [lane, number] => {
                        match (lane.as_u64().and_then(|lane| u32::try_from(lane).ok()), number.as_u64()) {
                            (Some(lane), Some(number)) if number > 0 => {
                                session.once(&self.service, (lane, number), run)
                            }
                            _ => Err(refuse("a lane and a number are whole numbers from 0 and 1 on")),
                        }
                    }
                    _ => Err(refuse("node.ask takes a request, or a request, a lane and a number")),
                }
            }
            ("node.begin" | "node.ask" | "node.events", _) => Err(refuse(&format!("{call} has wrong arguments"))),
            _ => Err(plain_fault("unknown_function", &format!("there is no call {call:?}"))),
        }
    }

    /// Whether the session has ended, as the store is closed here: another owner will answer.
    pub(crate) fn is_over(&self) -> bool {
        self.session.lock().as_ref().is_some_and(|session| session.is_over())
    }

    /// The next thing that came for the session, as the result of a `node.events` that stays open; none: it is over.
    pub(crate) async fn next_note(&self) -> Option<Value> {
        let session = self.session().ok()?;
        loop {
            let listener = session.told.listen();
            if let Some(note) = session.next_note() {
                return serde_json::to_value(note).ok();
            }
            if session.is_over() || self.is_closing.load(Ordering::SeqCst) {
                return None;
            }
            listener.await;
        }
    }

    /// Ends `next_note` here and elsewhere.
    pub(super) fn stop_notes(&self) {
        self.is_closing.store(true, Ordering::SeqCst);
        if let Some(session) = &*self.session.lock() {
            session.told.notify(usize::MAX);
        }
    }

    fn begin(&self, name: &str) -> Result<Value, Value> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || name.len() > SESSION_BYTES_MAX || !name.bytes().all(is_plain) {
            return Err(refuse("the name of a session is 1 to 64 letters, digits and -"));
        }
        let mut session = self.session.lock();
        if session.is_some() {
            return Err(refuse("the connection has a session already"));
        }
        *session = Some(self.service.enter(name, self.process)?);
        Ok(json!(true))
    }

    fn session(&self) -> Result<Arc<Session>, Value> {
        self.session.lock().clone().ok_or_else(|| refuse("node.begin comes first"))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(session) = self.session.lock().take() {
            self.service.leave(&session);
        }
    }
}

fn refuse(text: &str) -> Value {
    plain_fault("bad_request", text)
}
