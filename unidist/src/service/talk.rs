//! A connection that a thread carries: lines in, lines out, until one side closes it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use serde_json::Value;

use super::tasks::Task;
use super::{Connection, Inner, Service, names, random_name};
use crate::Unidist;
use crate::sharedlock::Owner;
use crate::wait::block_on;
use crate::wire::{Eager, LINE_BYTES_MAX, LineReader, Next, Request, answer_line, fault_of, line_of, plain_fault};

/// Calls of one connection that wait at once; a further one is refused.
const WAITING_MAX: usize = 64;
/// The stack of a thread, in bytes: values nest 128 deep.
pub(super) const STACK_BYTES: usize = 1024 * 1024;

/// Carries one connection of another process.
pub struct Carrier {
    service: Arc<Inner>,
    greeting: Vec<u8>,
    process: u32,
}

/// How a connection begins.
pub enum Begin {
    /// With the first line.
    Greeting,
    /// The first line was sent, and so much was read already.
    Read(Vec<u8>),
}

impl Service {
    /// Carries a connection from the process of this id, on a thread of the caller's.
    pub fn carrier(&self, process: u32) -> Carrier {
        Carrier { service: self.inner.clone(), greeting: line_of(&self.hello()), process }
    }
}

impl Carrier {
    /// Serves the stream, which blocks, until either side shuts it down.
    pub fn serve(self, stream: UnixStream, begin: Begin) {
        let Ok(writer) = stream.try_clone() else { return };
        let Carrier { service, greeting, process } = self;
        let talk = Arc::new(Talk {
            writer: Mutex::new(writer),
            connection: Connection::new(service.clone(), process),
            shared: Unidist::of(service.engine.clone()),
            owner: format!("process {process}.{}", random_name()),
            waiting: Mutex::default(),
        });
        let read = match begin {
            Begin::Greeting if talk.send(&greeting).is_err() => return,
            Begin::Greeting => Vec::new(),
            Begin::Read(read) => read,
        };
        let mut lines = LineReader::after(read, Eager::new(stream), LINE_BYTES_MAX);
        let mut notes = None;
        loop {
            match lines.next_line() {
                Ok(Next::Line(line)) => {
                    if talk.answer(line, &service, &mut notes).is_err() {
                        break;
                    }
                }
                Ok(Next::TooLong) => {
                    let text = format!("the request has over {LINE_BYTES_MAX} bytes");
                    let _ = talk.send(&answer_line(&Value::Null, Err(plain_fault("too_large", &text))));
                    break;
                }
                Ok(Next::End) | Err(_) => break,
            }
        }
        let _ = lines.get_ref().stream().shutdown(Shutdown::Both);
        talk.end(notes);
    }
}

/// One connection under way.
struct Talk {
    writer: Mutex<UnixStream>,
    connection: Connection,
    shared: Unidist,
    /// Of the locks that its functions by name take.
    owner: String,
    /// Functions by name that wait, by a number.
    waiting: Mutex<HashMap<u64, Option<Arc<Task>>>>,
}

impl Talk {
    fn send(&self, line: &[u8]) -> io::Result<()> {
        self.writer.lock().write_all(line)
    }

    /// Answers a line, now or when it is done; an error is the end of the connection.
    fn answer(self: &Arc<Self>, line: &[u8], service: &Inner, notes: &mut Option<JoinHandle<()>>) -> io::Result<()> {
        let Request { id, call, args } = match Request::parse(line) {
            Ok(request) => request,
            Err((id, text)) => return self.send(&answer_line(&id, Err(plain_fault("bad_request", &text)))),
        };
        if call == "node.events" && notes.is_none() {
            let talk = self.clone();
            let thread = std::thread::Builder::new().name("unidist notes".to_owned()).stack_size(STACK_BYTES);
            *notes = Some(thread.spawn(move || talk.send_notes(&id))?);
            return Ok(());
        }
        if call.starts_with("node.") {
            let answer = self.connection.call(&call, &args);
            if answer.is_err() && self.connection.is_over() {
                return Err(io::Error::other("the session is over"));
            }
            return self.send(&answer_line(&id, answer));
        }
        if let Err(error) = names::check_arguments(&args) {
            return self.send(&answer_line(&id, Err(fault_of(&error))));
        }
        match crate::call::call_now(&self.shared, &call, &args, &self.owner) {
            Some(result) => self.send(&answer_line(&id, result.map_err(|error| fault_of(&error)))),
            None => self.answer_later(service, id, call, args),
        }
    }

    fn answer_later(self: &Arc<Self>, service: &Inner, id: Value, call: String, args: Vec<Value>) -> io::Result<()> {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            drop(waiting);
            let text = format!("{WAITING_MAX} calls of this connection wait already");
            return self.send(&answer_line(&id, Err(plain_fault("too_many", &text))));
        }
        let number = (0..).find(|number| !waiting.contains_key(number)).unwrap_or(0);
        let talk = self.clone();
        let task = service.tasks.spawn(async move {
            let result = crate::call::call(&talk.shared, &call, &args, &talk.owner).await;
            talk.waiting.lock().remove(&number);
            // One who does not read is cut off when the write takes too long.
            let _ = talk.send(&answer_line(&id, result.map_err(|error| fault_of(&error))));
        });
        waiting.insert(number, task);
        Ok(())
    }

    fn send_notes(&self, id: &Value) {
        while let Some(note) = block_on(self.connection.next_note()) {
            if self.send(&answer_line(id, Ok(note))).is_err() {
                return;
            }
        }
    }

    /// Ends what was begun here: waits, locks that functions by name took, the thread of the notes.
    fn end(&self, notes: Option<JoinHandle<()>>) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_values().flatten().for_each(|task| task.abort());
        if let Ok(owner) = Owner::named(&self.owner) {
            let _ = self.shared.sharedlock().release_all(&owner);
        }
        if let Some(notes) = notes {
            self.connection.stop_notes();
            // A thread that panicked tells nothing more.
            let _ = notes.join();
        }
    }
}
