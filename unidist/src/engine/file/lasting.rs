//! What a store remembers of other processes: the answers that they got, and the locks that they hold.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::encode::answer_key;
use super::writer::Writer;
use super::{FileEngine, Sync};
use crate::engine::journal::{Change, Journal, KeptValue};
use crate::engine::memory::{KeptLock, UnseatObserver};
use crate::engine::request::RequestKey;
use crate::error::Error;
use crate::service::Lasting;

/// The answers of earlier owners that still count; what is too old goes from the disk.
pub(super) fn remembered(writer: &Writer, kept: Vec<(String, KeptValue)>) -> HashMap<String, (u64, Value)> {
    let date = writer.date();
    let mut answers = HashMap::new();
    let mut old = Vec::new();
    for (key, kept) in kept {
        let parsed = serde_json::from_value(Value::clone(&kept.value)).ok();
        match parsed.filter(|_| kept.expires.is_some_and(|expires| expires > date)) {
            Some(answer) => drop(answers.insert(key, answer)),
            None => old.push(key),
        }
    }
    writer.look(|| {
        for key in old {
            if let Some((session, lane)) = key.split_once(' ')
                && let Ok(lane) = lane.parse()
            {
                forget(writer, &Arc::from(session), lane);
            }
        }
    });
    answers
}

fn forget(writer: &Writer, session: &Arc<str>, lane: u32) {
    let request = RequestKey { session: session.clone(), lane, number: 0 };
    writer.record(Change::Answer { request, answer: None });
}

impl Lasting for FileEngine {
    fn answered(&self, request: &RequestKey) -> Option<Value> {
        let (number, answer) = self.answers.get(&answer_key(request))?;
        (*number == request.number).then(|| answer.clone())
    }

    fn forget_answers(&self, session: &Arc<str>, lanes: &[u32]) {
        self.writer.look(|| lanes.iter().for_each(|lane| forget(&self.writer, session, *lane)));
    }

    fn kept_lock(&self, name: &str, fence: u64) -> Option<KeptLock> {
        self.memory.locks.kept(name, fence)
    }

    fn seat_again(&self, held: &KeptLock) -> Result<(), Error> {
        self.memory.locks.seat_again(held)
    }

    fn observe_unseat(&self, tell: UnseatObserver) {
        self.memory.locks.observe_unseat(tell);
    }

    fn is_relaxed(&self) -> bool {
        self.sync == Sync::Interval
    }
}
