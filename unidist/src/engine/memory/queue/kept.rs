//! A queue put right from what was kept of it on disk, without a note.

use std::time::Duration;

use super::claims::Claimed;
use super::notes::Notes;
use super::{Queue, Stored};
use crate::engine::journal::{KeptBody, QueueHeader, Standing, Until};

impl Queue {
    /// Takes on what was kept of the queue itself, without a note. Numbers go on after those given meanwhile.
    pub(in crate::engine::memory) fn restore_header(&mut self, header: QueueHeader) {
        let QueueHeader { options, last_number, added, dropped, dead } = header;
        self.options = options;
        self.last_number = self.last_number.max(last_number);
        (self.added, self.dropped, self.dead) = (added, dropped, dead);
    }

    /// Makes a message what was kept of it, without a note.
    pub(in crate::engine::memory) fn restore_message(
        &mut self,
        number: u64,
        kept: Option<(KeptBody, Standing)>,
        now: Duration,
    ) {
        let notes = self.notes.take();
        if self.end_claim(number).map(|claimed| self.forget(&claimed.stored)).is_none() {
            self.remove(&format!("#{number}"));
        }
        if let Some((body, standing)) = kept {
            self.load(number, body, standing, now);
        }
        self.notes = notes;
    }

    /// Puts in a message that was kept and is not here, without a note.
    pub(in crate::engine::memory) fn load(&mut self, number: u64, body: KeptBody, standing: Standing, now: Duration) {
        let KeptBody { id, priority, added, message } = body;
        let Standing { attempts, reasons, until } = standing;
        if let Some(id) = &id {
            self.ids.insert(id.clone(), number);
        }
        self.last_number = self.last_number.max(number);
        let stored = Stored { number, id, priority, added, attempts, reasons, message };
        match until {
            Until::Ready => self.place(stored, Duration::ZERO, now),
            Until::Delayed(due) => self.place(stored, due.saturating_sub(now), now),
            Until::Claimed(ends) => {
                self.claim_ends.insert((ends, number));
                self.claims.insert(number, Claimed { stored, ends });
            }
        }
    }

    /// Forgets what would be noted of what was done so far.
    pub(in crate::engine::memory) fn drop_notes(&mut self) {
        self.notes = self.notes.take().map(|_| Notes::default());
    }
}
