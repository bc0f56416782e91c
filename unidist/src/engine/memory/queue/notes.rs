//! What an act on a queue changed: for the disk, and for those who watch.

use std::sync::Arc;

use super::{Queue, Stored};
use crate::engine::journal::{Held, MessageChange, QueueHeader, Standing, Until};
use crate::engine::request::Answer;
use crate::error::Error;
use crate::messagequeue::MessageId;
use crate::wait::Ticket;
use crate::watch::QueueChange;

/// What is to be kept of an act on a queue, in the order in which it happened.
#[derive(Default)]
pub(in crate::engine::memory) struct Notes {
    pub(in crate::engine::memory) header: Option<QueueHeader>,
    pub(in crate::engine::memory) messages: Vec<(u64, MessageChange)>,
    pub(in crate::engine::memory) answers: Vec<Arc<dyn Held>>,
    is_header_changed: bool,
}

impl Notes {
    pub(super) fn of_new_queue() -> Self {
        Notes { is_header_changed: true, ..Notes::default() }
    }
}

impl Queue {
    pub(super) fn note(&mut self, number: u64, change: impl FnOnce() -> MessageChange) {
        if let Some(notes) = &mut self.notes {
            notes.messages.push((number, change()));
        }
    }

    pub(super) fn note_header(&mut self) {
        if let Some(notes) = &mut self.notes {
            notes.is_header_changed = true;
        }
    }

    pub(super) fn note_standing(&mut self, stored: &Stored, until: Until) {
        let Stored { attempts, reasons, .. } = stored;
        let standing = || Standing { attempts: *attempts, reasons: reasons.clone(), until };
        self.note(stored.number, || MessageChange::Moved(standing()));
    }

    /// What changed since it was asked last; none when nothing did.
    pub(in crate::engine::memory) fn take_notes(&mut self) -> Option<Notes> {
        let notes = self.notes.as_mut()?;
        if !notes.is_header_changed && notes.messages.is_empty() && notes.answers.is_empty() {
            return None;
        }
        let mut notes = std::mem::take(notes);
        notes.header = notes.is_header_changed.then(|| self.header());
        Some(notes)
    }

    fn header(&self) -> QueueHeader {
        let Queue { last_number, added, dropped, dead, .. } = *self;
        QueueHeader { options: self.options.clone(), last_number, added, dropped, dead }
    }

    /// From here on, what happens is gathered for those who watch, or not.
    pub(in crate::engine::memory) fn gather_news(&mut self, is_watched: bool) {
        if self.news.is_some() != is_watched {
            self.news = is_watched.then(Vec::new);
        }
    }

    /// The message's id, if somebody watches.
    pub(super) fn watched(&self, stored: &Stored) -> Option<MessageId> {
        self.news.is_some().then(|| stored.id())
    }

    /// Tells those who watch what happened to a message (none: nobody does); the queue is as it is after it.
    pub(super) fn tell(&mut self, watched: Option<MessageId>, change: impl FnOnce(MessageId) -> QueueChange) {
        if let Some(id) = watched {
            self.tell_all(change(id));
        }
    }

    /// Tells those who watch what happened to the queue; it is as it is after it.
    pub(in crate::engine::memory) fn tell_all(&mut self, change: QueueChange) {
        let count = self.length();
        if let Some(news) = &mut self.news {
            news.push((change, count));
        }
    }

    /// What happened since it was asked last, each with the count after it.
    pub(in crate::engine::memory) fn take_news(&mut self) -> Vec<(QueueChange, usize)> {
        self.news.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Answers one who waits; what is kept on disk is shown to it when it is there.
    pub(super) fn answer<T: Answer + 'static>(
        &mut self,
        ticket: &Arc<Ticket<Result<T, Error>>>,
        answer: Result<T, Error>,
    ) -> Result<(), Result<T, Error>> {
        let Some(notes) = &mut self.notes else { return ticket.give(answer) };
        ticket.hold(answer)?;
        notes.answers.push(ticket.clone());
        Ok(())
    }
}
