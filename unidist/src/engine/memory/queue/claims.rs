//! The claims of a queue: how they end, and what becomes of the message.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Queue, Stored};
use crate::engine::Verdict;
use crate::engine::journal::{MessageChange, Standing, Until};
use crate::watch::QueueChange;

pub(super) struct Claimed {
    pub(super) stored: Stored,
    pub(super) ends: Duration,
}

impl Queue {
    pub(super) fn end_claim(&mut self, number: u64) -> Option<Claimed> {
        let claimed = self.claims.remove(&number)?;
        self.claim_ends.remove(&(claimed.ends, number));
        Some(claimed)
    }

    /// Ends or extends a claim; the error says why it is over.
    pub(in crate::engine::memory) fn settle_claim(
        &mut self,
        id: &str,
        attempt: Option<u32>,
        verdict: Verdict<'_>,
        now: Duration,
    ) -> Result<(), String> {
        let number = self.number_of(id).unwrap_or(0);
        match self.claims.get_mut(&number) {
            None => return Err("it was acknowledged, given back or never made".to_owned()),
            Some(claimed) if attempt.is_some_and(|attempt| attempt != claimed.stored.attempts) => {
                return Err(format!("the message is at attempt {} now", claimed.stored.attempts));
            }
            Some(claimed) => {
                if let Verdict::Extend(lease) = verdict {
                    self.claim_ends.remove(&(claimed.ends, number));
                    claimed.ends = now.saturating_add(lease);
                    self.claim_ends.insert((claimed.ends, number));
                    let Stored { attempts, reasons, .. } = &claimed.stored;
                    let until = Until::Claimed(claimed.ends);
                    let standing = Standing { attempts: *attempts, reasons: reasons.clone(), until };
                    self.note(number, || MessageChange::Moved(standing));
                    return Ok(());
                }
            }
        }
        let Some(claimed) = self.end_claim(number) else { return Ok(()) };
        match verdict {
            Verdict::Fail { reason, delay } => self.fail(claimed.stored, reason, delay, now),
            Verdict::Acknowledge | Verdict::Extend(_) => {
                self.forget(&claimed.stored);
                self.tell(self.watched(&claimed.stored), QueueChange::Acknowledged);
            }
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, mut stored: Stored, reason: &str, delay: Duration, now: Duration) {
        stored.remember(reason);
        let watched = self.watched(&stored);
        if self.options.attempts_max.is_none_or(|max| stored.attempts < max) {
            let until = if delay.is_zero() { Until::Ready } else { Until::Delayed(now.saturating_add(delay)) };
            self.note_standing(&stored, until);
            self.place(stored, delay, now);
            return self.tell(watched, QueueChange::Returned);
        }
        self.forget(&stored);
        self.dead += 1;
        self.note_header();
        self.tell(watched, QueueChange::Dead);
        let id = stored.id().to_string();
        let Stored { attempts, reasons, message, .. } = stored;
        self.dead_letters.push(json!({"id": id, "message": *message, "attempts": attempts, "reasons": reasons}));
    }

    pub(in crate::engine::memory) fn take_dead_letters(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.dead_letters)
    }
}
