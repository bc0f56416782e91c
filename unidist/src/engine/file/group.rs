//! A group: the changes that reach the disk together, and those who wait for it.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::engine::journal::Held;
use crate::error::Error;

/// Everybody whose change is in one transaction waits here.
pub(super) struct Group {
    /// Groups are numbered from 1 in the order of their transactions.
    pub(super) number: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    outcome: Option<Result<(), Error>>,
    /// Nobody writes: one of those who wait here is to do it.
    needs_writer: bool,
    answers: Vec<Arc<dyn Held>>,
}

/// What one who waits is woken for.
pub(super) enum Woken {
    Outcome(Result<(), Error>),
    ToWrite,
}

impl Group {
    pub(super) fn new(number: u64) -> Arc<Self> {
        Arc::new(Group { number, state: Mutex::default(), changed: Condvar::new() })
    }

    pub(super) fn hold(&self, answer: Arc<dyn Held>) {
        self.state.lock().answers.push(answer);
    }

    pub(super) fn outcome(&self) -> Option<Result<(), Error>> {
        self.state.lock().outcome.clone()
    }

    /// Blocks until the group is on disk, or refused, or somebody is needed to write it.
    pub(super) fn wait(&self) -> Woken {
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = &state.outcome {
                return Woken::Outcome(outcome.clone());
            }
            if std::mem::take(&mut state.needs_writer) {
                return Woken::ToWrite;
            }
            self.changed.wait(&mut state);
        }
    }

    /// Has one of those who wait write the group.
    pub(super) fn ask_for_writer(&self) {
        self.state.lock().needs_writer = true;
        self.changed.notify_one();
    }

    /// Tells everybody how it ended.
    pub(super) fn finish(&self, outcome: &Result<(), Error>) {
        let mut state = self.state.lock();
        state.outcome = Some(outcome.clone());
        let answers = std::mem::take(&mut state.answers);
        drop(state);
        self.changed.notify_all();
        for answer in answers {
            answer.settle(outcome);
        }
    }
}
